"""Predictions whose masks are known, or of every kind, for the tests of what is written of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from instancefcn.core.proposals import Proposals
from instancefcn.formats.prediction import ImageMasks, Prediction, Source

Mask = NDArray[np.bool_]


def of_masks(
    masks: Sequence[Mask], scores: Sequence[float], corners: Sequence[tuple[int, int]] | None = None
) -> Proposals:
    """Proposals whose full-size masks are known: square masks of odd sides, a cell a pixel, on an
    image of their size, or with their corners (x, y) at these pixels of one of 64 x 64.
    """
    m = len(masks[0]) if masks else 9
    places = np.array(corners or [(0, 0)] * len(masks), np.float32).reshape(-1, 2)
    windows = np.concatenate((places, places + m), 1)
    cells = np.array(masks, np.float32).reshape(-1, m, m)
    logits, size = cells * 2 - 1, 64 if corners else m
    level = np.zeros(len(masks), np.int64)
    return Proposals(np.array(scores, np.float32), windows, logits, level, size, size)


def random_proposals(n: int, height: int = 50, width: int = 70) -> Proposals:
    """Blobs of every size, some of whose windows leave the image, some of them empty."""
    generator = np.random.default_rng(n)
    coarse = generator.standard_normal((n, 4, 4), np.float32)
    logits = np.array([cv2.resize(each, (11, 11)) for each in coarse]).reshape(n, 11, 11)
    centres = generator.random((n, 2), np.float32) * np.array([width, height], np.float32)
    sides = generator.random((n, 1), np.float32) ** 2 * 90 + np.float32(0.3)
    windows = np.concatenate((centres - sides / 2, centres + sides / 2), 1)
    scores = -np.sort(-generator.random(n, np.float32))
    return Proposals(scores, windows, logits, np.zeros(n, np.int64), height, width)


def predicted(proposals: Proposals, name: str = "a/x.jpg", image_id: int = 1) -> Prediction:
    pixels = np.full((proposals.height, proposals.width, 3), 128, np.uint8)
    source = Source(Path("photos") / name, image_id, name, name.rpartition(".")[0])
    return Prediction.of(source, pixels, proposals)


NAMES = {
    0: "person",
    13: "stop sign",
    27: 'it\'s a "cup" (large) [2]: x',
    44: "Schlüssel & Schloß",
    90: "猫 🐈",
    91: "no",
    92: "# 1.5",
    93: " ",
    94: "1",
}
"""Names that one format or another writes with a meaning of its own, by ids with gaps."""


def labelled() -> Proposals:
    """Squares that lie apart on 64 x 64 pixels, of the categories of ``NAMES``, two of the last."""
    corners = [(x, y) for y in (1, 21, 41) for x in (1, 17, 33, 49)][: len(NAMES) + 1]
    masks = [np.ones((11, 11), np.bool_)] * len(corners)
    scores = np.linspace(0.9, 0.1, len(corners)).tolist()
    labels = np.array([*sorted(NAMES, reverse=True), 94], np.int64)
    return replace(of_masks(masks, scores, corners), categories=NAMES, labels=labels)


def disc(size: int, x: float, y: float, radius: float) -> Mask:
    rows, columns = np.mgrid[:size, :size]
    mask: Mask = (columns - x) ** 2 + (rows - y) ** 2 <= radius**2
    return mask


NOTHING = of_masks([], [])


def masks_of(prediction: Prediction) -> tuple[Source, ImageMasks]:
    """What COCO's writers take of a prediction."""
    return prediction.source, ImageMasks.of(prediction)
