"""What is wrong where in a data set of COCO's format."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Generator, Iterable, Iterator
from pathlib import Path
from reprlib import repr as short
from typing import Any, TypeVar

import numpy as np

from instancefcn.core.rle import mask_area, mask_box
from instancefcn.data.checks import image_problems, no_objects, unknown_category
from instancefcn.data.dataset import Problem, Severity
from instancefcn.formats.coco.records import (
    Annotation,
    ImageEntry,
    read_coco,
    to_annotation,
    to_category,
    to_image,
    to_rle,
)

T = TypeVar("T")

ROUNDING = 2.0
"""Pixels by which outlines may leave the image, and boxes their masks."""


def problems(annotations: Path, images: Path, decode: bool) -> Iterator[Problem]:
    """All that is wrong with a COCO file and the images of its folder, see ``Dataset.problems``."""
    try:
        content = read_coco(annotations)
    except ValueError as error:
        yield Problem("error", "not COCO", str(annotations), str(error))
        return
    name = str(annotations)
    entries = yield from _parsed(content["images"], to_image, f"{name}, images")
    objects = yield from _parsed(content["annotations"], to_annotation, f"{name}, annotations")
    categories = yield from _parsed(content["categories"], to_category, f"{name}, categories")

    yield from _repeated("error", "image id", (e.image_id for e in entries), name)
    yield from _repeated("warning", "file name", (e.file_name for e in entries), name)
    yield from _repeated("warning", "annotation id", (a.annotation_id for a in objects), name)
    yield from _repeated("warning", "category id", (c[0] for c in categories), name)

    for entry in entries:
        where = f"{name}, image {entry.image_id}"
        path = images / entry.file_name
        yield from image_problems(path, entry.height, entry.width, where, decode)
    yield from _object_problems(objects, entries, dict(categories), name)


def _parsed(
    records: Iterable[Any], parse: Callable[[Any], T], where: str
) -> Generator[Problem, None, list[T]]:
    """The records that can be used, and an error for each other."""
    parsed = []
    for index, record in enumerate(records):
        try:
            parsed.append(parse(record))
        except ValueError as error:
            yield Problem("error", "bad entry", f"{where}[{index}]", str(error))
    return parsed


def _repeated(
    severity: Severity, what: str, keys: Iterable[object], where: str
) -> Iterator[Problem]:
    for key, count in Counter(keys).items():
        if count > 1:
            message = (
                f"{count} entries share the {what} {short(key)}; merge them or tell them apart"
            )
            yield Problem(severity, f"duplicate {what}", where, message)


def _object_problems(
    objects: Iterable[Annotation],
    entries: Iterable[ImageEntry],
    categories: dict[int, str],
    name: str,
) -> Iterator[Problem]:
    images = {entry.image_id: entry for entry in entries}
    covered = 0
    for annotation in objects:
        where = f"{name}, annotation {annotation.annotation_id}"
        image = images.get(annotation.image_id)
        if image is None:
            message = f"of an image {annotation.image_id} that is not listed; list it"
            yield Problem("warning", "unknown image", where, message)
            continue
        where = f"{where} of image {image.image_id} ({short(image.file_name)})"
        if annotation.category not in categories:
            yield unknown_category(annotation.category, where)
        area = yield from _mask_problems(annotation, image, where)
        covered += 0 if annotation.crowd else area
    if not covered:
        yield no_objects(name)


def _mask_problems(
    annotation: Annotation, image: ImageEntry, where: str
) -> Generator[Problem, None, int]:
    """And the mask's area."""
    try:
        mask = to_rle(annotation.segmentation, image.height, image.width)
    except ValueError as error:
        yield Problem("error", "bad mask", where, str(error))
        return 0
    area = mask_area(mask)
    if not area:
        yield Problem("warning", "empty mask", where, "it covers no pixel; it will be left out")
    elif isinstance(annotation.segmentation, list):
        yield from _outside(annotation.segmentation, image, where)
    if annotation.bbox is not None:
        yield from _box_problems(annotation.bbox, mask_box(mask) if area else None, image, where)
    return area


def _outside(polygons: list[list[float]], image: ImageEntry, where: str) -> Iterator[Problem]:
    x = [value for polygon in polygons for value in polygon[::2]]
    y = [value for polygon in polygons for value in polygon[1::2]]
    if _leaves(min(x), min(y), max(x), max(y), image):
        message = (
            f"it spans x {min(x):g} to {max(x):g}, y {min(y):g} to {max(y):g} on an image of "
            f"{image.width} x {image.height}; what lies outside is cut off"
        )
        yield Problem("warning", "polygon outside", where, message)


def _box_problems(
    box: Any, tight: tuple[float, ...] | None, image: ImageEntry, where: str
) -> Iterator[Problem]:
    """``tight`` is the mask's own [x, y, width, height]. Boxes are only compared, never used."""
    numbers = isinstance(box, list) and len(box) == 4 and all(type(v) in (int, float) for v in box)
    if not numbers or not all(abs(v) < 1e9 for v in box) or min(box[2:]) < 0:
        message = f'"bbox" is [x, y, width, height] in pixels, got {short(box)}'
        yield Problem("warning", "bad box", where, message)
    elif _leaves(box[0], box[1], box[0] + box[2], box[1] + box[3], image):
        message = f"{short(box)} on an image of {image.width} x {image.height}; recalculate it"
        yield Problem("warning", "box outside", where, message)
    elif tight and not np.allclose(_corners(box), _corners(tight), rtol=0, atol=_slack(tight)):
        message = f"the box is {short(box)}, its mask's {list(tight)}; one of them is wrong"
        yield Problem("warning", "box unlike mask", where, message)


def _corners(box: Iterable[float]) -> tuple[float, float, float, float]:
    x, y, width, height = box
    return x, y, x + width, y + height


def _slack(box: tuple[float, ...]) -> float:
    """COCO's own boxes are off by a seventh now and then: slivers of polygons fill no pixel."""
    return ROUNDING + 0.2 * max(box[2:])


def _leaves(x0: float, y0: float, x1: float, y1: float, image: ImageEntry) -> bool:
    return min(x0, y0) < -ROUNDING or x1 > image.width + ROUNDING or y1 > image.height + ROUNDING
