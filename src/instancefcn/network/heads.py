"""The heads of the paper: score maps that fill windows, and objectness."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from instancefcn.core.assembling import assemble
from instancefcn.core.errors import UserError
from instancefcn.core.grid import Grid, Windows
from instancefcn.core.level import Level
from instancefcn.core.sample import Sample
from instancefcn.network.head import IGNORED, Head, Targets, Term, per_image
from instancefcn.network.losses import Logistic, MaskLoss, ObjectnessLoss, Sampled, mask_iou

LARGEST_K = 100


class MaskHead(Head):
    """What fills a window: the one part in which the paper's systems differ.

    ``forward`` turns features (B, C, H, W) into maps (B, any, H, W) of the same cells, once an
    image; ``decode`` turns these and n windows into mask logits (n, m, m), once a set of windows.
    """

    name = "mask"
    reads = "cells"

    def __init__(self, loss: MaskLoss | None = None) -> None:
        super().__init__()
        self.mask_loss = loss or Logistic()

    @abstractmethod
    def decode(self, answer: Tensor, windows: Windows, grid: Grid) -> Tensor: ...

    @staticmethod
    def make_targets(
        grid: Grid, sample: Sample, windows: Windows, objects: Tensor
    ) -> Mapping[str, Tensor]:
        """Cover (n, m, m) float: the part of each cell that the window's object covers, 0..1.
        valid (n, m, m) bool: False in cells outside the image or partly void or crowd.
        """
        height, width = sample.void.shape
        whole = torch.tensor([[0, 0, width, height]])
        unjudged = crop_cells(
            sample.unjudged[None], whole, grid, windows, torch.zeros_like(objects)
        )
        cover = crop_cells(sample.masks, sample.boxes, grid, windows, objects)
        return {"cover": cover.clamp(min=0), "valid": unjudged == 0}

    def loss(self, level: Level, targets: Targets, drawn: Tensor) -> Term:
        losses = self.mask_loss(drawn, targets.values["cover"], targets.values["valid"])
        return per_image(losses, targets.windows, len(level.maps))


class ScoreMapHead(MaskHead):
    """k x k instance-sensitive score maps, assembled (paper, sections 3.1 and 3.3).

    A 1x1 convolution with ReLU, then a 3x3 convolution to k * k maps; no layer's size depends
    on m. ``hidden`` is 512 and ``k`` is 5 in the paper; k = 1 is the plain FCN.
    """

    def __init__(self, channels: int, hidden: int, k: int, loss: MaskLoss | None = None) -> None:
        super().__init__(loss)
        if not 1 <= k <= LARGEST_K:
            raise UserError(f"k: {k} parts along a window; give 1 to {LARGEST_K}")
        self.k = k
        self.hidden = nn.Conv2d(channels, hidden, 1)
        self.score = nn.Conv2d(hidden, k * k, 3, padding=1)

    def forward(self, features: Tensor) -> Tensor:
        scores: Tensor = self.score(self.hidden(features).relu())
        return scores

    def decode(self, answer: Tensor, windows: Windows, grid: Grid) -> Tensor:
        return assemble(answer, windows, grid.m, self.k)


class ObjectnessHead(Head):
    """Is the window centred here an instance? (paper, section 3.3)

    A 3x3 convolution with ReLU, then a 1x1 convolution: features (B, C, h, w) -> logits
    (B, h, w). ``prior`` is the probability it starts from.
    """

    name = "objectness"
    reads = "centres"

    def __init__(
        self, channels: int, hidden: int, prior: float = 0.5, loss: ObjectnessLoss | None = None
    ) -> None:
        super().__init__()
        self.objectness_loss = loss or Sampled()
        self.hidden = nn.Conv2d(channels, hidden, 3, padding=1)
        self.score = nn.Conv2d(hidden, 1, 1)
        assert self.score.bias is not None
        nn.init.constant_(self.score.bias, math.log(prior / (1 - prior)))

    def forward(self, features: Tensor) -> Tensor:
        scores: Tensor = self.score(self.hidden(features).relu())
        return scores[:, 0]

    def loss(self, level: Level, targets: Targets, drawn: Tensor) -> Term:
        positive, judged = targets.labels >= 0, targets.labels != IGNORED
        quality = torch.zeros_like(level.objectness)
        cover, valid = targets.values["cover"], targets.values["valid"]
        quality[positive] = mask_iou(drawn.detach(), cover, valid)
        losses = self.objectness_loss(level.objectness, quality, positive) * judged
        counted = self.objectness_loss.counted(positive, judged)
        return Term(losses.sum((1, 2)), counted.sum((1, 2)).to(losses.dtype))


def crop_cells(masks: Tensor, boxes: Tensor, grid: Grid, windows: Windows, index: Tensor) -> Tensor:
    """The part of each cell of n windows that a mask covers: (n, m, m) float, 0..1.

    masks (any, H, W) bool, boxes (any, 4) around them; index (n,): the mask that each window looks
    at. Cells outside the image hold a negative number. Each mask is averaged within its box alone,
    so that many small objects cost little.
    """
    if not len(index):
        return torch.zeros(0, grid.m, grid.m)
    used, position = torch.unique(index, return_inverse=True)
    cover = torch.stack([cover_cells(masks[i], boxes[i], grid) for i in used.tolist()])
    # Assembling with one part crops; what it puts outside the level is below any coverage.
    return assemble(cover[:, None], Windows(position, windows.y, windows.x), grid.m, 1)


def cover_cells(mask: Tensor, box: Tensor, grid: Grid) -> Tensor:
    """The part of each cell of a grid that a mask (H, W) bool covers: float 0..1."""
    width, height = (int(size) for size in grid.cell)
    assert (width, height) == grid.cell, "training grids have whole pixels a cell"
    x0, y0, x1, y1 = (int(side) for side in box)
    left, top, right, bottom = x0 // width, y0 // height, -(-x1 // width), -(-y1 // height)
    cover = torch.zeros(mask.shape[0] // height, mask.shape[1] // width)
    if right == left:  # an empty mask
        return cover
    part = mask[top * height : bottom * height, left * width : right * width].float()
    cover[top:bottom, left:right] = F.avg_pool2d(part[None], (height, width))[0]
    return cover
