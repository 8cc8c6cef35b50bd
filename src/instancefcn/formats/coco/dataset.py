"""Data sets in COCO's format: one JSON file and a folder of images."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from typing import Any

from instancefcn.core.errors import UserError
from instancefcn.core.rle import mask_area
from instancefcn.core.types import AnnotatedImage, Instance
from instancefcn.data.dataset import Problem
from instancefcn.formats.coco import checks
from instancefcn.formats.coco.records import (
    Annotation,
    ImageEntry,
    read_coco,
    to_annotation,
    to_category,
    to_image,
    to_rle,
)


class CocoDataset:
    """Images in the order of their ids; polygons and RLE, crowds as such.

    An annotation that covers no pixel, as COCO itself has some, is left out.

    annotations: a JSON file with "images", "annotations" and "categories". images: the folder of
    the "file_name"s.
    """

    def __init__(self, annotations: Path | str, images: Path | str) -> None:
        self.annotations = Path(annotations)
        self.images = Path(images)

    @property
    def name(self) -> str:
        return "/".join(self.annotations.with_suffix("").parts[-2:])

    @property
    def categories(self) -> Mapping[int, str]:
        return self._index.categories

    def __len__(self) -> int:
        return len(self._index.images)

    def __getitem__(self, index: int) -> AnnotatedImage:
        image = self._index.images[index]
        annotations = self._index.annotations[image.image_id]
        instances = (self._instance(annotation, image) for annotation in annotations)
        return AnnotatedImage(
            image_id=image.image_id,
            path=self.images / image.file_name,
            height=image.height,
            width=image.width,
            instances=tuple(i for i in instances if mask_area(i.mask)),
        )

    def problems(self, decode: bool = False) -> Iterator[Problem]:
        """See ``Dataset.problems``."""
        return checks.problems(self.annotations, self.images, decode)

    def _instance(self, annotation: Annotation, image: ImageEntry) -> Instance:
        try:
            mask = to_rle(annotation.segmentation, image.height, image.width)
        except ValueError as error:
            raise UserError(
                f"{self.annotations}: annotation {annotation.annotation_id} of image "
                f"{image.image_id} ({image.file_name}): {error}"
            ) from error
        return Instance(mask, annotation.category, annotation.crowd)

    @cached_property
    def _index(self) -> _Index:
        content = read_coco(self.annotations)
        try:
            return _Index.of(content)
        except ValueError as error:
            raise UserError(f"{self.annotations}: {error}") from error


@dataclass(frozen=True)
class _Index:
    """Annotations by image id; those of images that are not listed are dropped."""

    images: tuple[ImageEntry, ...]
    annotations: Mapping[int, Sequence[Annotation]]
    categories: Mapping[int, str]

    @classmethod
    def of(cls, content: Mapping[str, list[Any]]) -> _Index:
        images = sorted(map(to_image, content["images"]), key=lambda image: image.image_id)
        for first, second in pairwise(images):
            if first.image_id == second.image_id:
                raise UserError(f"two images have the id {first.image_id}; give each its own")
        annotations: dict[int, list[Annotation]] = {image.image_id: [] for image in images}
        for annotation in map(to_annotation, content["annotations"]):
            if annotation.image_id in annotations:
                annotations[annotation.image_id].append(annotation)
        return cls(tuple(images), annotations, dict(map(to_category, content["categories"])))
