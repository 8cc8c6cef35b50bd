"""The classifier of R-FCN: position-sensitive score maps of each category, averaged."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor, nn
from torchvision.ops import ps_roi_align

from instancefcn.core.errors import UserError
from instancefcn.labelling.labeller import Labeller
from instancefcn.labelling.rois import CELLS, Neck, Rois


class RfcnLabeller(Labeller):
    """Position-sensitive pooling (Dai et al., NIPS 2016, "R-FCN"): fully convolutional, no layer
    sees a roi alone.

    k x k score maps a category; part (i, j) of a roi reads map (i, j), and the mean over the roi is
    its logit. over: "box" takes the mean over the box, as the paper does; "mask" over those cells
    of the box that the proposal's mask holds, our own variation. k divides 14. See ``Neck`` for
    ``reads`` and ``width``.
    """

    def __init__(
        self,
        channels: Sequence[int],
        strides: Sequence[int],
        num_categories: int,
        *,
        reads: Sequence[int] = (-2, -1),
        width: int | None = 128,
        k: int = 7,
        over: Literal["box", "mask"] = "mask",
    ) -> None:
        super().__init__()
        if k < 1 or CELLS % k:
            raise UserError(f"k: {k} parts along a box; give a divisor of {CELLS}: 1, 2, 7 or 14")
        self.neck = Neck(channels, strides, reads, width)
        self.k = k
        self.over = over
        self.score = nn.Conv2d(self.neck.channels, (1 + num_categories) * k * k, 1)

    def forward(self, encoded: Sequence[Tensor], rois: Rois) -> Tensor:
        maps: Tensor = self.score(self.neck(encoded))
        scores = position_sensitive(maps, rois, self.neck.stride, self.k)
        weights = torch.ones_like(rois.masks) if self.over == "box" else rois.masks
        weights = weights[:, None].to(scores.dtype)
        return (scores * weights).sum((2, 3)) / weights.sum((2, 3)).clamp(min=1)


def position_sensitive(maps: Tensor, rois: Rois, stride: int, k: int) -> Tensor:
    """Maps (B, C * k * k, h, w) -> (n, C, CELLS, CELLS): each cell of a box reads the map of the
    part, of k x k, that it lies in.
    """
    batch, channels, height, width = maps.shape
    repeat = CELLS // k
    parts = maps.view(batch, channels // k**2, k, k, height, width)
    cells = parts.repeat_interleave(repeat, 2).repeat_interleave(repeat, 3)
    boxes = torch.cat((rois.image[:, None].to(rois.boxes.dtype), rois.boxes), 1)
    pooled: Tensor = ps_roi_align(
        cells.reshape(batch, -1, height, width), boxes.to(maps.dtype), CELLS, 1 / stride, 1
    )
    return pooled
