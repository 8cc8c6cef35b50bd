"""Levels -> proposals: the best windows, their masks, tight boxes, non-maximum suppression.

Paper, section 3.3. None of this knows how many forward passes made the levels.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor
from torchvision.ops import nms

from instancefcn.core.assembling import BACKGROUND
from instancefcn.core.geometry import tight_boxes, window_boxes
from instancefcn.core.types import Level, Proposals, Windows


@dataclass(frozen=True)
class Selection:
    """How many windows are assembled, and which of the masks stay.

    windows: the best by objectness, over all levels. overlap: of two masks whose tight boxes have
    a higher IoU, the one with the lower score goes (0.8 in the paper, section 3.3). top: how many
    proposals are kept. min_score: none below. confidence: a score is the window's objectness
    times this power of the mask's ``confidence``; 0 is the paper's ranking. repeats: for each of
    these limits the score of a mask is halved if its box has a higher IoU than that with the box
    of a better mask that is no repeat itself; it may be the same object again, or another in
    front of it. Empty in the paper.
    """

    windows: int = 1000
    overlap: float = 0.8
    top: int = 1000
    min_score: float = 0.0
    confidence: float = 0.0
    repeats: tuple[float, ...] = ()


def propose(
    levels: Sequence[Level], height: int, width: int, selection: Selection, image: int = 0
) -> Proposals:
    """Proposals for one image of the batch, whose size in the levels' pixels is height x width.

    Equal scores keep the order of levels and positions, so that the ranking is deterministic.
    """
    chosen = best_windows(levels, height, width, selection, image)
    m = max(level.m for level in levels)
    candidates = [
        _candidates(level, windows, m, height, width)
        for level, (windows, _) in zip(levels, chosen, strict=True)
    ]
    masks, windows, boxes, sure = map(torch.cat, zip(*candidates, strict=True))
    scores = torch.cat([score for _, score in chosen]) * sure**selection.confidence
    drawn = (boxes[:, 2:] > boxes[:, :2]).all(1).nonzero()[:, 0]
    kept, final = rank(boxes[drawn], scores[drawn], selection)
    kept = drawn[kept]
    return Proposals(final, boxes[kept], windows[kept], masks[kept], height, width)


def _candidates(
    level: Level, windows: Windows, m: int, height: int, width: int
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Of n windows of a level: masks (n, m, m), the spans of their cells and their tight boxes
    (n, 4) and their confidences (n,). A level at a time fits into the processor's cache.
    """
    masks = _widen(level.logits(windows), m)
    spans = window_boxes(windows.y, windows.x, m, level.cell)
    return masks, spans, tight_boxes(masks, spans, height, width), confidence(masks)


def rank(boxes: Tensor, scores: Tensor, selection: Selection) -> tuple[Tensor, Tensor]:
    """Non-maximum suppression of n boxes: the indices of those that stay, best first, and their
    scores, repeats halved.
    """
    order = scores.argsort(descending=True, stable=True)
    boxes, final = boxes[order], scores[order].clone()
    by_order = torch.arange(len(order), 0, -1, dtype=boxes.dtype, device=boxes.device)  # no ties
    for limit in selection.repeats:
        first = torch.zeros_like(final, dtype=torch.bool)
        first[nms(boxes, by_order, limit)] = True
        final[~first] /= 2
    kept = nms(boxes, by_order, selection.overlap)
    kept = kept[final[kept].argsort(descending=True, stable=True)][: selection.top]
    kept = kept[final[kept] >= selection.min_score]
    return order[kept], final[kept]


def confidence(logits: Tensor) -> Tensor:
    """How sure masks (n, m, m) are of what they hold: the mean probability of their foreground
    cells, 0.5..1 (n,); 0 for an empty one. A mask's own word beside its window's.
    """
    probability = F.threshold(logits, 0, -math.inf).sigmoid()  # 0 where it is background
    return probability.sum((1, 2)) / probability.sign().sum((1, 2)).clamp(min=1)


def best_windows(
    levels: Sequence[Level], height: int, width: int, selection: Selection, image: int
) -> list[tuple[Windows, Tensor]]:
    """Of each level the windows, and their scores, that are among the best of all levels.

    Windows centred outside the image are left out.
    """
    scores = [_scores(level, height, width, image) for level in levels]
    flat = torch.cat([score.flatten() for score in scores])
    order = flat.argsort(descending=True, stable=True)[: selection.windows]
    order = order[flat[order] >= max(selection.min_score, torch.finfo(flat.dtype).tiny)]
    chosen = torch.zeros_like(flat, dtype=torch.bool).index_fill_(0, order, True)
    result = []
    parts = torch.split(chosen, [score.numel() for score in scores])
    for level, score, mask in zip(levels, scores, parts, strict=True):
        y, x = mask.view_as(score).nonzero(as_tuple=True)
        result.append((level.windows(torch.full_like(y, image), y, x), score[y, x]))
    return result


def _scores(level: Level, height: int, width: int, image: int) -> Tensor:
    """Objectness (h, w) as a probability, 0 where a window's centre lies outside the image.

    The first row and the first column stay: an image narrower than a step has no other.
    """
    scores = level.objectness[image].sigmoid()
    inside_y, inside_x = (c < end for c, end in zip(level.centres(), (height, width), strict=True))
    inside_y[:1] = inside_x[:1] = True
    return scores * inside_y[:, None] * inside_x


def _widen(logits: Tensor, m: int) -> Tensor:
    """Masks (n, m', m') amid windows of m cells; both odd, so that cells stay in place."""
    margin = (m - logits.shape[-1]) // 2
    return F.pad(logits, (margin,) * 4, value=BACKGROUND)
