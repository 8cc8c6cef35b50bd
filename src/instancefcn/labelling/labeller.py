"""What a labeller is: it says of each mask which category it shows, or that it shows none."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence

from torch import Tensor, nn

from instancefcn.labelling.rois import Rois


class Labeller(nn.Module):
    """The interface. A labeller is built for an encoder and a number of categories:

    ``Labeller(channels, strides, num_categories, ...)``, the first two those of the encoder's
    maps. It reads what the network has computed to find the masks; no pass is made for it.
    """

    @abstractmethod
    def forward(self, encoded: Sequence[Tensor], rois: Rois) -> Tensor:
        """The encoder's maps (B, C, h, w), n rois -> logits (n, 1 + num_categories).

        The first one is background: no object, or too little of one.
        """
