"""The classifier of MNC: box features and masked features, each through fully connected layers."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from instancefcn.labelling.labeller import Labeller
from instancefcn.labelling.rois import CELLS, Neck, Rois

POOLED = CELLS // 2


class MncLabeller(Labeller):
    """Stage 3 of MNC (Dai et al., CVPR 2016, section 3.3), with which the InstanceFCN paper
    classifies its proposals (section 4.1).

    Features are pooled on the proposal's box, and the same weighted by its mask; each goes through
    a path of two fully connected layers of ``hidden`` units, and both together give the logits.
    In the paper ``hidden`` is 4096 and the features are VGG-16's as they are, ``width`` None; see
    ``Neck`` for ``reads`` and ``width``. dropout: the probability that a unit is left out of a
    step.
    """

    def __init__(
        self,
        channels: Sequence[int],
        strides: Sequence[int],
        num_categories: int,
        *,
        reads: Sequence[int] = (-2, -1),
        width: int | None = 128,
        hidden: int = 256,
        dropout: float = 0.3,
    ) -> None:
        super().__init__()
        self.neck = Neck(channels, strides, reads, width)
        inputs = self.neck.channels * POOLED**2
        self.box_path = _path(inputs, hidden, dropout)
        self.mask_path = _path(inputs, hidden, dropout)
        self.score = nn.Linear(2 * hidden, 1 + num_categories)

    def forward(self, encoded: Sequence[Tensor], rois: Rois) -> Tensor:
        pooled = rois.pooled(self.neck(encoded), self.neck.stride)
        masked = pooled * rois.masks[:, None].to(pooled.dtype)
        box, mask = (F.max_pool2d(features, 2).flatten(1) for features in (pooled, masked))
        logits: Tensor = self.score(torch.cat((self.box_path(box), self.mask_path(mask)), 1))
        return logits


def _path(inputs: int, hidden: int, dropout: float) -> nn.Module:
    layers: list[nn.Module] = []
    for size in (inputs, hidden):
        layers += [nn.Linear(size, hidden), nn.ReLU(), nn.Dropout(dropout)]
    return nn.Sequential(*layers)
