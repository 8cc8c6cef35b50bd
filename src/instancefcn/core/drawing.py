"""Mask logits of windows -> binary masks of a whole image, as run-length encoding.

Pixel i spans [i, i + 1), so its centre is i + 0.5. Shapes follow the legend in ``types``.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from instancefcn.core.rle import compress, decode
from instancefcn.core.types import Floats, Integers, Rle

CHUNK = 64  # masks drawn at a time


def paste(logits: Floats, window: Floats, height: int, width: int) -> NDArray[np.bool_]:
    """The full-size mask (H, W) bool of the logits (m, m) of one window (4,) in pixels.

    The logit of a pixel is the bilinear interpolation, at the pixel's centre, of the cells' logits
    at the cells' centres; above 0 is foreground, outside the window background. Past the outermost
    centres their logits hold on. Cells whose centres lie off the image hold no evidence; so they
    are not drawn from, and what the border of the image cuts is drawn right up to the border.
    """
    return decode(mask_rle(logits, window, height, width))


def mask_rle(logits: Floats, window: Floats, height: int, width: int) -> Rle:
    """``encode(paste(...))``, without the full-size mask."""
    return _draw(logits[None], window[None], height, width)[0]


def draw(logits: Floats, windows: Floats, height: int, width: int) -> Iterator[Rle]:
    """The full-size masks of logits (n, m, m) of windows (n, 4), in order, a few at a time.

    Invariant: each is ``mask_rle`` of its own logits and window.
    """
    for start in range(0, len(logits), CHUNK):
        part = slice(start, start + CHUNK)
        yield from _draw(logits[part], windows[part], height, width)


def _draw(logits: Floats, windows: Floats, height: int, width: int) -> list[Rle]:
    """RLEs of the masks that the logits (n, m, m) of windows (n, 4) draw on an image.

    Between the centres of four neighbouring cells the logit is bilinear: it crosses zero only where
    the four differ in sign, and once at most down a column of pixels. These crossings, rounded to
    pixels, are the ends of the runs; no other pixel is looked at.
    """
    m = logits.shape[-1]
    boxes = windows.astype(np.float64)
    cell = (boxes[:, 2:] - boxes[:, :2]) / m
    (x0, y0), (cell_x, cell_y) = boxes[:, :2].T, cell.T
    size = np.array([width, height])
    grid = _evidence(logits, boxes[:, :2], cell, size)
    mask, i, j, corners = _mixed(grid)

    at = np.concatenate(([0], np.arange(m) + 0.5, [m, m]))  # border, centres, border of a window
    pixel = _first_from(x0[:, None] + at * cell_x[:, None]).clip(0, width).astype(np.intp)
    left, right = pixel[mask, j], pixel[mask, j + 1]
    share = (left + 0.5 - x0[mask]) / cell_x[mask] + 0.5 - j
    quad, x, above, below = _crossings(right - left, share, 1 / cell_x[mask], corners)

    mask, i, x = mask[quad], i[quad], x + left[quad]
    y = (i - 0.5 + above / (above - below)) * cell_y[mask] + y0[mask]
    row = np.where(below > 0, np.floor(y - 0.5) + 1, _first_from(y))
    top, bottom = _first_from(boxes[:, 1::2]).clip(0, height).T
    row = row.clip(top[mask], bottom[mask]).astype(np.intp)
    return _compress_swaps(mask, x * height + row, len(boxes), height, width)


def _first_from(coordinate: Floats) -> Floats:
    """The first pixel whose centre is there or past it."""
    first: Floats = np.ceil(coordinate - 0.5)
    return first


def _evidence(logits: Floats, origin: Floats, cell: Floats, size: NDArray[np.intp]) -> Floats:
    """The logits of the windows' cells and a ring: (n, m + 2, m + 2) float32.

    Beside the outermost columns of cells whose centres are on the image stand copies of them,
    above and below the outermost rows zeros: background.
    """
    n, m = logits.shape[:2]
    first = np.ceil(-origin / cell - 0.5).clip(0, m).astype(np.intp)
    last = np.floor((size - origin) / cell - 0.5).clip(-1, m - 1).astype(np.intp)
    grid = np.zeros((n, m + 2, m + 2), np.float32)
    grid[:, 1:-1, 1:-1] = logits
    each = np.arange(n)
    grid[each, :, first[:, 0]] = grid[each, :, first[:, 0] + 1]
    grid[each, :, last[:, 0] + 2] = grid[each, :, last[:, 0] + 1]
    grid[each, first[:, 1]] = grid[each, last[:, 1] + 2] = 0
    grid[(first > last).any(1)] = 0
    return grid


def _mixed(grid: Floats) -> tuple[Integers, Integers, Integers, Floats]:
    """The quadruples of neighbouring cells that differ in sign: (mask, row, column, logits)."""
    size = grid.shape[1]
    cells = grid.ravel()
    inside = cells > 0
    across, down = inside[1:] != inside[:-1], inside[size:] != inside[:-size]
    first = np.flatnonzero(across[:-size] | down[1:] | down[:-1])
    row, j = np.divmod(first, size)
    mask, i = np.divmod(row, size)
    return mask, i, j, cells[first + np.array([[0], [1], [size], [size + 1]])]


def _crossings(
    count: Integers, share: Floats, step: Floats, corners: Floats
) -> tuple[Integers, Integers, Floats, Floats]:
    """Of quadruples that hold ``count`` columns of pixels, the columns on which the logit changes
    its sign: (index of the quadruple, index of the column, logit above, logit below).
    """
    quad = np.repeat(np.arange(len(count)), count)
    column = np.arange(len(quad)) - (np.cumsum(count) - count)[quad]
    right = (share[quad] + column * step[quad]).clip(0, 1).astype(np.float32)
    left = 1 - right
    above = corners[0][quad] * left + corners[1][quad] * right
    below = corners[2][quad] * left + corners[3][quad] * right
    crosses = np.flatnonzero((above > 0) != (below > 0))
    return quad[crosses], column[crosses], above[crosses], below[crosses]


def _compress_swaps(mask: Integers, pixel: Integers, n: int, height: int, width: int) -> list[Rle]:
    """RLEs of n masks from the pixels, column by column, at which background and foreground swap.

    Two swaps at a pixel undo each other, and one past the last pixel changes none.
    """
    size = height * width
    ends = 2 * size * np.arange(n + 1)  # of the masks, laid end to end; twice, to tell from swaps
    swaps = 2 * (mask * size + pixel)[pixel < size] + 1
    edges = np.sort(np.concatenate((ends, swaps)))
    first = np.flatnonzero(np.diff(edges, prepend=-1))
    odd = np.diff(first, append=len(edges)) & 1 == 1
    edges = edges[first[odd]]
    runs, bounds = np.diff(edges >> 1), np.searchsorted(edges, ends)
    return [compress(runs[a:b], height, width) for a, b in pairwise(bounds)]
