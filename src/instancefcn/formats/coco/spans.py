"""Whether masks, outlines and boxes fit each other and their image."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from reprlib import repr as short
from typing import Any, TypeAlias

from instancefcn.core.rle import mask_area, mask_box
from instancefcn.core.types import Rle
from instancefcn.formats.coco.records import Annotation, ImageEntry

ROUNDING = 2.0
"""Pixels by which outlines may leave the image, and boxes their masks."""

SLACK = 0.2
"""Of a mask's longer side, by which its box may differ as well: COCO's own are off by a seventh now
and then.
"""

Corners: TypeAlias = tuple[float, float, float, float]
"""x0, y0, x1, y1."""


def mask_problems(
    annotation: Annotation, mask: Rle, image: ImageEntry
) -> Iterator[tuple[str, str]]:
    """Kinds and messages of what is odd about an annotation and the mask that it draws."""
    tight = None
    if not mask_area(mask):
        yield "empty mask", "it covers no pixel; it is left out"
    elif isinstance(annotation.segmentation, list):
        spanned = _span(annotation.segmentation)
        yield from _outside(spanned, image)
        tight = _within(spanned, image)
    else:
        tight = _corners(mask_box(mask))
    if annotation.bbox is not None:
        yield from _box_problems(annotation.bbox, tight, image)


def _span(polygons: list[list[float]]) -> Corners:
    """What outlines span; lone points and lines are none."""
    drawn = [polygon for polygon in polygons if len(polygon) >= 6]
    x0, y0 = (min(min(polygon[i::2]) for polygon in drawn) for i in (0, 1))
    x1, y1 = (max(max(polygon[i::2]) for polygon in drawn) for i in (0, 1))
    return x0, y0, x1, y1


def _within(corners: Corners, image: ImageEntry) -> Corners:
    x0, y0, x1, y1 = corners
    return max(x0, 0), max(y0, 0), min(x1, image.width), min(y1, image.height)


def _outside(spanned: Corners, image: ImageEntry) -> Iterator[tuple[str, str]]:
    x0, y0, x1, y1 = spanned
    if _leaves(x0, y0, x1, y1, image):
        message = (
            f"it spans x {x0:g} to {x1:g}, y {y0:g} to {y1:g} on an image of "
            f"{image.width} x {image.height}; what lies outside is cut off"
        )
        yield "polygon outside", message


def _box_problems(box: Any, tight: Corners | None, image: ImageEntry) -> Iterator[tuple[str, str]]:
    """``tight``: of the mask's outlines, or of its pixels. Boxes are only compared, never used."""
    numbers = isinstance(box, list) and len(box) == 4 and all(type(v) in (int, float) for v in box)
    if not numbers or not all(abs(v) < 1e9 for v in box) or min(box[2:]) < 0:
        message = f'"bbox" is [x, y, width, height] in pixels, got {short(box)}'
        yield "bad box", message
    elif _leaves(box[0], box[1], box[0] + box[2], box[1] + box[3], image):
        message = f"{short(box)} on an image of {image.width} x {image.height}; recalculate it"
        yield "box outside", message
    elif tight and not _alike(box, tight):
        x0, y0, x1, y1 = tight
        own = f"[{x0:g}, {y0:g}, {x1 - x0:g}, {y1 - y0:g}]"
        yield "box unlike mask", f"the box is {short(box)}, its mask's {own}; one of them is wrong"


def _alike(box: Iterable[float], tight: Corners) -> bool:
    slack = ROUNDING + SLACK * max(tight[2] - tight[0], tight[3] - tight[1])
    return all(abs(a - b) <= slack for a, b in zip(_corners(box), tight, strict=True))


def _corners(box: Iterable[float]) -> Corners:
    x, y, width, height = box
    return x, y, x + width, y + height


def _leaves(x0: float, y0: float, x1: float, y1: float, image: ImageEntry) -> bool:
    return min(x0, y0) < -ROUNDING or x1 > image.width + ROUNDING or y1 > image.height + ROUNDING
