"""Data sets in COCO's format: one JSON file and a folder of images."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cached_property
from pathlib import Path

from instancefcn.core.errors import UserError
from instancefcn.core.rle import mask_area
from instancefcn.core.types import AnnotatedImage, Instance
from instancefcn.data.dataset import Problem
from instancefcn.formats.coco import checks
from instancefcn.formats.coco.index import Index, read_index
from instancefcn.formats.coco.records import Annotation, ImageEntry, has_mask, image_path, to_rle


class CocoDataset:
    """Images in the order of their ids; polygons and RLE, crowds as such.

    An annotation without a mask (a box only) or whose mask covers no pixel, as COCO itself has
    some, is left out; ``problems`` counts them. Annotations are read when their image is asked for.

    annotations: a JSON file with "images", "annotations" and "categories". images: the folder of
    the "file_name"s. outside: whether these may lead out of it, by "../" or from the root.
    """

    def __init__(self, annotations: Path | str, images: Path | str, outside: bool = False) -> None:
        self.annotations = Path(annotations)
        self.images = Path(images)
        self.outside = outside
        self._checked: Index | None = None

    @property
    def name(self) -> str:
        return "/".join(self.annotations.with_suffix("").parts[-2:])

    @property
    def categories(self) -> Mapping[int, str]:
        return self._index.categories

    def __len__(self) -> int:
        return len(self._index.images)

    def __getitem__(self, index: int) -> AnnotatedImage:
        place = range(len(self))[index]
        image = self._index.images[place]
        drawn = (a for a in self._index.annotations(place) if has_mask(a.segmentation))
        instances = [self._instance(annotation, image) for annotation in drawn]
        try:
            path = image_path(self.images, image.file_name, self.outside)
        except UserError as error:
            raise UserError(f"{self.annotations}: image {image.image_id}: {error}") from error
        return AnnotatedImage(
            image_id=image.image_id,
            path=path,
            height=image.height,
            width=image.width,
            instances=tuple(i for i in instances if mask_area(i.mask)),
        )

    def problems(self, decode: bool = False) -> Iterator[Problem]:
        """See ``Dataset.problems``. A file that was checked to its end is open already."""
        self._checked = yield from checks.problems(
            self.annotations, self.images, decode, self.outside
        )

    def _instance(self, annotation: Annotation, image: ImageEntry) -> Instance:
        try:
            mask = to_rle(annotation.segmentation, image.height, image.width)
        except UserError as error:
            raise UserError(
                f"{self.annotations}: annotation {annotation.annotation_id} of image "
                f"{image.image_id} ({image.file_name}): {error}"
            ) from error
        return Instance(mask, annotation.category, annotation.crowd)

    @cached_property
    def _index(self) -> Index:
        return self._checked or read_index(self.annotations)
