"""A network that finds masks, and a labeller of these: one model."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from instancefcn.core.errors import UserError
from instancefcn.core.types import is_name
from instancefcn.labelling.labeller import Labeller
from instancefcn.network.fcn import InstanceFCN

MakeLabeller = Callable[[Sequence[int], Sequence[int], int], Labeller]
"""(channels and strides of the encoder's maps, number of categories) -> a labeller."""


class LabelledNetwork(InstanceFCN):
    """A network whose proposals are labelled by what its encoder has computed already.

    network: what finds masks. labeller: what labels them; in a recipe its class and arguments, the
    encoder's own and the number of categories apart. categories: their names by id, as data sets
    have them; the labeller's outputs are in the order of the ids, after background. A recipe that
    gives none, {}, takes those of its first data set.
    """

    def __init__(
        self, network: InstanceFCN, labeller: MakeLabeller, categories: Mapping[int, str]
    ) -> None:
        super().__init__(network.backbone, network.all_branches())
        _check(categories)
        self.categories = dict(sorted(categories.items()))
        backbone = self.backbone
        self.labeller = labeller(backbone.encoded_channels, backbone.strides, len(categories))


def _check(categories: Mapping[int, str]) -> None:
    if not categories:
        raise UserError("categories: none; name those that the labeller tells apart")
    for name in categories.values():
        if not is_name(name):
            raise UserError(f"categories: {name!r} is no name; give a text of one line")
    names = list(categories.values())
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise UserError(f"categories: two are called {twice[0]!r}; give each its own name")


def is_labeller(name: str) -> bool:
    """Is a weight of a ``LabelledNetwork`` the labeller's?"""
    return name.startswith("labeller.")
