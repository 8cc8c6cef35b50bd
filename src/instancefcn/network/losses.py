"""Losses of masks and of objectness: pure functions of logits and targets, one a class.

A head takes one as an argument, so that a network says how it learns. Each gives one number a
window; ``heads`` makes the means.
"""

from __future__ import annotations

from abc import ABC, abstractmethod

import torch
import torch.nn.functional as F
from torch import Tensor


class MaskLoss(ABC):
    """The loss of masks."""

    @abstractmethod
    def __call__(self, logits: Tensor, target: Tensor, valid: Tensor) -> Tensor:
        """Logits, the covered part of each cell 0..1, and which cells count, (n, m, m) -> (n,)."""


class Logistic(MaskLoss):
    """Logistic loss of each cell (paper, equation 1).

    The paper writes sums; the mean over a mask's cells keeps the terms alike whatever m is.
    Targets are binary, as in the paper: a cell is inside where an object covers half of it.
    """

    def __call__(self, logits: Tensor, target: Tensor, valid: Tensor) -> Tensor:
        return _cell_mean(logits, (target >= 0.5).float(), valid)


class LogisticDice(MaskLoss):
    """Logistic loss on the covered part of each cell, so that the boundary runs through cells
    where it should, plus Dice loss (Milletari et al., 3DV 2016), which weighs small objects as much
    as large ones.
    """

    def __call__(self, logits: Tensor, target: Tensor, valid: Tensor) -> Tensor:
        p, t = logits.sigmoid() * valid, target * valid
        overlap = 2 * (p * t).sum((1, 2)) + 1
        dice = 1 - overlap / (p.square().sum((1, 2)) + t.square().sum((1, 2)) + 1)
        return _cell_mean(logits, target, valid) + dice


class ObjectnessLoss(ABC):
    """The loss of objectness, and how many windows an image's sum is divided by."""

    @abstractmethod
    def __call__(self, logits: Tensor, quality: Tensor, positive: Tensor) -> Tensor:
        """Logits, the IoU of the mask that a positive window draws, 0 elsewhere, and which windows
        are positive (bool), of one shape -> the loss of each window in that shape.
        """

    @abstractmethod
    def counted(self, positive: Tensor, judged: Tensor) -> Tensor:
        """Which windows (bool) an image's sum is divided by the number of."""


class Sampled(ObjectnessLoss):
    """Logistic loss on the windows that were sampled, a mean over them (paper, equation 1)."""

    def __call__(self, logits: Tensor, quality: Tensor, positive: Tensor) -> Tensor:
        return F.binary_cross_entropy_with_logits(logits, positive.float(), reduction="none")

    def counted(self, positive: Tensor, judged: Tensor) -> Tensor:
        return judged


class Quality(ObjectnessLoss):
    """Objectness learns the IoU of the mask that its window draws, over all windows.

    Quality focal loss (Li et al., NeurIPS 2020): the ranking then prefers good masks, and the many
    easy negatives weigh little.
    """

    def __call__(self, logits: Tensor, quality: Tensor, positive: Tensor) -> Tensor:
        loss = F.binary_cross_entropy_with_logits(logits, quality, reduction="none")
        return loss * (quality - logits.sigmoid()).abs().square()

    def counted(self, positive: Tensor, judged: Tensor) -> Tensor:
        return positive


def mask_iou(logits: Tensor, target: Tensor, valid: Tensor) -> Tensor:
    """IoU (n,) of binarised masks and targets (n, m, m) over valid cells; 0 for two empty ones."""
    drawn, true = (logits > 0) & valid, (target >= 0.5) & valid
    return (drawn & true).sum((1, 2)) / (drawn | true).sum((1, 2)).clamp(min=1)


def _cell_mean(logits: Tensor, target: Tensor, valid: Tensor) -> Tensor:
    loss = F.binary_cross_entropy_with_logits(logits, target, reduction="none") * valid
    return loss.sum((1, 2)) / torch.clamp(valid.sum((1, 2)), min=1)
