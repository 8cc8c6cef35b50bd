"""Which windows are positive, and what their masks should be.

The paper says that windows are sampled 1:1 (section 3.3) and takes over DeepMask's definition of
a positive one (Pinheiro et al., NIPS 2015, section 3.2): the object is centred in the window and
as large as a window of this size is meant for.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor
from torchvision.ops import masks_to_boxes

from instancefcn.core.assembling import assemble
from instancefcn.core.types import Level, Sample, Windows

NEGATIVE, IGNORED = -1, -2
"""Labels of windows without an object; a label from 0 on is the index of the window's object."""


@dataclass(frozen=True)
class Matching:
    """When a window is positive. All are fractions of the window's side.

    An object fits a window if its longer side lies within ``sides``; it is centred in it if it
    is off by at most ``centre``, the larger of x and y. A window whose object nearly fits (sides
    widened by the factor ``margin``) or is nearly centred (off by at most ``centre * margin``)
    is neither positive nor negative.
    """

    sides: tuple[float, float] = (0.4, 0.9)
    centre: float = 0.08
    margin: float = 1.5


@dataclass(frozen=True)
class Sampling:
    """How many windows an image takes part in a step; None takes all of them.

    The default is the paper's (section 3.3): 256 windows, as many negative as positive; as in
    Faster R-CNN, negatives fill up what positives are lacking.
    """

    positives: int | None = 128
    windows: int | None = 256


@dataclass(frozen=True)
class Targets:
    """What one level should have said about a batch.

    labels (B, h, w) int64: an object's index, NEGATIVE or IGNORED, at each objectness position.
    windows: the n positive ones. masks (n, m, m) float: the part of each cell that the object
    covers, 0..1. valid (n, m, m) bool: False in cells outside the image or partly void or crowd.
    """

    labels: Tensor
    windows: Windows
    masks: Tensor
    valid: Tensor

    def to(self, device: torch.device) -> Targets:
        return Targets(
            self.labels.to(device),
            self.windows.to(device),
            self.masks.to(device),
            self.valid.to(device),
        )


def make_targets(
    levels: Sequence[Level], samples: Sequence[Sample], matching: Matching, sampling: Sampling
) -> list[Targets]:
    """Targets of each level for a batch, made on the CPU, where the samples are, and put where the
    level is. What is drawn depends on each sample's seed alone.
    """
    labels = [
        subsample(
            [label_windows(level, sample, matching) for level in levels],
            sampling,
            torch.Generator().manual_seed(sample.seed),
        )
        for sample in samples
    ]
    return [
        _level_targets(level, samples, torch.stack(of_level)).to(level.maps.device)
        for level, of_level in zip(levels, zip(*labels, strict=True), strict=True)
    ]


def label_windows(level: Level, sample: Sample, matching: Matching) -> Tensor:
    """Labels (h, w) of a level's windows on one image: object index, NEGATIVE or IGNORED.

    Of several objects that a window is positive for, it takes the one nearest to its centre. An
    object that fits is positive at the nearest position, however coarse the grid. A window
    centred on a crowd or on void is ignored.
    """
    height, width = level.objectness.shape[1:]
    y, x = (centre.cpu() for centre in level.centres())
    labels = torch.full((height, width), NEGATIVE)
    unjudged = sample.unjudged
    rows = y.long().clamp(max=unjudged.shape[0] - 1)
    columns = x.long().clamp(max=unjudged.shape[1] - 1)
    labels[unjudged[rows[:, None], columns]] = IGNORED

    objects = (sample.masks.flatten(1).any(1) & ~sample.crowds).nonzero()[:, 0]
    if len(objects) == 0:
        return labels
    boxes = masks_to_boxes(sample.masks[objects])
    boxes[:, 2:] += 1  # masks_to_boxes names the last pixel, our boxes are half open
    window = torch.tensor([level.m * level.cell[0], level.m * level.cell[1]])
    sides = ((boxes[:, 2:] - boxes[:, :2]) / window).amax(1)
    middle = (boxes[:, :2] + boxes[:, 2:]) / 2
    off = torch.maximum(
        (x - middle[:, 0, None]).abs()[:, None, :] / window[0],
        (y - middle[:, 1, None]).abs()[:, :, None] / window[1],
    )
    low, high = matching.sides
    near = (sides >= low / matching.margin) & (sides <= high * matching.margin)
    labels[(near[:, None, None] & (off <= matching.centre * matching.margin)).any(0)] = IGNORED

    fits = (sides >= low) & (sides <= high)
    nearest = off == off.amin((1, 2), keepdim=True)
    positive = fits[:, None, None] & ((off <= matching.centre) | nearest)
    distance, index = off.masked_fill(~positive, torch.inf).min(0)
    return torch.where(distance.isfinite(), objects[index], labels)


def subsample(
    labels: Sequence[Tensor], sampling: Sampling, generator: torch.Generator
) -> list[Tensor]:
    """Draw the windows of one image that take part, over all its levels; ignore the others."""
    flat = torch.cat([label.flatten() for label in labels])
    positive = _draw(flat >= 0, sampling.positives, generator)
    rest = None if sampling.windows is None else sampling.windows - int(positive.sum())
    negative = _draw(flat == NEGATIVE, rest, generator)
    flat = flat.masked_fill(~(positive | negative), IGNORED)
    parts = torch.split(flat, [label.numel() for label in labels])
    return [part.view_as(label) for part, label in zip(parts, labels, strict=True)]


def coverage(masks: Tensor, cell: tuple[int, int]) -> Tensor:
    """The part of each cell (width, height) that a mask covers: (n, H, W) bool -> float 0..1.

    Cells reach over the right and lower border of the image where its size is no multiple.
    """
    width, height = cell
    pad = (0, -masks.shape[2] % width, 0, -masks.shape[1] % height)
    return F.avg_pool2d(F.pad(masks.float(), pad)[:, None], (height, width))[:, 0]


def _draw(among: Tensor, number: int | None, generator: torch.Generator) -> Tensor:
    """At most ``number`` of the True elements of a mask (n,), drawn without replacement."""
    index = among.nonzero()[:, 0]
    if number is None or len(index) <= number:
        return among
    chosen = index[torch.randperm(len(index), generator=generator)[:number]]
    return torch.zeros_like(among).index_fill_(0, chosen, True)


def _level_targets(level: Level, samples: Sequence[Sample], labels: Tensor) -> Targets:
    cell = (int(level.cell[0]), int(level.cell[1]))
    assert cell == level.cell, "training levels have whole pixels a cell"
    image, y, x = (labels >= 0).nonzero(as_tuple=True)
    windows = level.windows(image, y, x)
    masks, valid = [torch.zeros(0, level.m, level.m)], [torch.zeros(0, level.m, level.m).bool()]
    for b, sample in enumerate(samples):
        mine = windows[(image == b).nonzero()[:, 0]]
        objects, index = torch.unique(labels[b][labels[b] >= 0], return_inverse=True)
        if len(mine) == 0:
            continue
        # Assembling with one part crops; what it puts outside the level is below any coverage.
        crop = assemble(
            coverage(sample.masks[objects], cell)[:, None],
            Windows(index, mine.y, mine.x),
            level.m,
            1,
        )
        unjudged = assemble(
            coverage(sample.unjudged[None], cell)[:, None],
            Windows(torch.zeros_like(index), mine.y, mine.x),
            level.m,
            1,
        )
        masks.append(crop.clamp(min=0))
        valid.append(unjudged == 0)
    return Targets(labels, windows, torch.cat(masks), torch.cat(valid))
