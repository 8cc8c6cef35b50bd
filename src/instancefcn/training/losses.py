"""Losses: levels and their targets make the two terms of a step.

Each term is a mean over images of a mean over windows, so that the gradients of a batch are the
mean of the gradients of its parts, however they are spread over processes.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from instancefcn.core.types import Level
from instancefcn.training.targets import IGNORED, Targets


@dataclass(frozen=True)
class Losses:
    """The two terms, scalars."""

    objectness: Tensor
    mask: Tensor

    @property
    def total(self) -> Tensor:
        return self.objectness + self.mask


class Loss(ABC):
    """The interface: levels and as many targets make ``Losses``."""

    def __call__(self, levels: Sequence[Level], targets: Sequence[Targets]) -> Losses:
        batch = len(levels[0].maps)
        logits = [level.logits(t.windows) for level, t in zip(levels, targets, strict=True)]
        masks = torch.cat(
            [self.mask(z, t.masks, t.valid) for z, t in zip(logits, targets, strict=True)]
        )
        image = torch.cat([t.windows.image for t in targets])
        objectness = [
            self.objectness(level.objectness, t, z)
            for level, t, z in zip(levels, targets, logits, strict=True)
        ]
        per_image = torch.stack([value.sum((1, 2)) for value in objectness]).sum(0)
        labels = torch.cat([t.labels.flatten(1) for t in targets], dim=1)
        return Losses(
            objectness=(per_image / self.windows(labels).clamp(min=1)).mean(),
            mask=(masks / image.bincount(minlength=batch)[image]).sum() / batch,
        )

    @abstractmethod
    def mask(self, logits: Tensor, target: Tensor, valid: Tensor) -> Tensor:
        """Loss of each mask: logits, target, valid (n, m, m) -> (n,)."""

    @abstractmethod
    def objectness(self, logits: Tensor, targets: Targets, mask_logits: Tensor) -> Tensor:
        """Loss of each window of a level: logits (B, h, w) -> (B, h, w), 0 where ignored."""

    @abstractmethod
    def windows(self, labels: Tensor) -> Tensor:
        """How many windows an image's objectness loss is divided by: labels (B, n) -> (B,)."""


class PaperLoss(Loss):
    """Logistic loss on sampled windows and on the cells of positive ones (paper, equation 1).

    The paper writes sums; the mean over a mask's cells keeps the two terms alike whatever m is.
    Targets are binary, as in the paper: a cell is inside where an object covers half of it.
    """

    def mask(self, logits: Tensor, target: Tensor, valid: Tensor) -> Tensor:
        return _cell_mean(logits, (target >= 0.5).float(), valid)

    def objectness(self, logits: Tensor, targets: Targets, mask_logits: Tensor) -> Tensor:
        loss = F.binary_cross_entropy_with_logits(
            logits, (targets.labels >= 0).float(), reduction="none"
        )
        return loss * (targets.labels != IGNORED)

    def windows(self, labels: Tensor) -> Tensor:
        return (labels != IGNORED).sum(1)


class QualityLoss(Loss):
    """Objectness learns the IoU of the mask that its window draws, over all windows.

    Quality focal loss (Li et al., NeurIPS 2020) on objectness: the ranking then prefers good
    masks, and the many easy negatives weigh little. Masks: logistic loss on the covered part of
    each cell, so that the boundary runs through cells where it should, plus Dice loss
    (Milletari et al., 3DV 2016), which weighs small objects as much as large ones.
    """

    def mask(self, logits: Tensor, target: Tensor, valid: Tensor) -> Tensor:
        p, t = logits.sigmoid() * valid, target * valid
        overlap = 2 * (p * t).sum((1, 2)) + 1
        dice = 1 - overlap / (p.square().sum((1, 2)) + t.square().sum((1, 2)) + 1)
        return _cell_mean(logits, target, valid) + dice

    def objectness(self, logits: Tensor, targets: Targets, mask_logits: Tensor) -> Tensor:
        quality = torch.zeros_like(logits)
        quality[targets.labels >= 0] = mask_iou(mask_logits.detach(), targets)
        loss = F.binary_cross_entropy_with_logits(logits, quality, reduction="none")
        focus = (quality - logits.sigmoid()).abs().square()
        return loss * focus * (targets.labels != IGNORED)

    def windows(self, labels: Tensor) -> Tensor:
        return (labels >= 0).sum(1)


def mask_iou(logits: Tensor, targets: Targets) -> Tensor:
    """IoU (n,) of binarised masks and targets (n, m, m) over valid cells; 0 for two empty ones."""
    drawn, true = (logits > 0) & targets.valid, (targets.masks >= 0.5) & targets.valid
    return (drawn & true).sum((1, 2)) / (drawn | true).sum((1, 2)).clamp(min=1)


def _cell_mean(logits: Tensor, target: Tensor, valid: Tensor) -> Tensor:
    loss = F.binary_cross_entropy_with_logits(logits, target, reduction="none") * valid
    return loss.sum((1, 2)) / valid.sum((1, 2)).clamp(min=1)
