"""Rois: where a labeller looks, a box and the mask inside it; and the map that it pools from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from instancefcn.core.candidates import cell_boxes
from instancefcn.core.errors import UserError
from instancefcn.core.look import Look
from instancefcn.core.proposals import Proposals

CELLS = 14
"""Cells along a box, of a roi's mask as of the features under it (Dai et al., CVPR 2016, "MNC")."""


@dataclass(frozen=True)
class Rois:
    """n masks of a batch, each cut out by its box.

    image (n,) int64: the index in the batch. boxes (n, 4) float32, in pixels of the input. masks
    (n, CELLS, CELLS) float32: how much of the mask each cell of the box holds, 0..1.
    """

    image: Tensor
    boxes: Tensor
    masks: Tensor

    def __post_init__(self) -> None:
        n = len(self.image)
        assert self.boxes.shape == (n, 4)
        assert self.masks.shape == (n, CELLS, CELLS)

    def __len__(self) -> int:
        return len(self.image)

    def __getitem__(self, index: Tensor) -> Rois:
        return Rois(self.image[index], self.boxes[index], self.masks[index])

    def to(self, device: torch.device) -> Rois:
        return Rois(self.image.to(device), self.boxes.to(device), self.masks.to(device))

    def pooled(self, features: Tensor, stride: int) -> Tensor:
        """Features (B, C, h, w) at a stride -> (n, C, CELLS, CELLS): under the centre of each cell
        of the boxes, between the centres of the features.

        The same as torchvision's roi_align with one sample a cell, as products of matrices: its
        backward pass on a CPU takes ten times as long.
        """
        x, y = (centres(self.boxes, axis) / stride - 0.5 for axis in (0, 1))
        height, width = features.shape[2:]
        parts = []
        for image in range(len(features)):
            mine = (self.image == image).nonzero()[:, 0]
            down = between(y[mine], height).to(features.dtype)
            across = between(x[mine], width).to(features.dtype)
            rows = torch.einsum("nih,chw->nicw", down, features[image])
            parts.append(torch.einsum("nicw,njw->ncij", rows, across))
        order = self.image.argsort(stable=True)
        return torch.cat(parts)[order.argsort()]


def between(places: Tensor, size: int) -> Tensor:
    """What each of ``size`` values in a row weighs at places (n, k) between them: (n, k, size).

    Value i lies at i; beyond the first and the last these hold on. Each place's weights sum to 1.
    """
    inside = places.clamp(0, size - 1)
    distance = inside[..., None] - torch.arange(size, device=places.device)
    return (1 - distance.abs()).clamp(min=0)


def joined(parts: Sequence[Rois]) -> Rois:
    """The rois of several images as one, in order."""
    return Rois(
        torch.cat([part.image for part in parts]),
        torch.cat([part.boxes for part in parts]),
        torch.cat([part.masks for part in parts]),
    )


def rois_of(proposals: Proposals, look: Look) -> Rois:
    """The proposals as one look's input shows them: it is image 0 of a batch of one."""
    size = proposals.height, proposals.width
    boxes = torch.from_numpy(cell_boxes(proposals.logits, proposals.windows, *size))
    logits, windows = map(torch.from_numpy, (proposals.logits, proposals.windows))
    masks = mask_cells(logits, windows, boxes)
    origin, scale = boxes.new_tensor(look.origin * 2), boxes.new_tensor(look.scale * 2)
    return Rois(torch.zeros(len(boxes), dtype=torch.int64), (boxes - origin) / scale, masks)


def mask_cells(logits: Tensor, windows: Tensor, boxes: Tensor) -> Tensor:
    """The masks (n, CELLS, CELLS), in 0..1, of logits (n, m, m) of windows (n, 4) in their boxes
    (n, 4): the probability at the centre of each of the box's cells, 0 outside the window.
    """
    return at_places(logits.sigmoid(), windows, centres(boxes, 0), centres(boxes, 1))


def centres(boxes: Tensor, axis: int) -> Tensor:
    """Of the cells of boxes (n, 4) along x (0) or y (1), in pixels: (n, CELLS)."""
    first, last = boxes[:, axis, None], boxes[:, axis + 2, None]
    return first + (last - first) * ((torch.arange(CELLS, device=boxes.device) + 0.5) / CELLS)


def at_places(maps: Tensor, windows: Tensor, x: Tensor, y: Tensor) -> Tensor:
    """Maps (n, m, m) of windows (n, 4) at places in pixels, 0 outside: (n, rows, columns).

    x (n or 1, columns), y (n or 1, rows).
    """
    size = windows[:, 2:] - windows[:, :2]
    across = (x - windows[:, :1]) / size[:, :1] * 2 - 1
    down = (y - windows[:, 1:2]) / size[:, 1:] * 2 - 1
    return sampled(maps, across, down)


def sampled(maps: Tensor, across: Tensor, down: Tensor) -> Tensor:
    """Maps (n, m, m) between their cells' centres, 0 outside: (n, rows, columns).

    across (n, columns), down (n, rows): -1 is the map's first border, 1 the last.
    """
    rows, columns = down.shape[1], across.shape[1]
    grid = torch.stack(
        (across[:, None].expand(-1, rows, -1), down[:, :, None].expand(-1, -1, columns)), 3
    )
    return F.grid_sample(maps[:, None], grid, align_corners=False)[:, 0]


class Neck(nn.Module):
    """The map that a labeller pools from: of some of the encoder's maps, joined.

    reads: their indices, from the end where negative; the map has the finest one's stride. width:
    its channels, or None to take the one map as it is, as the papers do.
    """

    def __init__(
        self,
        channels: Sequence[int],
        strides: Sequence[int],
        reads: Sequence[int],
        width: int | None,
    ) -> None:
        super().__init__()
        known = range(-len(strides), len(strides))
        if not reads or any(i not in known for i in reads) or (width is None and len(reads) > 1):
            raise UserError(
                f"a labeller that reads the maps {list(reads)} at width {width} of an encoder with "
                f"{len(strides)} maps; give indices of these, and a width to join several"
            )
        self.reads = sorted((i % len(strides) for i in reads), key=strides.__getitem__)
        self.stride = strides[self.reads[0]]
        self.channels = channels[self.reads[0]] if width is None else width
        read = self.reads if width is not None else []
        self.lateral = nn.ModuleList(nn.Conv2d(channels[i], self.channels, 1) for i in read)
        self.context = nn.Conv2d(self.channels, self.channels, 3, padding=1) if read else None

    def forward(self, encoded: Sequence[Tensor]) -> Tensor:
        finest, *coarser = (encoded[i] for i in self.reads)
        if self.context is None:
            return finest
        first, *others = self.lateral
        joined: Tensor = first(finest)
        for lateral, features in zip(others, coarser, strict=True):
            joined = joined + F.interpolate(
                lateral(features), finest.shape[2:], mode="bilinear", align_corners=False
            )
        joined = joined.relu()
        context: Tensor = self.context(joined).relu()
        return joined + context
