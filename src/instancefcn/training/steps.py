"""A training step as one module: from a batch to the loss terms, whatever is learnt."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from instancefcn.core.level import Level
from instancefcn.inference.ranking import Selection
from instancefcn.inference.windows import best_of, filled
from instancefcn.labelling.network import LabelledNetwork
from instancefcn.labelling.rois import Rois, joined
from instancefcn.network.fcn import InstanceFCN
from instancefcn.training.rois import Objects, RoiSampling, drawn_rois, mined


class TrainingStep(nn.Module):
    """From pixels to the loss terms, as one module: DDP then sees every use of a parameter, in the
    network as in its heads.
    """

    def __init__(self, network: InstanceFCN) -> None:
        super().__init__()
        self.network = network

    def names(self) -> list[str]:
        """The names of the terms, in order."""
        return self.network.term_names()

    def forward(self, images: Tensor, targets: Callable[[], Sequence[Any]]) -> Tensor:
        """Images (B, 3, H, W) uint8, and the targets that the batch holds -> the terms."""
        terms = self.network.losses(self.network(as_input(images)), targets())
        return torch.stack(list(terms.values()))


class LabelStep(nn.Module):
    """The same of a network with a labeller: it finds masks, and the labeller learns of them.

    The network itself does not learn, and no gradient of it is computed.
    """

    def __init__(
        self, network: LabelledNetwork, selection: Selection, sampling: RoiSampling
    ) -> None:
        super().__init__()
        self.network = network
        self.selection = selection
        self.sampling = sampling

    def names(self) -> list[str]:
        """See ``TrainingStep``."""
        return ["label"]

    def forward(self, images: Tensor, targets: Callable[[], Sequence[Any]]) -> Tensor:
        """See ``TrainingStep``."""
        with torch.no_grad():
            encoded = self.network.encode(as_input(images))
            levels = self.network.levels(encoded)
        return self.label_loss(encoded, levels, images.shape[2:], targets())[None]

    def label_loss(
        self,
        encoded: Sequence[Tensor],
        levels: Sequence[Level],
        size: Sequence[int],
        objects: Sequence[Objects],
    ) -> Tensor:
        """The mean over images of the labeller's loss, a scalar; ``size``: (H, W) of the images.

        Its gradient reaches the encoder through what the labeller reads, never through masks.
        """
        rois, labels = self._rois(levels, size, objects)
        logits = self.network.labeller(encoded, rois).float()
        losses = F.cross_entropy(logits, labels, reduction="none")
        return mined(losses, rois, labels, self.sampling, len(objects)).mean()

    @torch.no_grad()
    def _rois(
        self, levels: Sequence[Level], size: Sequence[int], objects: Sequence[Objects]
    ) -> tuple[Rois, Tensor]:
        drawn = []
        for index, of_image in enumerate(objects):
            found = filled(levels, size[0], size[1], self.selection, index)
            found = best_of(found, self.selection)
            drawn.append(drawn_rois(found, of_image, self.sampling, index))
        rois = joined([rois for rois, _ in drawn])
        return rois, torch.cat([labels for _, labels in drawn])


class JointStep(LabelStep):
    """Both at once: the network learns masks and objectness, the labeller labels, and the encoder
    of both. A batch holds the targets of each level, then the objects of each image.
    """

    def names(self) -> list[str]:
        """See ``TrainingStep``."""
        return [*self.network.term_names(), "label"]

    def forward(self, images: Tensor, targets: Callable[[], Sequence[Any]]) -> Tensor:
        """See ``TrainingStep``."""
        encoded = self.network.encode(as_input(images))
        levels = self.network.levels(encoded)
        wanted = targets()
        terms = self.network.losses(levels, wanted[: len(levels)])
        label = self.label_loss(encoded, levels, images.shape[2:], wanted[len(levels) :])
        return torch.stack([*terms.values(), label])


def as_input(images: Tensor) -> Tensor:
    """(B, 3, H, W) uint8 as the network takes it."""
    return (images.float() / 255).to(memory_format=torch.channels_last)
