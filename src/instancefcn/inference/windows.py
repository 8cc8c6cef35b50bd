"""Levels -> the best windows of one sampling, and the masks that fill them, where the network is.

Paper, section 3.3: a window at every position, its objectness the score. What is here is traced
into an exported graph too (``onnx_graph``): sizes and numbers of windows stay tensors' own.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F
from torch import Tensor

from instancefcn.core.candidates import Candidates
from instancefcn.core.grid import Windows
from instancefcn.core.level import Level
from instancefcn.core.look import Look
from instancefcn.core.types import BACKGROUND
from instancefcn.inference.ranking import Selection, suppress

DISTRUST = 6
"""The power with which a mask that is ``cut`` loses confidence; chosen on VOC dev."""


@dataclass(frozen=True)
class Filled:
    """n windows of one image of a batch and the masks that fill them: ``Candidates`` as tensors,
    on the network's device.
    """

    scores: Tensor
    windows: Tensor
    logits: Tensor
    boxes: Tensor
    level: Tensor
    answers: Mapping[str, Tensor]

    def __len__(self) -> int:
        return len(self.scores)

    def __getitem__(self, index: Tensor) -> Filled:
        return Filled(
            self.scores[index],
            self.windows[index],
            self.logits[index],
            self.boxes[index],
            self.level[index],
            {name: answer[index] for name, answer in self.answers.items()},
        )

    def candidates(self, look: Look) -> Candidates:
        """The same as arrays, of this look."""
        return Candidates(
            self.scores.numpy(force=True),
            self.windows.numpy(force=True),
            self.logits.numpy(force=True),
            self.boxes.numpy(force=True),
            self.level.numpy(force=True),
            (look,),
            {name: answer.numpy(force=True) for name, answer in self.answers.items()},
        )


def best_of(found: Filled, selection: Selection) -> Filled:
    """Those that stay, best first, each with its final score: see ``ranking.suppress``."""
    kept, scores = suppress(
        found.boxes.numpy(force=True), found.scores.numpy(force=True), selection
    )
    best = found[torch.from_numpy(kept).to(found.boxes.device)]
    return replace(best, scores=torch.from_numpy(scores).to(found.boxes.device))


def filled(
    levels: Sequence[Level], height: int, width: int, selection: Selection, image: int = 0
) -> Filled:
    """The best windows of one image of the batch, whose size in the levels' pixels is
    height x width, and their masks.

    They keep the order of levels and positions, so that a ranking of equal scores is deterministic.
    """
    chosen = best_windows(levels, height, width, selection, image)
    m = max(level.grid.m for level in levels)
    parts = [
        _fill_level(level, windows, m, height, width)
        for level, (windows, _) in zip(levels, chosen, strict=True)
    ]
    spans, logits, boxes, sure = map(torch.cat, zip(*parts, strict=True))
    scores = torch.cat([objectness for _, objectness in chosen]) * sure**selection.confidence
    number = torch.cat([torch.full_like(w.y, i) for i, (w, _) in enumerate(chosen)])
    said = [level.answers_of(windows) for level, (windows, _) in zip(levels, chosen, strict=True)]
    shared = [name for name in said[0] if all(name in answers for answers in said)]
    answers = {name: torch.cat([answers[name] for answers in said]) for name in shared}
    return Filled(scores, spans, logits, boxes, number, answers)


def _fill_level(
    level: Level, windows: Windows, m: int, height: int, width: int
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Of n windows of a level: their spans (n, 4), masks (n, m, m), the boxes of their cells (n, 4)
    and their confidences (n,). A level at a time fits into the processor's cache.
    """
    logits = level.logits(windows)
    spans = level.grid.spans(windows)
    boxes = cell_boxes(logits, spans, height, width)
    sure = confidence(logits) * (1 - cut(logits, spans, height, width)) ** DISTRUST
    if level.grid.m < m:
        logits = F.pad(logits, ((m - level.grid.m) // 2,) * 4, value=BACKGROUND)
    return level.grid.spans(windows, m), logits, boxes, sure


def cell_boxes(logits: Tensor, windows: Tensor, height: int, width: int) -> Tensor:
    """``candidates.cell_boxes`` of tensors, on their device."""
    m = logits.shape[-1]
    origin, cell = windows[:, :2], (windows[:, 2:] - windows[:, :2]) / m
    near, far = [], []
    for i, end in enumerate((width, height)):
        hit = (logits.amax(1 + i) > 0).to(torch.uint8)
        first, last = hit.argmax(1), m - hit.flip(1).argmax(1)
        near.append((origin[:, i] + first * cell[:, i]).clamp(0, end))
        far.append((origin[:, i] + last * cell[:, i]).clamp(0, end))
    return torch.stack((*near, *far), 1) * hit.any(1, keepdim=True)


def confidence(logits: Tensor) -> Tensor:
    """How sure masks (n, m, m) are of what they hold: the mean probability of their foreground
    cells, 0.5..1 (n,); 0 for an empty one. A mask's own word beside its window's.
    """
    probability = logits.masked_fill(logits <= 0, -math.inf).sigmoid()  # 0 in the background
    return probability.sum((1, 2)) / probability.sign().sum((1, 2)).clamp(min=1)


def cut(logits: Tensor, windows: Tensor, height: int, width: int) -> Tensor:
    """How much masks (n, m, m) of windows (n, 4) run into their windows' borders, 0..1 (n,): the
    largest part of one of the four sides that is foreground. The object goes on there, and the mask
    does not. A side off the image, or a cell from its border, cuts nothing.
    """
    inside = logits > 0
    sides = torch.stack((inside[:, :, 0], inside[:, 0], inside[:, :, -1], inside[:, -1]), 1)
    cell = ((windows[:, 2:] - windows[:, :2]) / logits.shape[-1]).repeat(1, 2)
    left, top, right, bottom = windows.unbind(1)
    room = torch.stack((left, top, width - right, height - bottom), 1)
    return (sides.float().mean(2) * (room > cell)).amax(1)


def best_windows(
    levels: Sequence[Level], height: int, width: int, selection: Selection, image: int
) -> list[tuple[Windows, Tensor]]:
    """Of each level the windows, and their objectness, that are among the best of all levels.

    Windows centred outside the image are left out.
    """
    scores = [_scores(level, height, width, image) for level in levels]
    flat = torch.cat([score.flatten() for score in scores])
    order = flat.argsort(descending=True, stable=True)[: selection.windows_per_side]
    order = order[flat[order] >= max(selection.min_score, torch.finfo(flat.dtype).tiny)]
    chosen = torch.zeros_like(flat, dtype=torch.bool)
    chosen = chosen.scatter(0, order, torch.ones_like(order, dtype=torch.bool))
    result = []
    parts = torch.split(chosen, [score.numel() for score in scores])
    for level, score, mask in zip(levels, scores, parts, strict=True):
        y, x = mask.view_as(score).nonzero(as_tuple=True)
        result.append((level.grid.windows(torch.full_like(y, image), y, x), score[y, x]))
    return result


def _scores(level: Level, height: int, width: int, image: int) -> Tensor:
    """Objectness (rows, columns) as a probability, 0 where a window's centre lies outside the
    image. The first row and the first column stay: an image narrower than a step has no other.
    """
    scores = level.objectness[image].sigmoid()
    centres = (centre.to(scores.device) for centre in level.grid.centres())
    inside_y, inside_x = (c < end for c, end in zip(centres, (height, width), strict=True))
    inside_y[:1] = inside_x[:1] = True
    return scores * inside_y[:, None] * inside_x
