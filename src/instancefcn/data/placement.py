"""Where an image lands on a sample, and drawing it there without resizing the rest of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from instancefcn.core.rle import decode_columns, mask_box
from instancefcn.core.types import Rle

FINENESS = 20
"""What is drawn is off by less than so small a part of a pixel of the picture, for speed."""


@dataclass(frozen=True)
class Placement:
    """Where an image lands on a training sample: resized to width x height, mirrored or not,
    its upper left corner at (x, y) of the sample, which may lie outside.
    """

    width: int
    height: int
    x: int
    y: int
    mirrored: bool


def place_image(
    image: NDArray[np.uint8], placement: Placement, height: int, width: int, fill: int
) -> NDArray[np.uint8]:
    """An image (H, W, 3) on a canvas (height, width, 3) of the value ``fill``."""
    canvas = np.full((height, width, 3), fill, np.uint8)
    size = image.shape[:2]
    _draw(canvas, lambda rows, columns: image[rows, columns], size, placement, (0, 0, *size[::-1]))
    return canvas


def place_mask(mask: Rle, placement: Placement, height: int, width: int) -> NDArray[np.bool_]:
    """A mask on a canvas (height, width) of background. Only its box is decoded."""
    canvas = np.zeros((height, width), np.uint8)
    x, y, w, h = (int(v) for v in mask_box(mask))

    def part(rows: slice, columns: slice) -> NDArray[np.uint8]:
        inside = decode_columns(mask, columns.start, columns.stop)[rows]
        return inside.astype(np.uint8, order="C") * np.uint8(255)

    _draw(canvas, part, (mask.height, mask.width), placement, (x, y, x + w, y + h))
    return canvas > 127


def _draw(
    canvas: NDArray[np.uint8],
    part: Callable[[slice, slice], NDArray[np.uint8]],
    size: tuple[int, ...],
    placement: Placement,
    box: tuple[int, ...],
) -> None:
    """Resize, mirror and move a picture of ``size`` (H, W) onto a canvas.

    ``part`` gives its rows and columns. Beyond ``box`` (x0, y0, x1, y1) it is as the canvas is.
    """
    down = _Axis(size[0], placement.height, placement.y, False)
    across = _Axis(size[1], placement.width, placement.x, placement.mirrored)
    y0, y1 = down.landing(box[1], box[3], canvas.shape[0])
    x0, x1 = across.landing(box[0], box[2], canvas.shape[1])
    if y0 >= y1 or x0 >= x1:
        return
    rows, skipped_rows = down.source(y0, y1)
    columns, skipped_columns = across.source(x0, x1)
    resized = cv2.resize(
        np.ascontiguousarray(part(rows, columns)),
        None,
        fx=placement.width / size[1],
        fy=placement.height / size[0],
        interpolation=cv2.INTER_AREA if placement.width < size[1] else cv2.INTER_LINEAR,
    )[skipped_rows:, skipped_columns:][: y1 - y0, : x1 - x0]
    rows, columns = down.target(y0, y1), across.target(x0, x1)
    canvas[rows, columns] = resized[:, ::-1] if placement.mirrored else resized


@dataclass(frozen=True)
class _Axis:
    """One axis of a picture: its ``length`` pixels are resized to ``resized``, mirrored or not, and
    begin at ``start`` of the canvas.
    """

    length: int
    resized: int
    start: int
    mirrored: bool

    def landing(self, first: int, last: int, canvas: int) -> tuple[int, int]:
        """The resized pixels of the picture's first .. last that are seen on a canvas."""
        seen = -self.start, canvas - self.start
        if self.mirrored:
            seen = self.resized - seen[1], self.resized - seen[0]
        # A pixel more at either end, as a filter blurs a border.
        drawn = [end * self.resized // self.length for end in (first, last)]
        return max(0, seen[0], drawn[0] - 1), min(self.resized, seen[1], drawn[1] + 2)

    def target(self, first: int, last: int) -> slice:
        """Where resized pixels first .. last land on the canvas."""
        if self.mirrored:
            first, last = self.resized - last, self.resized - first
        return slice(self.start + first, self.start + last)

    def source(self, first: int, last: int) -> tuple[slice, int]:
        """The picture's pixels that resized pixels first .. last are made of, and how many resized
        pixels come before these then.

        They begin where a resized pixel does, but for 1 / FINENESS of a pixel.
        """
        reach = -(-self.resized // self.length)  # what interpolation looks at beyond
        begin = max(0, first - reach)
        while begin * self.length % self.resized * FINENESS >= self.resized:
            begin -= 1
        stop = (last + reach) * self.length // self.resized + 2
        return slice(begin * self.length // self.resized, min(self.length, stop)), first - begin
