"""COCO's two formats: https://cocodataset.org/#format-data and #format-results.

Written as images come, an annotation a line, so that memory does not grow with their number.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from reprlib import repr as short
from typing import Any, BinaryIO

from instancefcn.core.errors import UserError
from instancefcn.core.files import whole_file
from instancefcn.core.proposals import CLASS_AGNOSTIC
from instancefcn.core.rle import mask_area, mask_box, rle_to_coco
from instancefcn.core.types import ScoredMask
from instancefcn.data.dataset import Dataset
from instancefcn.formats.coco.categories import ids_by_name, read_categories
from instancefcn.formats.coco.reading import read_tables
from instancefcn.formats.coco.records import ImageEntry, to_image
from instancefcn.formats.coco.results import Results, ranked
from instancefcn.formats.format import Add, Joined, JoinedWriter
from instancefcn.formats.prediction import ImageMasks, Source


@contextmanager
def data_set(file: BinaryIO, categories: Mapping[int, str] = CLASS_AGNOSTIC) -> Iterator[Add]:
    """A COCO data set of what is added until the block ends: images, annotations, and the
    categories, of which each mask has one.

    An annotation is a result (see ``records``) with id, bbox, tight around the mask's pixels,
    area and iscrowd; those of an image follow each other, best first.
    """
    images: list[dict[str, Any]] = []
    file.write(b'{"annotations": [')
    annotations = _List(file)

    def add(source: Source, image: ImageMasks) -> None:
        images.append(
            {
                "id": source.image_id,
                "file_name": source.file_name,
                "width": image.width,
                "height": image.height,
            }
        )
        assert categories.keys() >= {mask.category for mask in image.masks}
        results = records(source.image_id, image.masks)
        for record, (mask, *_) in zip(results, image.masks, strict=True):
            more = {"bbox": mask_box(mask), "area": mask_area(mask), "iscrowd": 0}
            annotations.append({"id": annotations.length + 1, **record, **more})

    yield add
    file.write(b'\n],\n"images": [')
    listed = _List(file)
    for entry in images:
        listed.append(entry)
    file.write(b'\n],\n"categories": [')
    named = (
        {"id": category, "name": name, "supercategory": name}
        for category, name in sorted(categories.items())
    )
    file.write(",\n".join(map(json.dumps, named)).encode("ascii") + b"]}\n")


@contextmanager
def results_list(file: BinaryIO, ids: Mapping[int, int] | None = None) -> Iterator[Add]:
    """A COCO results list of what is added until the block ends, best first within an image.

    ids: what the ground truth calls each category, where that is not the masks' own ids.
    """
    file.write(b"[")
    results = _List(file)

    def add(source: Source, image: ImageMasks) -> None:
        for record in records(source.image_id, image.masks, ids):
            results.append(record)

    yield add
    file.write(b"\n]\n")


def _joined(categories: Mapping[int, str], ids: Mapping[int, int] | None) -> Joined:
    if ids is None:
        return Joined("proposals.json", partial(data_set, categories=categories))
    return Joined("results.json", partial(results_list, ids=ids))


WRITER = JoinedWriter(
    "coco",
    "proposals.json, a COCO data set; with --annotations results.json, COCO results",
    _joined,
)


def write_results(path: Path | str, results: Results, ids: Mapping[int, int] | None = None) -> None:
    """Write a COCO results list, a result a line, image by image, each image's best first.

    ids: see ``results_list``. For COCO's own tools each must be one of the ground truth's, even
    where they ignore categories: else they count every result as a miss.
    """
    with whole_file(Path(path)) as file:
        file.write(b"[")
        listed = _List(file)
        for image_id, proposals in results.items():
            for record in records(image_id, ranked(proposals), ids):
                listed.append(record)
        file.write(b"\n]\n")


def ids_for(dataset: Dataset) -> Mapping[int, int]:
    """What results for a data set call masks that nobody labelled: COCO's own tools count a result
    of a category that the data set has not as a miss, even where they ignore categories.
    """
    return dict.fromkeys(CLASS_AGNOSTIC, min(dataset.categories, default=1))


def records(
    image_id: int, masks: Iterable[ScoredMask], ids: Mapping[int, int] | None = None
) -> Iterator[dict[str, Any]]:
    """The results of one image, in order: image_id, category_id, segmentation (RLE), score.

    Without bbox: where a result has one, pycocotools takes the box's area for the mask's, and
    with it another definition of small, medium and large.
    """
    for mask, score, category in masks:
        yield {
            "image_id": image_id,
            "category_id": category if ids is None else ids[category],
            "segmentation": rle_to_coco(mask),
            "score": float(score),
        }


class ListedImages:
    """The images that a COCO file lists, and its categories. Each image may be taken up once."""

    def __init__(self, path: Path) -> None:
        """Raises UserError, naming the file, if it is no COCO file with images."""
        self.path = path
        self._entries: dict[str, ImageEntry] = {}
        self._taken: dict[int, Path] = {}
        for record in read_tables(path, ("images",), ("images",)):
            try:
                entry = to_image(record.value)
            except UserError as error:
                raise UserError(f"{path}: {error}; export the annotations again") from error
            name = _listed_name(entry.file_name)
            if self._entries.setdefault(name, entry) is not entry:
                raise UserError(
                    f'{path}: two images have the file_name "{entry.file_name}"; give each its own'
                )

    def identify(self, source: Source, height: int, width: int) -> Source:
        """The source with the id of the image that is listed under its path, or the path's end.

        Raises UserError, naming the image, if there is none, if it has another size, or if
        another file has taken it up.
        """
        entry = self._find(source.path)
        if (entry.height, entry.width) != (height, width):
            raise UserError(
                f"{source.path}: {width} x {height} pixels, {self.path} says {entry.width} x "
                f"{entry.height}; give the images that were annotated"
            )
        other = self._taken.setdefault(entry.image_id, source.path)
        if other is not source.path:
            raise UserError(
                f'{source.path}: {self.path} lists one image "{entry.file_name}", and {other} is '
                "taken for it; give one of the two"
            )
        return replace(source, image_id=entry.image_id)

    def category_ids(self, categories: Mapping[int, str]) -> Mapping[int, int]:
        """What the file calls each category, by name; masks that nobody labelled keep their own.

        Raises UserError, naming the first, if some have not one category of their name there.
        """
        if categories == CLASS_AGNOSTIC:
            return {category: category for category in categories}
        ids = ids_by_name(categories, read_categories(self.path))
        lacking = [name for category, name in categories.items() if category not in ids]
        if lacking:
            raise UserError(
                f"{self.path}: {len(lacking)} of the model's {len(categories)} labels, "
                f"{short(lacking[0])} the first, have no category of their name there, or two; add "
                "them to its categories, or leave --annotations out"
            )
        return ids

    def _find(self, image: Path) -> ImageEntry:
        parts = image.absolute().parts
        for start in range(len(parts)):
            entry = self._entries.get(os.path.join(*parts[start:]))
            if entry is not None:
                return entry
        raise UserError(
            f"{image}: {self.path} lists no image of this name; give the file that does, or none"
        )


def _listed_name(file_name: str) -> str:
    """Without a leading "./"; of Windows' paths to another folder or computer the last part."""
    name = os.path.normpath(file_name.replace("\\", "/"))
    elsewhere = "\\" in file_name and (name.startswith("..") or ":" in name)
    return name.rpartition("/")[2] if elsewhere else name


class _List:
    """The elements of a JSON list, a line each."""

    def __init__(self, file: BinaryIO) -> None:
        self.file = file
        self.length = 0

    def append(self, element: Mapping[str, Any]) -> None:
        self.file.write(b",\n" if self.length else b"\n")
        self.file.write(json.dumps(element).encode("ascii"))
        self.length += 1
