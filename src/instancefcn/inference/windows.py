"""Levels -> candidates: the best windows of one sampling, and the masks that fill them.

Paper, section 3.3: a window at every position, its objectness the score.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from instancefcn.core.candidates import Candidates, cell_boxes, joined, padded
from instancefcn.core.grid import Windows
from instancefcn.core.level import Level
from instancefcn.core.look import Look
from instancefcn.inference.ranking import Selection


def candidates_of(
    levels: Sequence[Level], height: int, width: int, selection: Selection, image: int = 0
) -> Candidates:
    """The best windows of one image of the batch, whose size in the levels' pixels is
    height x width, and their masks.

    They keep the order of levels and positions, so that a ranking of equal scores is deterministic.
    """
    chosen = best_windows(levels, height, width, selection, image)
    m = max(level.grid.m for level in levels)
    parts = [
        _fill(level, windows, m, height, width)
        for level, (windows, _) in zip(levels, chosen, strict=True)
    ]
    spans, logits, boxes, sure = map(torch.cat, zip(*parts, strict=True))
    scores = torch.cat([objectness for _, objectness in chosen]) * sure**selection.confidence
    counts = torch.tensor([len(windows) for windows, _ in chosen], device=scores.device)
    number = torch.arange(len(levels), device=scores.device).repeat_interleave(counts)
    answers = joined(
        [level.answers_of(windows) for level, (windows, _) in zip(levels, chosen, strict=True)]
    )
    return Candidates(scores, spans, logits, boxes, number, (Look(len(levels)),), answers)


def _fill(
    level: Level, windows: Windows, m: int, height: int, width: int
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Of n windows of a level: their spans (n, 4), masks (n, m, m), the boxes of their cells (n, 4)
    and their confidences (n,). A level at a time fits into the processor's cache.
    """
    spans = level.grid.spans(windows, m)
    logits = padded(level.logits(windows), m)
    return spans, logits, cell_boxes(logits, spans, height, width), confidence(logits)


def confidence(logits: Tensor) -> Tensor:
    """How sure masks (n, m, m) are of what they hold: the mean probability of their foreground
    cells, 0.5..1 (n,); 0 for an empty one. A mask's own word beside its window's.
    """
    probability = F.threshold(logits, 0, -math.inf).sigmoid()  # 0 where it is background
    return probability.sum((1, 2)) / probability.sign().sum((1, 2)).clamp(min=1)


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
    chosen = torch.zeros_like(flat, dtype=torch.bool).index_fill_(0, order, True)
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
