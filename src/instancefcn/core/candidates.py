"""Candidates: the one form in which whatever looks at a piece of an image ends.

A network at one size of an image makes them, and so may an exported graph or a tile. Ranking,
suppression, masks and files take candidates and do not know who made them: they are arrays, so that
an engine needs no torch.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from instancefcn.core.look import Look
from instancefcn.core.types import BACKGROUND, Floats, Integers

Index = Integers | NDArray[np.bool_]
"""Which of n: their indices, or (n,) bool."""

Answers = Mapping[str, NDArray[Any]]
"""What further heads say of n windows, by the heads' names, (n, ...)."""


@dataclass(frozen=True)
class Candidates:
    """n masks of one image that nobody has compared yet, in pixels of the image.

    An engine that has seen a part of an image tells them in pixels of the part; ``moved``, they
    are the image's.

    scores (n,) float32 in 0..1. windows (n, 4) float32: what the m x m cells span; may leave the
    image. logits (n, m, m) float32, above 0 inside an object. boxes (n, 4) float32: around the
    cells above 0, see ``cell_boxes``; a box without area is of an empty mask. level (n,) int64:
    the index of the level that each came from, those of all ``looks`` counted one after another.
    looks: the passes that made them. answers: what further heads say of each, by the heads' names,
    (n, ...).
    """

    scores: Floats
    windows: Floats
    logits: Floats
    boxes: Floats
    level: Integers
    looks: tuple[Look, ...]
    answers: Answers = field(default_factory=dict)

    def __post_init__(self) -> None:
        n, m = len(self.scores), self.logits.shape[-1]
        assert self.scores.shape == self.level.shape == (n,)
        assert self.windows.shape == self.boxes.shape == (n, 4)
        assert self.logits.shape == (n, m, m)
        floats = (self.scores, self.windows, self.logits, self.boxes)
        assert all(array.dtype == np.float32 for array in floats)
        assert self.level.dtype == np.int64

    def __len__(self) -> int:
        return len(self.scores)

    def __getitem__(self, index: Index) -> Candidates:
        return Candidates(
            self.scores[index],
            self.windows[index],
            self.logits[index],
            self.boxes[index],
            self.level[index],
            self.looks,
            {name: answer[index] for name, answer in self.answers.items()},
        )

    def moved(self, x: float, y: float) -> Candidates:
        """The same, x pixels further right and y further down."""
        by = np.array([x, y, x, y], np.float32)
        looks = tuple(look.moved(x, y) for look in self.looks)
        return replace(self, windows=self.windows + by, boxes=self.boxes + by, looks=looks)


def merge(parts: Sequence[Candidates]) -> Candidates:
    """The candidates of several sizes, tiles or models as one, in order.

    The levels of a part follow those of the parts before it. Masks are widened to the largest m.
    Invariant: merging one part changes nothing.
    """
    m = max(part.logits.shape[-1] for part in parts)
    widened = [widen(part.windows, part.logits, m) for part in parts]
    levels = [sum(look.num_levels for look in part.looks) for part in parts]
    before = [sum(levels[:i]) for i in range(len(parts))]
    return Candidates(
        scores=np.concatenate([part.scores for part in parts]),
        windows=np.concatenate([windows for windows, _ in widened]),
        logits=np.concatenate([logits for _, logits in widened]),
        boxes=np.concatenate([part.boxes for part in parts]),
        level=np.concatenate([part.level + n for part, n in zip(parts, before, strict=True)]),
        looks=tuple(look for part in parts for look in part.looks),
        answers=_joined([part.answers for part in parts]),
    )


def _joined(parts: Sequence[Answers]) -> Answers:
    """Answers of several sizes as one, in order: those that all of them have."""
    shared = [name for name in parts[0] if all(name in part for part in parts)]
    return {name: np.concatenate([part[name] for part in parts]) for name in shared}


def widen(windows: Floats, logits: Floats, m: int) -> tuple[Floats, Floats]:
    """Windows (n, 4) and logits (n, m', m') amid windows of m cells; both odd, so that each cell
    stays in its place.
    """
    cells = logits.shape[-1]
    if cells == m:
        return windows, logits
    margin = (m - cells) // 2
    border = (windows[:, 2:] - windows[:, :2]) / cells * margin
    wider = np.concatenate((windows[:, :2] - border, windows[:, 2:] + border), 1)
    around = [(0, 0), (margin, margin), (margin, margin)]
    return wider, np.pad(logits, around, constant_values=BACKGROUND)


def cell_boxes(logits: Floats, windows: Floats, height: int, width: int) -> Floats:
    """Boxes (n, 4) around the cells with logit > 0, in pixels, clipped to the image.

    logits (n, m, m) of windows (n, 4) in pixels. A mask without such a cell has the box
    (0, 0, 0, 0). No cell above 0 lies outside its box, the part off the image excepted. These are
    the boxes that suppression compares (paper, section 3.3); a mask as drawn may reach beyond.
    """
    m = logits.shape[-1]
    origin, cell = windows[:, :2], (windows[:, 2:] - windows[:, :2]) / m
    inside = logits > 0
    hits = np.stack((inside.any(1), inside.any(2)), 1)  # columns, then rows: (n, 2, m)
    first, last = hits.argmax(2), m - hits[:, :, ::-1].argmax(2)
    ends = [origin + end.astype(np.float32) * cell for end in (first, last)]
    boxes = np.concatenate(ends, 1)
    drawn: NDArray[np.bool_] = np.any(hits, (1, 2))
    return boxes.clip(0, np.array([width, height] * 2, np.float32)) * drawn[:, None]
