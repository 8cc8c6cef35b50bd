"""What the pixels of regions look like: colour spaces, texture, and histograms of both.

As in Selective Search (Uijlings et al., IJCV 2013, section 3.2).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

from instancefcn.core.extras import extra

with extra("baselines"):
    from scipy.ndimage import gaussian_filter

Floats: TypeAlias = NDArray[np.float64]
Integers: TypeAlias = NDArray[np.intp]
Pixels: TypeAlias = NDArray[np.uint8]

COLOUR_BINS = 25
TEXTURE_BINS = 10
ORIENTATIONS = 8
SIGMA = 1.0
STEEPEST = 1 / (SIGMA * np.sqrt(2 * np.pi))
"""The Gaussian derivative at a step from 0 to 1: none is larger on values from 0 to 1."""


def _hsv(image: Pixels) -> NDArray[Any]:
    return cv2.cvtColor(image, cv2.COLOR_RGB2HSV_FULL)


def _lab(image: Pixels) -> NDArray[Any]:
    return cv2.cvtColor(image, cv2.COLOR_RGB2LAB)


def _rgi(image: Pixels) -> NDArray[Any]:
    """Red's and green's share of the three, and intensity. Black counts as grey: a third each."""
    total = image.sum(-1, keepdims=True, dtype=np.float64)
    share = np.full((*image.shape[:2], 2), 1 / 3)
    np.divide(image[..., :2], total, out=share, where=total > 0)
    return np.dstack([255 * share, _intensity(image)[..., :1]])


def _hue(image: Pixels) -> NDArray[Any]:
    return np.repeat(_hsv(image)[..., :1], 3, axis=2)


def _intensity(image: Pixels) -> NDArray[Any]:
    return np.repeat(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)[..., None], 3, axis=2)


COLOUR_SPACES: dict[str, Callable[[Pixels], NDArray[Any]]] = {
    "HSV": _hsv,
    "Lab": _lab,
    "rgI": _rgi,
    "H": _hue,
    "I": _intensity,
}


def to_colour_space(image: Pixels, name: str) -> Floats:
    """An RGB image (H, W, 3) uint8 in one of ``COLOUR_SPACES``: (H, W, 3), from 0 to 1.

    Spaces of one channel have it three times, as in the publication's own software: distances
    between colours, and so the superpixels of a scale, are then of the same order in all spaces.
    """
    converted: Floats = COLOUR_SPACES[name](image) / 255.0
    return converted


def colour_bins(channels: Floats) -> Integers:
    """For channels (H, W, C) from 0 to 1 the bin of each pixel: (C, H, W), below COLOUR_BINS."""
    return np.moveaxis(_to_bins(channels, COLOUR_BINS), -1, 0)


def texture_bins(channels: Floats) -> Integers:
    """The bins of Gaussian derivatives in 8 orientations: (8 C, H, W), below TEXTURE_BINS.

    channels (H, W, C) from 0 to 1. Orientation o is that of brightness rising at o * 45 degrees
    from x to y; of a falling one the derivative counts as 0. A flat image is in bin 0 all over.
    """
    sigma = (SIGMA, SIGMA, 0)
    dy, dx = (gaussian_filter(channels, sigma, order) for order in ((1, 0, 0), (0, 1, 0)))
    angles = np.arange(ORIENTATIONS) * (2 * np.pi / ORIENTATIONS)
    bins = [_to_bins((np.cos(a) * dx + np.sin(a) * dy) / STEEPEST, TEXTURE_BINS) for a in angles]
    return np.concatenate([np.moveaxis(b, -1, 0) for b in bins])


def _to_bins(values: Floats, number: int) -> Integers:
    """Equal bins over 0 to 1; what lies beyond belongs to the outermost ones."""
    bins: Integers = (values * number).astype(np.intp).clip(0, number - 1)
    return bins


def histograms(labels: Integers, bins: Integers, number: int) -> Floats:
    """A histogram for each label: (n, C * number), each row adding up to 1.

    labels (H, W) from 0 to n - 1, none left out; bins (C, H, W) below ``number``.
    """
    n = int(labels.max()) + 1
    first = labels * number
    counts = [np.bincount((first + b).ravel(), minlength=n * number) for b in bins]
    rows = np.stack(counts).reshape(len(bins), n, number).swapaxes(0, 1).reshape(n, -1)
    normalised: Floats = rows / rows.sum(1, keepdims=True)
    return normalised
