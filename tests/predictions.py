"""Predictions whose masks are known, or of every kind, for the tests of what is written of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
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
    places = torch.tensor(corners or [(0, 0)] * len(masks), dtype=torch.float32).reshape(-1, 2)
    windows = torch.cat((places, places + m), 1)
    cells = torch.from_numpy(np.array(masks, np.float32).reshape(-1, m, m))
    logits, size = cells * 2 - 1, 64 if corners else m
    level = torch.zeros(len(masks), dtype=torch.int64)
    return Proposals(torch.tensor(scores), windows, logits, level, size, size)


def random_proposals(n: int, height: int = 50, width: int = 70) -> Proposals:
    """Blobs of every size, some of whose windows leave the image, some of them empty."""
    generator = torch.Generator().manual_seed(n)
    coarse = torch.randn(n, 1, 4, 4, generator=generator)
    logits = torch.nn.functional.interpolate(coarse, (11, 11), mode="bilinear")[:, 0]
    centres = torch.rand(n, 2, generator=generator) * torch.tensor([width, height])
    sides = torch.rand(n, 1, generator=generator).square() * 90 + 0.3
    windows = torch.cat((centres - sides / 2, centres + sides / 2), 1)
    scores = torch.rand(n, generator=generator).sort(descending=True).values
    return Proposals(scores, windows, logits, torch.zeros(n).long(), height, width)


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
    labels = torch.tensor([*sorted(NAMES, reverse=True), 94])
    return replace(of_masks(masks, scores, corners), categories=NAMES, labels=labels)


def disc(size: int, x: float, y: float, radius: float) -> Mask:
    rows, columns = np.mgrid[:size, :size]
    mask: Mask = (columns - x) ** 2 + (rows - y) ** 2 <= radius**2
    return mask


NOTHING = of_masks([], [])


def masks_of(prediction: Prediction) -> tuple[Source, ImageMasks]:
    """What COCO's writers take of a prediction."""
    return prediction.source, ImageMasks.of(prediction)
