"""Candidates: the one form in which whatever looks at a piece of an image ends.

A network at one size of an image makes them, and so may an exported graph or a tile. Ranking,
suppression, masks and files take candidates and do not know who made them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import torch
import torch.nn.functional as F
from torch import Tensor

from instancefcn.core.look import Look
from instancefcn.core.types import BACKGROUND


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

    scores: Tensor
    windows: Tensor
    logits: Tensor
    boxes: Tensor
    level: Tensor
    looks: tuple[Look, ...]
    answers: Mapping[str, Tensor] = field(default_factory=dict)

    def __post_init__(self) -> None:
        n, m = len(self.scores), self.logits.shape[-1]
        assert self.scores.shape == self.level.shape == (n,)
        assert self.windows.shape == self.boxes.shape == (n, 4)
        assert self.logits.shape == (n, m, m)

    def __len__(self) -> int:
        return len(self.scores)

    def __getitem__(self, index: Tensor) -> Candidates:
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
        by = self.windows.new_tensor([x, y, x, y])
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
        scores=torch.cat([part.scores for part in parts]),
        windows=torch.cat([windows for windows, _ in widened]),
        logits=torch.cat([logits for _, logits in widened]),
        boxes=torch.cat([part.boxes for part in parts]),
        level=torch.cat([part.level + n for part, n in zip(parts, before, strict=True)]),
        looks=tuple(look for part in parts for look in part.looks),
        answers=joined([part.answers for part in parts]),
    )


def joined(parts: Sequence[Mapping[str, Tensor]]) -> dict[str, Tensor]:
    """Answers of several levels or sizes as one, in order: those that all of them have."""
    shared = [name for name in parts[0] if all(name in part for part in parts)]
    return {name: torch.cat([part[name] for part in parts]) for name in shared}


def widen(windows: Tensor, logits: Tensor, m: int) -> tuple[Tensor, Tensor]:
    """Windows (n, 4) and logits (n, m', m') amid windows of m cells; both odd, so that each cell
    stays in its place.
    """
    cells = logits.shape[-1]
    if cells == m:
        return windows, logits
    border = (windows[:, 2:] - windows[:, :2]) / cells * ((m - cells) // 2)
    wider = torch.cat((windows[:, :2] - border, windows[:, 2:] + border), 1)
    return wider, padded(logits, m)


def padded(logits: Tensor, m: int) -> Tensor:
    """Logits (n, m', m') amid background: (n, m, m); both odd."""
    margin = (m - logits.shape[-1]) // 2
    return F.pad(logits, (margin,) * 4, value=BACKGROUND) if margin else logits


def cell_boxes(logits: Tensor, windows: Tensor, height: int, width: int) -> Tensor:
    """Boxes (n, 4) around the cells with logit > 0, in pixels, clipped to the image.

    logits (n, m, m) of windows (n, 4) in pixels. A mask without such a cell has the box
    (0, 0, 0, 0). No cell above 0 lies outside its box, the part off the image excepted. These are
    the boxes that suppression compares (paper, section 3.3); a mask as drawn may reach beyond.
    """
    m = logits.shape[-1]
    origin, cell = windows[:, :2], (windows[:, 2:] - windows[:, :2]) / m
    sides = []
    for axis in (1, 2):  # columns, then rows
        hit = (logits.amax(axis) > 0).to(torch.uint8)
        sides.append((hit.argmax(1), m - hit.flip(1).argmax(1)))
    first, last = (torch.stack(ends, 1) for ends in zip(*sides, strict=True))
    boxes = torch.cat((origin + first * cell, origin + last * cell), 1)
    boxes = boxes.clamp(min=0).minimum(boxes.new_tensor([width, height, width, height]))
    return boxes * hit.any(1, keepdim=True)
