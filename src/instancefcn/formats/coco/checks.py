"""What is wrong where in a data set of COCO's format."""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Generator, Iterable, Iterator, Mapping
from itertools import chain
from pathlib import Path
from reprlib import repr as short
from typing import Any

import numpy as np

from instancefcn.core.errors import UserError
from instancefcn.core.rle import mask_area, mask_box
from instancefcn.core.types import Rle
from instancefcn.data.checks import image_problems, object_problems, unknown_category
from instancefcn.data.dataset import Problem, Severity
from instancefcn.formats.coco.reading import Entry, read_tables
from instancefcn.formats.coco.records import (
    LISTS,
    PARSERS,
    Annotation,
    ImageEntry,
    has_mask,
    image_path,
    to_image,
    to_rle,
)

ROUNDING = 2.0
"""Pixels by which outlines may leave the image, and boxes their masks."""


def problems(
    annotations: Path, images: Path, decode: bool, outside: bool = False
) -> Iterator[Problem]:
    """All that is wrong with a COCO file and the images of its folder, see ``Dataset.problems``.

    The file is read entry by entry: to the end of its images, then once more.
    """
    try:
        entries, errors = yield from _image_entries(annotations)
        for entry in entries:
            where = f"{annotations}, image {entry.image_id}"
            try:
                path = image_path(images, entry.file_name, outside)
            except UserError as error:
                yield Problem("error", "image outside", where, str(error))
                continue
            yield from image_problems(path, entry.height, entry.width, where, decode)
        checked = _Annotations(annotations, {e.image_id: e for e in entries}, errors)
        yield from checked.problems()
    except UserError as error:
        message = str(error).removeprefix(f"{annotations}: ")
        yield Problem("error", "not COCO", str(annotations), message)


def _image_entries(path: Path) -> Generator[Problem, None, tuple[list[ImageEntry], int]]:
    """And the images that can be used, and how many cannot."""
    entries: list[ImageEntry] = []
    errors = 0
    for entry in read_tables(path, LISTS, ("images",)):
        try:
            entries.append(to_image(entry.value))
        except UserError as error:
            errors += 1
            yield _bad_entry(path, entry, error)
    yield from _repeated("error", "image id", (e.image_id for e in entries), path)
    yield from _repeated("warning", "file name", (e.file_name for e in entries), path)
    return entries, errors


def _bad_entry(path: Path, entry: Entry, error: UserError) -> Problem:
    return Problem("error", "bad entry", f"{path}, {entry.table}[{entry.place}]", str(error))


def _repeated(
    severity: Severity, what: str, keys: Iterable[object], path: Path
) -> Iterator[Problem]:
    for key, count in Counter(keys).items():
        if count > 1:
            message = (
                f"{count} entries share the {what} {short(key)}; merge them or tell them apart"
            )
            yield Problem(severity, f"duplicate {what}", str(path), message)


class _Annotations:
    """The check of a file's annotations and categories: what was seen so far.

    Where there are errors, what may be a consequence of them is not told as well.
    """

    def __init__(self, path: Path, images: Mapping[int, ImageEntry], errors: int) -> None:
        self.path = path
        self.images = images
        self.unlisted = errors > 0
        self.errors = errors
        self.objects = self.crowds = self.bare = 0
        self.ids = array("q")
        self.categories: list[int] = []
        self.used: dict[int, str] = {}  # where each category stands first

    def problems(self) -> Iterator[Problem]:
        unnamed = False
        for entry in read_tables(self.path, LISTS, ("annotations", "categories")):
            try:
                value = PARSERS[entry.table](entry.value)
            except UserError as error:
                self.errors += 1
                unnamed |= entry.table == "categories"
                yield _bad_entry(self.path, entry, error)
                continue
            if isinstance(value, Annotation):
                yield from self._annotation(value)
            else:
                self.categories.append(value[0])
        yield from self._repeated_ids()
        yield from _repeated("warning", "category id", self.categories, self.path)
        if not unnamed:
            for category in self.used.keys() - self.categories:
                yield unknown_category(category, self.used[category])
        yield from self._totals()

    def _annotation(self, annotation: Annotation) -> Iterator[Problem]:
        self.ids.append(annotation.annotation_id)
        image = self.images.get(annotation.image_id)
        if image is None:
            if not self.unlisted:
                message = f"of an image {annotation.image_id} that is not listed; list it"
                where = f"{self.path}, annotation {annotation.annotation_id}"
                yield Problem("warning", "unknown image", where, message)
            return
        if annotation.category not in self.used:
            self.used[annotation.category] = self._where(annotation, image)
        if not has_mask(annotation.segmentation):
            self.bare += 1
            message = "it has no outline, as where a box only was drawn; it is left out"
            yield Problem("warning", "no mask", self._where(annotation, image), message)
            return
        try:
            mask = to_rle(annotation.segmentation, image.height, image.width)
        except UserError as error:
            self.errors += 1
            yield Problem("error", "bad mask", self._where(annotation, image), str(error))
            return
        for kind, message in _mask_problems(annotation, mask, image):
            yield Problem("warning", kind, self._where(annotation, image), message)
        if mask_area(mask):
            self.crowds += annotation.crowd
            self.objects += not annotation.crowd

    def _where(self, annotation: Annotation, image: ImageEntry) -> str:
        return (
            f"{self.path}, annotation {annotation.annotation_id} of image {image.image_id} "
            f"({short(image.file_name)})"
        )

    def _repeated_ids(self) -> Iterator[Problem]:
        ids = np.sort(np.array(self.ids, np.int64))
        repeated = ids[1:][ids[1:] == ids[:-1]].tolist()
        yield from _repeated(
            "warning", "annotation id", chain(dict.fromkeys(repeated), repeated), self.path
        )

    def _totals(self) -> Iterator[Problem]:
        if self.bare and not self.errors + self.objects + self.crowds:
            message = (
                f"none of the {self.bare} annotations has an outline, only boxes; export "
                "polygons or masks"
            )
            yield Problem("error", "no objects", str(self.path), message)
        elif not self.errors:
            yield from object_problems(self.objects, self.crowds, str(self.path))


def _mask_problems(
    annotation: Annotation, mask: Rle, image: ImageEntry
) -> Iterator[tuple[str, str]]:
    """Kinds and messages."""
    area = mask_area(mask)
    if not area:
        yield "empty mask", "it covers no pixel; it is left out"
    elif isinstance(annotation.segmentation, list):
        yield from _outside(annotation.segmentation, image)
    if annotation.bbox is not None:
        yield from _box_problems(annotation.bbox, mask_box(mask) if area else None, image)


def _outside(polygons: list[list[float]], image: ImageEntry) -> Iterator[tuple[str, str]]:
    x0, y0 = (min(min(p[i::2]) for p in polygons if p) for i in (0, 1))
    x1, y1 = (max(max(p[i::2]) for p in polygons if p) for i in (0, 1))
    if _leaves(x0, y0, x1, y1, image):
        message = (
            f"it spans x {x0:g} to {x1:g}, y {y0:g} to {y1:g} on an image of "
            f"{image.width} x {image.height}; what lies outside is cut off"
        )
        yield "polygon outside", message


def _box_problems(
    box: Any, tight: tuple[float, ...] | None, image: ImageEntry
) -> Iterator[tuple[str, str]]:
    """``tight`` is the mask's own [x, y, width, height]. Boxes are only compared, never used."""
    numbers = isinstance(box, list) and len(box) == 4 and all(type(v) in (int, float) for v in box)
    if not numbers or not all(abs(v) < 1e9 for v in box) or min(box[2:]) < 0:
        message = f'"bbox" is [x, y, width, height] in pixels, got {short(box)}'
        yield "bad box", message
    elif _leaves(box[0], box[1], box[0] + box[2], box[1] + box[3], image):
        message = f"{short(box)} on an image of {image.width} x {image.height}; recalculate it"
        yield "box outside", message
    elif tight and not _alike(box, tight):
        message = f"the box is {short(box)}, its mask's {list(tight)}; one of them is wrong"
        yield "box unlike mask", message


def _alike(box: Iterable[float], tight: tuple[float, ...]) -> bool:
    slack = _slack(tight)
    return all(abs(a - b) <= slack for a, b in zip(_corners(box), _corners(tight), strict=True))


def _corners(box: Iterable[float]) -> tuple[float, float, float, float]:
    x, y, width, height = box
    return x, y, x + width, y + height


def _slack(box: tuple[float, ...]) -> float:
    """COCO's own boxes are off by a seventh now and then: slivers of polygons fill no pixel."""
    return ROUNDING + 0.2 * max(box[2:])


def _leaves(x0: float, y0: float, x1: float, y1: float, image: ImageEntry) -> bool:
    return min(x0, y0) < -ROUNDING or x1 > image.width + ROUNDING or y1 > image.height + ROUNDING
