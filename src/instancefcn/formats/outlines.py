"""Masks as polygons: outlines through the middles of pixels' edges, with few points."""

from __future__ import annotations

from typing import Any, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

TOLERANCE = 1.0
"""Pixels between a mask's outline and its polygon, at most."""

OF_SMALL = 0.02
"""Of a part that is small, the tolerance is this share of the square root of its area."""

Points = NDArray[np.float64]


class Outlines(NamedTuple):
    """parts: the outer outlines, each (n, 2) points x, y in pixels, n at least 3.
    holes: how many holes in them are lost, with whatever lies in those.
    """

    parts: list[Points]
    holes: int


def outlines(mask: NDArray[np.bool_], tolerance: float = TOLERANCE) -> Outlines:
    """The outlines of a mask (H, W) bool; pixels that touch at a corner are one part.

    Invariant: with a tolerance of 0, a pixel's centre lies in a part if and only if the pixel is
    foreground or in a hole.
    """
    contours, tree = cv2.findContours(_cells(mask), cv2.RETR_TREE, cv2.CHAIN_APPROX_NONE)
    parents = [] if tree is None else tree[0, :, 3].tolist()
    parts = [_simplified(c, tolerance) for c, p in zip(contours, parents, strict=True) if p < 0]
    holes = sum(parent >= 0 and parents[parent] < 0 for parent in parents)
    return Outlines(parts, holes)


def _cells(mask: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """(2 H + 1, 2 W + 1): pixel (y, x) is element (2 y + 1, 2 x + 1), and those around it are its
    edges and corners, so that contours run through these.
    """
    height, width = mask.shape
    cells = np.zeros((2 * height + 1, 2 * width + 1), np.uint8)
    for y in range(3):
        for x in range(3):
            cells[y : y + 2 * height : 2, x : x + 2 * width : 2] |= mask
    return cells


def _simplified(contour: NDArray[Any], tolerance: float) -> Points:
    """The edges only, since corners make steps of slanting lines; of these fewer, unless of a
    sliver hardly anything would be left.
    """
    edges = contour[contour.sum(2) % 2 == 1]
    area = cv2.contourArea(edges)  # in elements, two of which make a pixel's side
    fewer = cv2.approxPolyDP(edges, min(2 * tolerance, OF_SMALL * area**0.5), True)[:, 0]
    if len(fewer) < 3 or cv2.contourArea(fewer) < 0.8 * area:
        fewer = edges
    return np.asarray(fewer, np.float64) / 2


def joined(parts: list[Points]) -> Points:
    """One polygon of several: a line leads from the first point of each to the first of the next,
    and all the way back, so that it encloses nothing.
    """
    there = [np.concatenate((part, part[:1])) for part in parts]
    back = [part[:1] for part in parts[-2::-1]]
    return np.concatenate(there + back) if len(parts) > 1 else parts[0]
