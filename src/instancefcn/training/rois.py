"""What a labeller learns from: the masks that the network finds, and the objects they are of.

The second step of the paper's system (section 4.1): proposals are fixed, and a mask is of an
object's category if their IoU is at least 0.5. Objects are prepared in data workers; the masks are
found in the step itself, by the network as it is.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F
from torch import Tensor

from instancefcn.core.errors import UserError
from instancefcn.core.sample import Sample
from instancefcn.inference.windows import Filled
from instancefcn.labelling.rois import CELLS, Rois, at_places, mask_cells
from instancefcn.network.head import Term

PIXELS = 4
"""Pixels along a cell of the grid on which masks and objects are compared."""

BACKGROUND, IGNORED = 0, -1
"""Labels of masks without an object; a label from 1 on is a category's place, in order of ids."""


@dataclass(frozen=True)
class RoiSampling:
    """Which of an image's masks take part in a step.

    per_image: how many, at most. foreground: the largest part of them that shows objects (1:3 in
    Fast R-CNN, section 2.3). overlap: a mask shows the object that it overlaps most, if their IoU
    is at least this (MNC, section 3.3). mined: of so many times the background masks that take
    part, drawn at random, the hardest are taken; 1 takes them as drawn. Raises UserError for values
    out of range.
    """

    per_image: int = 32
    foreground: float = 0.25
    overlap: float = 0.5
    mined: int = 2

    def __post_init__(self) -> None:
        for name in ("foreground", "overlap"):
            if not 0 < getattr(self, name) <= 1:
                raise UserError(f"rois.{name}: {getattr(self, name)}; give more than 0, at most 1")
        for name in ("per_image", "mined"):
            if getattr(self, name) < 1:
                raise UserError(f"rois.{name}: {getattr(self, name)}; give 1 or more")


@dataclass(frozen=True)
class Objects:
    """The objects of one image of a batch, for the masks that will be found on it.

    labels (n,) int64: from 1 on. masks (n, H, W) float32, 0 or 1, on the grid of ``PIXELS``.
    judged (H, W) float32: 0 in cells that are void or crowd. boxes (n, 4), cells (n, CELLS, CELLS):
    the objects as rois, so that each is learnt from, found or not. seed: the sample's own.
    """

    labels: Tensor
    masks: Tensor
    judged: Tensor
    boxes: Tensor
    cells: Tensor
    seed: int

    def to(self, device: torch.device) -> Objects:
        return replace(
            self,
            labels=self.labels.to(device),
            masks=self.masks.to(device),
            judged=self.judged.to(device),
            boxes=self.boxes.to(device),
            cells=self.cells.to(device),
        )


def objects_of(sample: Sample, places: Mapping[int, int]) -> Objects:
    """The objects of a sample; ``places``: the label of each category."""
    kept = (~sample.crowds).nonzero()[:, 0]
    boxes, masks = sample.boxes[kept], sample.masks[kept]
    cells = [_cells(mask, box) for mask, box in zip(masks, boxes, strict=True)]
    unjudged = _pooled(sample.unjudged)
    # One by one: hundreds of masks as floats at full size are hundreds of MB.
    covered = [_pooled(mask) >= 0.5 for mask in masks]
    return Objects(
        torch.tensor([places[c] for c in sample.categories[kept].tolist()], dtype=torch.int64),
        torch.stack(covered).float() if covered else torch.zeros(0, *unjudged.shape),
        (unjudged < 0.5).float(),
        boxes,
        torch.stack(cells) if cells else torch.zeros(0, CELLS, CELLS),
        sample.seed,
    )


def _pooled(mask: Tensor) -> Tensor:
    """(H, W) bool -> how much of each cell of the grid is covered; sides are made up at the end."""
    height, width = mask.shape
    made_up = F.pad(mask.float(), (0, -width % PIXELS, 0, -height % PIXELS))
    return F.avg_pool2d(made_up[None], PIXELS)[0]


def _cells(mask: Tensor, box: Tensor) -> Tensor:
    x0, y0, x1, y1 = (int(side) for side in box)
    cells: Tensor = F.adaptive_avg_pool2d(mask[None, y0:y1, x0:x1].float(), CELLS)[0]
    return cells


def drawn_rois(
    found: Filled, objects: Objects, sampling: RoiSampling, image: int
) -> tuple[Rois, Tensor]:
    """The rois of one image of a batch that take part, and their labels (n,): masks that were
    found, and the objects themselves.
    """
    generator = torch.Generator().manual_seed(objects.seed)
    labels = torch.cat((labels_of(found, objects, sampling.overlap), objects.labels))
    boxes = torch.cat((found.boxes, objects.boxes))
    shown = (labels > 0).nonzero()[:, 0]
    empty = (labels == BACKGROUND).nonzero()[:, 0]
    shown = _some(shown, round(sampling.per_image * sampling.foreground), generator)
    empty = _some(empty, (sampling.per_image - len(shown)) * sampling.mined, generator)
    chosen = torch.cat((shown, empty))
    of_found = chosen[chosen < len(found)]
    cells = mask_cells(found.logits[of_found], found.windows[of_found], found.boxes[of_found])
    masks = cells.new_zeros(len(chosen), CELLS, CELLS)
    masks[chosen < len(found)] = cells
    masks[chosen >= len(found)] = objects.cells[chosen[chosen >= len(found)] - len(found)]
    return Rois(torch.full_like(chosen, image), boxes[chosen], masks), labels[chosen]


def _some(index: Tensor, number: int, generator: torch.Generator) -> Tensor:
    order = torch.randperm(len(index), generator=generator)[:number]
    return index[order.to(index.device)]


def labels_of(found: Filled, objects: Objects, overlap: float) -> Tensor:
    """The label of each of n masks (n,): of the object that it overlaps most, if enough, else
    background; ignored if half of it or more is not judged.
    """
    height, width = objects.judged.shape
    masks = on_grid(found.logits, found.windows, height, width)
    judged = objects.judged.flatten()
    area = masks.sum(1)
    masks = masks * judged
    wanted = objects.masks.flatten(1) * judged
    labels = torch.where(masks.sum(1) * 2 > area, BACKGROUND, IGNORED)
    if not len(wanted):
        return labels
    both = masks @ wanted.T
    iou = both / (masks.sum(1, keepdim=True) + wanted.sum(1) - both).clamp(min=1)
    best, index = iou.max(1)
    return torch.where(best >= overlap, objects.labels[index], labels)


def on_grid(logits: Tensor, windows: Tensor, height: int, width: int) -> Tensor:
    """Masks (n, height * width), 0 or 1, of logits (n, m, m) of windows (n, 4) in pixels: at the
    centres of the cells of a grid of ``PIXELS``.
    """
    x, y = ((torch.arange(n, device=windows.device) + 0.5) * PIXELS for n in (width, height))
    return (at_places(logits, windows, x[None], y[None]) > 0).flatten(1).float()


def mined(losses: Tensor, rois: Rois, labels: Tensor, sampling: RoiSampling, batch: int) -> Term:
    """The losses (n,) that count, image by image: of all masks that show objects, and of the
    hardest of the background.
    """
    counted = []
    for image in range(batch):
        mine = rois.image == image
        shown = losses[mine & (labels > 0)]
        empty = losses[mine & (labels == BACKGROUND)]
        number = min(sampling.per_image - len(shown), len(empty))
        counted.append(torch.cat((shown, empty.topk(number).values)))
    count = losses.new_tensor([len(of_image) for of_image in counted])
    return Term(torch.stack([of_image.sum() for of_image in counted]), count)
