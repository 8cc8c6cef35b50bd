"""What would end a run in its first step, found before data are read."""

from __future__ import annotations

from pathlib import Path

import torch

from instancefcn.core.errors import UserError
from instancefcn.network.fcn import InstanceFCN
from instancefcn.network.finding import find_model
from instancefcn.training.checkpoint import try_step
from instancefcn.training.loop import parameter_groups
from instancefcn.training.recipe import Recipe


def require_ready(recipe: Recipe) -> None:
    """Raises UserError if weights to start from are missing, or network or optimizer do not run."""
    if recipe.start is not None:
        find_model(recipe.start)
    if recipe.pretrained not in (None, "download") and not Path(str(recipe.pretrained)).is_file():
        raise UserError(
            f"{recipe.pretrained}: no such file of pretrained weights; name the folder that "
            "holds it with --weights, or fetch them with --pretrained download"
        )
    require_fit(recipe.network)
    require_optimizer(recipe)


def require_optimizer(recipe: Recipe) -> None:
    """Raises UserError for an optimizer that cannot be built, as with a rate below 0, or that
    cannot take a step of this kind of training, as one that asks for the loss again and again.
    """
    try:
        try_step(recipe.optimizer(parameter_groups(recipe.network, recipe.joint)))
    except (RuntimeError, TypeError, ValueError) as error:
        raise UserError(
            f"the recipe's optimizer does not train this network ({' '.join(str(error).split())});"
            " take another, or other values for it"
        ) from error


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
