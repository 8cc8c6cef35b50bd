"""Run-length encoding: the one form in which full-size masks are kept (``types.Rle``).

pycocotools' format, in C where it offers that.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from reprlib import repr as short
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pycocotools import mask as coco_mask

from instancefcn.core.errors import UserError
from instancefcn.core.limits import limit
from instancefcn.core.types import Rle

MAX_OUTLINE = limit("MAX_OUTLINE", 1_000_000)
"""Pixels along the outlines of one object: pycocotools takes 120 bytes for each."""

MAX_COUNTS = limit("MAX_COUNTS", 4_000_000)
"""Characters of one RLE, each of which takes 60 bytes while it is read."""

_PIXELS = 2**29 - 1
"""Of a mask. pycocotools holds positions in 32 bits, and writes a run in six characters."""

_TOGETHER = 16
"""Outlines united at once. pycocotools adds one after another, each time the whole again."""


def encode(mask: NDArray[np.bool_]) -> Rle:
    """The RLE of a mask (H, W) bool, in any memory order. ``decode`` is its inverse."""
    return _rle(coco_mask.encode(np.asfortranarray(mask, dtype=np.uint8)))


def decode(rle: Rle) -> NDArray[np.bool_]:
    """The mask (H, W) bool of an RLE."""
    return decode_columns(rle, 0, rle.width)


def decode_columns(rle: Rle, first: int, last: int) -> NDArray[np.bool_]:
    """Columns first .. last of a mask, (H, last - first) bool; takes no time for the others."""
    start, end = first * rle.height, last * rle.height
    ends = np.cumsum(_run_lengths(rle.counts)).clip(start, end)
    pixels: NDArray[np.bool_] = np.repeat(
        np.arange(len(ends)) % 2 == 1, np.diff(ends, prepend=start)
    )
    return pixels.reshape((rle.height, last - first), order="F")


def holds(rle: Rle, x: int, y: int) -> bool:
    """Is the pixel (x, y) inside the mask?"""
    ends = np.cumsum(_run_lengths(rle.counts))
    return bool(np.searchsorted(ends, x * rle.height + y, side="right") % 2)


def encode_labels(labels: NDArray[np.integer[Any]]) -> dict[int, Rle]:
    """The mask of each value of a label map (H, W) of at least one pixel, by value.

    One pass, however many values there are. Invariant: each pixel is in one mask.
    """
    height, width = labels.shape
    flat = labels.ravel(order="F")
    starts = np.flatnonzero(np.append(True, flat[1:] != flat[:-1]))
    ends = np.append(starts[1:], flat.size)
    order = np.argsort(flat[starts], kind="stable")  # runs of one value stay in order
    values, first = np.unique(flat[starts][order], return_index=True)
    masks = {}
    for value, of_value in zip(values.tolist(), np.split(order, first[1:]), strict=True):
        bounds = np.stack([starts[of_value], ends[of_value]], axis=1).ravel()
        runs = np.diff(bounds, prepend=0, append=flat.size)
        masks[value] = compress(runs if runs[-1] else runs[:-1], height, width)
    return masks


def compress(runs: NDArray[np.int64], height: int, width: int) -> Rle:
    """The RLE of run lengths, column by column, background first; they fill the mask."""
    uncompressed = {"size": [height, width], "counts": runs}
    return _rle(coco_mask.frPyObjects(uncompressed, height, width))


def rle_to_coco(rle: Rle) -> dict[str, object]:
    """COCO's dictionary, ready for JSON and for pycocotools: size [height, width], counts str."""
    return {"size": [rle.height, rle.width], "counts": rle.counts.decode("ascii")}


def rle_from_coco(segmentation: Mapping[str, Any]) -> Rle:
    """The RLE of a COCO dictionary: size [height, width]; counts compressed (str or bytes) or a
    list of run lengths.

    Raises UserError unless the runs fill the mask exactly: pycocotools would hand out
    uninitialised memory for what they leave open. Invariant: no run but the first is empty.
    """
    size, counts = segmentation.get("size", ()), segmentation.get("counts", ())
    if not (_are_integers(size) and len(size) == 2 and min(size) > 0):
        raise UserError(f"an RLE's size is [height, width] in pixels, got {short(size)}")
    _require_length(counts)
    if isinstance(counts, str):
        counts = counts.encode(errors="surrogatepass")
    if isinstance(counts, bytes):
        runs = _run_lengths(counts)
    elif _are_integers(counts):
        runs = np.asarray(counts, np.int64)
    else:
        raise UserError(f"an RLE's counts are a string or a list of integers, got {short(counts)}")
    height, width = size
    if runs.min(initial=0) < 0 or runs.sum() != height * width:
        raise UserError(
            f"an RLE's runs add up to its size, {height} x {width} = {height * width} pixels; "
            f"these do not: {short(counts)}; export the mask again"
        )
    _require_pixels(height, width)
    if (runs[1:] == 0).any():
        # pycocotools writes beyond its memory where empty runs make more runs than pixels.
        return compress(_without_empty_runs(runs), height, width)
    return Rle(height, width, counts) if isinstance(counts, bytes) else compress(runs, *size)


def polygons_to_rle(polygons: Sequence[Sequence[float]], height: int, width: int) -> Rle:
    """The union of polygons [x0, y0, x1, y1, ...] in pixels, filled as COCO does.

    Raises UserError for a polygon of fewer than three points, with anything but numbers of
    less than a million pixels, or for outlines longer than ``MAX_OUTLINE`` in all. No polygon at
    all is an empty mask.
    """
    for polygon in polygons:
        if len(polygon) < 6 or len(polygon) % 2 or not _are_coordinates(polygon):
            raise UserError(
                "a polygon is a list [x0, y0, x1, y1, ...] of at least three points, numbers of "
                f"less than a million pixels, got {short(polygon)}; draw it again or take it out"
            )
    _require_pixels(height, width)
    if not polygons:
        return compress(np.array([height * width]), height, width)
    length = _outline(polygons)
    if length > MAX_OUTLINE:
        raise UserError(
            f"an object's outlines are {length:.0f} pixels long, at most {MAX_OUTLINE} are drawn; "
            "mend the annotation, or raise INSTANCEFCN_MAX_OUTLINE"
        )
    # pycocotools takes an outer list whose first element has four numbers for boxes, not polygons.
    parts = coco_mask.frPyObjects([list(map(float, p)) for p in polygons], height, width)
    while len(parts) > 1:
        groups = range(0, len(parts), _TOGETHER)
        parts = [coco_mask.merge(parts[i : i + _TOGETHER]) for i in groups]
    return _rle(parts[0])


def mask_area(rle: Rle) -> int:
    """The number of pixels inside."""
    return int(coco_mask.area(rle_to_coco(rle)))


def mask_box(rle: Rle) -> tuple[float, ...]:
    """The tight box (x, y, width, height) of COCO."""
    return tuple(coco_mask.toBbox(rle_to_coco(rle)).tolist())


def _rle(segmentation: Mapping[str, Any]) -> Rle:
    """Of pycocotools' own dictionary, whose counts are valid bytes."""
    height, width = segmentation["size"]
    return Rle(int(height), int(width), segmentation["counts"])


def _run_lengths(counts: bytes) -> NDArray[np.int64]:
    """Of COCO's compressed counts; none if the bytes are no such counts.

    A number is written in groups of 5 bits, low first, each a byte from 48 on; bit 5 of the group
    says that the number goes on, bit 4 of the last group is its sign. From the fourth number on,
    each is the difference to the last but one.
    """
    groups = np.frombuffer(counts, np.uint8).astype(np.int64) - 48
    ends = np.flatnonzero(groups & 32 == 0)
    lengths = np.diff(ends, prepend=-1)
    well_formed = len(ends) and ends[-1] == len(groups) - 1 and lengths.max() <= 6
    if not well_formed or groups.min() < 0 or groups.max() > 63:
        return np.zeros(0, np.int64)
    place = 5 * (np.arange(len(groups)) - np.repeat(ends - lengths + 1, lengths))
    runs = np.add.reduceat((groups & 31) << place, ends - lengths + 1)
    runs -= np.where(groups[ends] & 16, 1 << 5 * lengths, 0)
    runs[1::2] = np.cumsum(runs[1::2])
    runs[2::2] = np.cumsum(runs[2::2])
    return runs


def _without_empty_runs(runs: NDArray[np.int64]) -> NDArray[np.int64]:
    ends = np.cumsum(runs)
    real = runs > 0
    inside = (np.arange(len(runs)) % 2 == 1)[real]
    turns = np.flatnonzero(inside[1:] != inside[:-1])
    starts = np.concatenate([[0] if inside[0] else [], [0], ends[real][turns]])
    left: NDArray[np.int64] = np.append(starts[1:], ends[-1]) - starts
    return left.astype(np.int64)


def _require_length(counts: Any) -> None:
    if isinstance(counts, str) and counts[:2] in ("b'", 'b"'):
        raise UserError(
            f"an RLE's counts are the text of Python's bytes, {short(counts)}; write "
            'counts.decode("ascii") into the JSON'
        )
    if isinstance(counts, str | bytes | list) and len(counts) > MAX_COUNTS:
        raise UserError(
            f"an RLE's counts have at most {MAX_COUNTS} characters or numbers, these "
            f"{len(counts)}; mend the annotation, or raise INSTANCEFCN_MAX_COUNTS"
        )


def _require_pixels(height: int, width: int) -> None:
    if height * width > _PIXELS:
        raise UserError(
            f"a mask has at most {_PIXELS} pixels, this one {width} x {height}; cut the image "
            "into tiles"
        )


def _outline(polygons: Sequence[Sequence[float]]) -> float:
    """No less than the pixels that pycocotools walks along polygons, in steps of a fifth."""
    farthest = max(abs(value) for p in polygons for value in (max(p), min(p)))
    at_most = sum(map(len, polygons)) * (farthest + 0.2)
    if at_most <= MAX_OUTLINE:
        return at_most
    return sum(_perimeter(np.asarray(p, np.float64).reshape(-1, 2)) for p in polygons)


def _perimeter(points: NDArray[np.float64]) -> float:
    edges = np.abs(points - np.roll(points, -1, axis=0)).max(1)
    return float((edges + 0.4).sum())  # rounding adds a step, and each edge has both its ends


def _are_integers(values: Any) -> bool:
    return isinstance(values, list | tuple) and all(
        type(v) is int and abs(v) < 2**31 for v in values
    )


def _are_coordinates(values: Sequence[Any]) -> bool:
    """Numbers, and no farther off than positions in 32 bits reach."""
    if not set(map(type, values)) <= {int, float}:
        return False
    return max(values) < 2**20 and min(values) > -(2**20) and math.isfinite(sum(values))
