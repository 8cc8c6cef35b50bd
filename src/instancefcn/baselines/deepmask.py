"""~DeepMask, the paper's baseline (section 4.1): a sliding fully connected layer draws the mask.

Pinheiro, Collobert, Dollar, "Learning to Segment Object Candidates", NIPS 2015, section 3.1.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchvision.ops import roi_align

from instancefcn.core.grid import Grid, Windows
from instancefcn.network.heads import MaskHead
from instancefcn.network.losses import MaskLoss

CHUNK = 256
"""Windows filled at a time: each holds channels x 14 x 14 features."""


class SlidingHead(MaskHead):
    """Mask logits of a window from all its features at once, by two fully connected layers.

    A 1x1 convolution with ReLU; then a window's features, averaged to ``size`` x ``size`` cells, to
    ``hidden`` numbers and on to ``mask`` x ``mask`` logits, with nothing between the two layers
    (DeepMask's low-rank layer). The logits are brought to the m x m cells that targets have.

    Unlike ``ScoreMapHead`` it has weights for each place of a mask: of 512 channels, 14 x 14 x 512
    x 512 + 512 x 56 x 56 (paper, section 3.2). Beyond the level features are zero.
    """

    def __init__(
        self,
        channels: int,
        hidden: int = 512,
        size: int = 14,
        mask: int = 56,
        loss: MaskLoss | None = None,
    ) -> None:
        super().__init__(loss)
        self.size = size
        self.mask = mask
        self.reduce = nn.Conv2d(channels, channels, 1)
        self.encode = nn.Linear(channels * size * size, hidden)
        self.draw = nn.Linear(hidden, mask * mask)

    def forward(self, features: Tensor) -> Tensor:
        maps: Tensor = self.reduce(features).relu()
        return maps

    def decode(self, answer: Tensor, windows: Windows, grid: Grid) -> Tensor:
        m = grid.m
        corner = torch.stack((windows.x, windows.y), 1) - m // 2
        boxes = torch.cat((windows.image[:, None], corner, corner + m), 1).float()
        return torch.cat([self._logits(answer, part, m) for part in torch.split(boxes, CHUNK)])

    def _logits(self, maps: Tensor, boxes: Tensor, m: int) -> Tensor:
        features = roi_align(maps.float(), boxes, self.size, aligned=True).to(maps.dtype)
        masks = self.draw(self.encode(features.flatten(1))).view(-1, 1, self.mask, self.mask)
        resized = F.interpolate(masks.float(), (m, m), mode="bilinear", antialias=True)
        return resized[:, 0]
