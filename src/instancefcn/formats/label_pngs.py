"""A label map: the non-overlapping form of proposals."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from instancefcn.core.proposals import Proposals
from instancefcn.formats.png import write_png
from instancefcn.formats.prediction import Prediction, crop

MOST = 65_535


def write_labels(folder: Path, prediction: Prediction) -> None:
    """Write an image's label map as a 16-bit PNG."""
    path = folder / f"{prediction.source.stem}.png"
    write_png(path, label_map(prediction.proposals))


def label_map(proposals: Proposals) -> NDArray[np.uint16]:
    """(H, W) uint16: each pixel's best proposal, counted from 1 in the order of scores; 0 where
    there is none.

    A proposal that better ones cover wholly has no pixel. At most ``MOST`` are drawn, the best.
    """
    # Column by column, as masks are decoded: in the other order this takes eight times as long.
    labels = np.zeros((proposals.height, proposals.width), np.uint16, order="F")
    for index in reversed(range(min(len(proposals), MOST))):
        x, y, mask = crop(proposals, index)
        height, width = mask.shape
        labels[y : y + height, x : x + width][mask] = index + 1
    return np.ascontiguousarray(labels)
