"""Which annotations are sound at a glance: many at once by arithmetic, none of them drawn."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import chain
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from instancefcn.core.rle import MAX_OUTLINE
from instancefcn.formats.coco.records import Annotation, ImageEntry
from instancefcn.formats.coco.spans import ROUNDING, SLACK

MARGIN = 2.0
"""Pixels from a point to an outline: no rounding moves the pixel there to the other side."""

LARGEST_SIDE = 10_000
"""Pixels: an image of such sides is within the limits of drawing."""

Floats: TypeAlias = NDArray[np.float64]
Flags: TypeAlias = NDArray[np.bool_]
Places: TypeAlias = NDArray[np.int64]


def sound_at_a_glance(
    annotations: Sequence[Annotation], images: Mapping[int, ImageEntry]
) -> list[bool]:
    """Of which annotations there is nothing to tell but that they are objects.

    Their outlines lie in their image, their boxes fit these, and the middle of one outline is well
    inside it, so that it covers a pixel. Invariant: what is sound at a glance is sound when it is
    drawn; others may be too.
    """
    places = [i for i, each in enumerate(annotations) if _has_outlines(each, images)]
    ordinary = [annotations[i] for i in places]
    outlines = [outline for each in ordinary for outline in each.segmentation]
    numbers = [*chain.from_iterable(outlines), *chain.from_iterable(a.bbox for a in ordinary)]
    values = _as_floats(numbers)
    sound = np.zeros(len(annotations), np.bool_)
    if places and values is not None:
        points, boxes = np.split(values, [len(values) - 4 * len(places)])
        of_image = (images[each.image_id] for each in ordinary)
        with np.errstate(all="ignore"):  # NaN and infinity are not sound
            sound[places] = _are_sound(
                points.reshape(-1, 2),
                _starts([len(outline) // 2 for outline in outlines]),
                _starts([len(each.segmentation) for each in ordinary]),
                boxes.reshape(-1, 4),
                np.array([(image.width, image.height) for image in of_image], np.float64),
            )
    found: list[bool] = sound.tolist()
    return found


def _has_outlines(annotation: Annotation, images: Mapping[int, ImageEntry]) -> bool:
    """Of an image that is listed, each of three points or more, and a box of four values."""
    outlines, box = annotation.segmentation, annotation.bbox
    if annotation.image_id not in images or not isinstance(outlines, list) or not outlines:
        return False
    if not isinstance(box, list) or len(box) != 4:
        return False
    return all(isinstance(o, list) and len(o) >= 6 and len(o) % 2 == 0 for o in outlines)


def _as_floats(values: Sequence[object]) -> Floats | None:
    """None if they are not all numbers that a float can be."""
    if not set(map(type, values)) <= {int, float}:
        return None
    try:
        return np.array(values, np.float64)
    except OverflowError:
        return None


def _starts(lengths: Sequence[int]) -> Places:
    """Where each part begins, of so many elements."""
    return np.cumsum([0, *lengths[:-1]])


def _are_sound(
    points: Floats, outlines: Places, objects: Places, boxes: Floats, sizes: Floats
) -> Flags:
    """Of objects (n,). points (m, 2), outline by outline; where each outline begins among them,
    and each object among the outlines. boxes (n, 4) as COCO has them; sizes (n, 2) of the images.
    """
    low, high = np.minimum.reduceat(points, outlines), np.maximum.reduceat(points, outlines)
    inside = _are_well_inside((low + high) / 2, points, outlines)
    first, last = np.minimum.reduceat(low, objects), np.maximum.reduceat(high, objects)
    corner, opposite = boxes[:, :2], boxes[:, :2] + boxes[:, 2:]
    lengths = np.diff(outlines[objects], append=len(points)) * (sizes.max(1) + 2 * ROUNDING)
    sound: Flags = (
        np.logical_or.reduceat(inside, objects)
        & (2 * lengths <= MAX_OUTLINE)
        & (sizes.max(1) <= LARGEST_SIDE)
        & _lie_within(first, last, sizes)
        & _lie_within(corner, opposite, sizes)
        & (boxes[:, 2:] >= 0).all(1)
        & _are_alike(corner, opposite, first.clip(min=0), np.minimum(last, sizes))
    )
    return sound


def _lie_within(first: Floats, last: Floats, sizes: Floats) -> Flags:
    """Whether these corners (n, 2) are in the images, but for rounding."""
    within = (first >= -ROUNDING) & (last <= sizes + ROUNDING)
    return within[:, 0] & within[:, 1]


def _are_alike(corner: Floats, opposite: Floats, first: Floats, last: Floats) -> Flags:
    """Whether boxes fit the objects between first and last, corners (n, 2) all of them."""
    apart: Floats = np.maximum(np.abs(corner - first), np.abs(opposite - last)).max(1)
    slack: Floats = ROUNDING + SLACK * (last - first).max(1)
    return apart <= slack


def _are_well_inside(middles: Floats, points: Floats, outlines: Places) -> Flags:
    """Whether the middles (n, 2) are inside their outlines, and ``MARGIN`` away from these.

    A ray to the right from a point inside crosses an outline an odd number of times.
    """
    lengths = np.diff(outlines, append=len(points))
    following = np.arange(1, len(points) + 1)
    following[outlines + lengths - 1] = outlines
    one = points - np.repeat(middles, lengths, axis=0)  # the ends of edges, seen from the middle
    other = one[following]
    edge = other - one
    crosses = (one[:, 1] > 0) != (other[:, 1] > 0)
    to_the_right = (one[:, 0] * other[:, 1] > one[:, 1] * other[:, 0]) == (edge[:, 1] > 0)
    times = np.add.reduceat((crosses & to_the_right).astype(np.int64), outlines)
    along = -(one * edge).sum(1) / np.maximum((edge**2).sum(1), 1e-9)
    nearest = one + along.clip(0, 1)[:, None] * edge
    away = np.minimum.reduceat((nearest**2).sum(1), outlines) >= MARGIN**2
    inside: Flags = (times % 2 == 1) & away
    return inside
