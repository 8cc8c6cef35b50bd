"""What would end a run in its first step, found before data are read."""

from __future__ import annotations

from pathlib import Path

import torch

from instancefcn.core.errors import UserError
from instancefcn.network.fcn import InstanceFCN
from instancefcn.network.models import find_model
from instancefcn.training.recipe import Recipe


def require_ready(recipe: Recipe) -> None:
    """Raises UserError if weights to start from are not there, or the network does not run."""
    if recipe.start is not None:
        find_model(recipe.start)
    if recipe.pretrained not in (None, "download") and not Path(str(recipe.pretrained)).is_file():
        raise UserError(
            f"{recipe.pretrained}: no such file of pretrained weights; name the folder that "
            "holds it with --weights, or fetch them with --pretrained download"
        )
    require_fit(recipe.network)


@torch.no_grad()
def require_fit(network: InstanceFCN) -> None:
    """Raises UserError if the network's parts do not fit one another, as a head of 64 channels on a
    backbone of 96: it looks once at a small image.
    """
    mean = network.backbone.mean
    side = 2 * network.backbone.multiple
    try:
        network(torch.zeros(1, 3, side, side, device=mean.device))
    except RuntimeError as error:
        reason = " ".join(str(error).split())
        raise UserError(
            f"the parts of the network do not fit one another ({reason}); compare the channels and "
            "the strides of its backbone and heads"
        ) from None
