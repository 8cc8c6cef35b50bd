"""The network, run by torch: the engine of model files."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from instancefcn.core.candidates import Candidates
from instancefcn.core.errors import UserError
from instancefcn.core.level import Level
from instancefcn.core.look import Look
from instancefcn.core.proposals import Proposals
from instancefcn.core.types import Floats
from instancefcn.inference.engine import Opened
from instancefcn.inference.ranking import Selection
from instancefcn.inference.sampling import Sampling
from instancefcn.inference.settings import Inference
from instancefcn.inference.windows import filled
from instancefcn.labelling.network import LabelledNetwork
from instancefcn.labelling.rois import rois_of
from instancefcn.network.fcn import InstanceFCN
from instancefcn.network.models import load_model


class TorchEngine:
    """A network, run by torch on any device."""

    def __init__(self, network: InstanceFCN, device: str | torch.device | None = None) -> None:
        self.network = network.eval()
        if device is not None:
            self.network = on_device(self.network, device)

    @property
    def multiple(self) -> int:
        return self.network.backbone.multiple

    @property
    def categories(self) -> Mapping[int, str]:
        return self.network.categories if isinstance(self.network, LabelledNetwork) else {}

    @torch.no_grad()
    def candidates(self, samplings: Sequence[Sampling], selection: Selection) -> list[Candidates]:
        """See ``Engine``."""
        encoded = self.network.encode(self._inputs(samplings))
        levels = self.network.levels(encoded)
        found = []
        for index, sampling in enumerate(samplings):
            windows = filled(
                [level.rescaled(sampling.scale) for level in levels],
                sampling.height,
                sampling.width,
                selection,
                index,
            )
            kept = tuple(maps[index] for maps in encoded) if self.categories else ()
            found.append(windows.candidates(Look(len(levels), kept, sampling.scale)))
        return found

    @torch.no_grad()
    def label(self, proposals: Proposals, looks: Sequence[Look]) -> Floats:
        """See ``Engine``. Each mask is read from the look that found it."""
        assert isinstance(self.network, LabelledNetwork)
        logits = np.zeros((len(proposals), 1 + len(self.categories)), np.float32)
        first = 0
        for look in looks:
            last = first + look.num_levels
            mine = np.flatnonzero((proposals.level >= first) & (proposals.level < last))
            if len(mine):
                rois = rois_of(proposals[mine], look).to(look.encoded[0].device)
                maps = [each[None] for each in look.encoded]
                logits[mine] = self.network.labeller(maps, rois).float().numpy(force=True)
            first = last
        return logits

    @torch.no_grad()
    def levels(self, sampling: Sampling) -> list[Level]:
        """All that the network says of one sampling, in pixels from its ``origin``."""
        levels = self.network(self._inputs([sampling]))
        return [level.rescaled(sampling.scale) for level in levels]

    def _inputs(self, samplings: Sequence[Sampling]) -> Tensor:
        inputs = [torch.from_numpy(sampling.to_input(self.multiple)) for sampling in samplings]
        together = inputs[0] if len(inputs) == 1 else torch.cat(inputs)
        return together.to(self.network.backbone.mean.device)


def on_device(network: InstanceFCN, device: str | torch.device) -> InstanceFCN:
    """The network there. UserError for a device that torch does not have here."""
    try:
        return network.to(device)
    except (RuntimeError, AssertionError) as error:
        reason = str(error).splitlines()[0]
        raise UserError(
            f"device {str(device)!r}: not on this machine ({reason}); give another, e.g. cpu"
        ) from None


def open_torch(name: str | Path, device: str | None, trust: Collection[str]) -> Opened:
    """See ``engines.open_engine``; of a model file as ``train`` writes it."""
    model = load_model(name, trust)
    settings = Inference.of(model.inference, str(name))
    return Opened(TorchEngine(model.network, device), settings, model.card)
