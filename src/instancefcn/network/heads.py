"""What reads a feature map: mask heads, which fill windows, and the objectness head."""

from __future__ import annotations

import math
from abc import abstractmethod

from torch import Tensor, nn

from instancefcn.core.assembling import assemble
from instancefcn.core.types import Windows


class MaskHead(nn.Module):
    """What fills a window: the one part in which the paper's systems differ.

    ``forward`` turns features (B, C, H, W) into maps (B, any, H, W) of the same cells, once an
    image; ``fill`` turns maps and n windows into mask logits (n, m, m), once a set of windows.
    """

    @abstractmethod
    def forward(self, features: Tensor) -> Tensor: ...

    @abstractmethod
    def fill(self, maps: Tensor, windows: Windows, m: int) -> Tensor: ...


class ScoreMapHead(MaskHead):
    """k x k instance-sensitive score maps, assembled (paper, sections 3.1 and 3.3).

    A 1x1 convolution with ReLU, then a 3x3 convolution to k * k maps; no layer's size depends
    on m. ``hidden`` is 512 and ``k`` is 5 in the paper; k = 1 is the plain FCN.
    """

    def __init__(self, channels: int, hidden: int, k: int) -> None:
        super().__init__()
        self.k = k
        self.hidden = nn.Conv2d(channels, hidden, 1)
        self.score = nn.Conv2d(hidden, k * k, 3, padding=1)

    def forward(self, features: Tensor) -> Tensor:
        scores: Tensor = self.score(self.hidden(features).relu())
        return scores

    def fill(self, maps: Tensor, windows: Windows, m: int) -> Tensor:
        return assemble(maps, windows, m, self.k)


class ObjectnessHead(nn.Module):
    """Is the window centred here an instance? (paper, section 3.3)

    A 3x3 convolution with ReLU, then a 1x1 convolution: features (B, C, h, w) -> logits
    (B, h, w). ``prior`` is the probability it starts from.
    """

    def __init__(self, channels: int, hidden: int, prior: float = 0.5) -> None:
        super().__init__()
        self.hidden = nn.Conv2d(channels, hidden, 3, padding=1)
        self.score = nn.Conv2d(hidden, 1, 1)
        assert self.score.bias is not None
        nn.init.constant_(self.score.bias, math.log(prior / (1 - prior)))

    def forward(self, features: Tensor) -> Tensor:
        scores: Tensor = self.score(self.hidden(features).relu())
        return scores[:, 0]
