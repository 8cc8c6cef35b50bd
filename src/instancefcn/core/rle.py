"""Run-length encoding: the one form in which full-size masks are kept (``types.Rle``).

pycocotools' format, in C where it offers that.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from reprlib import repr as short
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pycocotools import mask as coco_mask

from instancefcn.core.errors import UserError
from instancefcn.core.types import Rle


def encode(mask: NDArray[np.bool_]) -> Rle:
    """The RLE of a mask (H, W) bool, in any memory order. ``decode`` is its inverse."""
    return _rle(coco_mask.encode(np.asfortranarray(mask, dtype=np.uint8)))


def decode(rle: Rle) -> NDArray[np.bool_]:
    """The mask (H, W) bool of an RLE."""
    runs = _run_lengths(rle.counts)
    pixels: NDArray[np.bool_] = np.repeat(np.arange(len(runs)) % 2 == 1, runs)
    return pixels.reshape((rle.height, rle.width), order="F")


def holds(rle: Rle, x: int, y: int) -> bool:
    """Is the pixel (x, y) inside the mask?"""
    ends = np.cumsum(_run_lengths(rle.counts))
    return bool(np.searchsorted(ends, x * rle.height + y, side="right") % 2)


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

    Raises ValueError unless the runs fill the mask exactly: pycocotools would hand out
    uninitialised memory for what they leave open.
    """
    size, counts = segmentation.get("size", ()), segmentation.get("counts", ())
    if not (_are_integers(size) and len(size) == 2 and min(size) > 0):
        raise UserError(f"an RLE's size is [height, width] in pixels, got {short(size)}")
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
            f"these do not: {short(counts)}"
        )
    return Rle(height, width, counts) if isinstance(counts, bytes) else compress(runs, *size)


def polygons_to_rle(polygons: Sequence[Sequence[float]], height: int, width: int) -> Rle:
    """The union of polygons [x0, y0, x1, y1, ...] in pixels, filled as COCO does.

    Raises ValueError for a polygon of fewer than three points, or with anything but numbers of
    less than a million pixels. No polygon at all is an empty mask.
    """
    for polygon in polygons:
        if len(polygon) < 6 or len(polygon) % 2 or not _are_coordinates(polygon):
            raise UserError(
                "a polygon is a list [x0, y0, x1, y1, ...] of at least three points, "
                f"got {short(polygon)}"
            )
    if not polygons:
        return encode(np.zeros((height, width), np.bool_))
    # pycocotools takes an outer list whose first element has four numbers for boxes, not polygons.
    parts = coco_mask.frPyObjects([list(map(float, p)) for p in polygons], height, width)
    return _rle(coco_mask.merge(parts))


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
    well_formed = len(ends) and ends[-1] == len(groups) - 1 and lengths.max() <= 7
    if not well_formed or groups.min() < 0 or groups.max() > 63:
        return np.zeros(0, np.int64)
    place = 5 * (np.arange(len(groups)) - np.repeat(ends - lengths + 1, lengths))
    runs = np.add.reduceat((groups & 31) << place, ends - lengths + 1)
    runs -= np.where(groups[ends] & 16, 1 << 5 * lengths, 0)
    runs[1::2] = np.cumsum(runs[1::2])
    runs[2::2] = np.cumsum(runs[2::2])
    return runs


def _are_integers(values: Any) -> bool:
    return isinstance(values, list | tuple) and all(
        type(v) is int and abs(v) < 2**31 for v in values
    )


def _are_coordinates(values: Sequence[object]) -> bool:
    """Numbers, and no farther off than pycocotools, which walks each edge, comes back from."""
    return all(isinstance(v, int | float) and abs(v) < 2**20 for v in values)
