"""A network that finds masks, and a labeller of these: one model."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from instancefcn.core.errors import UserError
from instancefcn.labelling.labeller import Labeller
from instancefcn.network.fcn import InstanceFCN

MakeLabeller = Callable[[Sequence[int], Sequence[int], int], Labeller]
"""(channels and strides of the encoder's maps, number of categories) -> a labeller."""


class LabelledNetwork(InstanceFCN):
    """A network whose proposals are labelled by what its encoder has computed already.

    network: what finds masks. labeller: what labels them; in a recipe its class and arguments, the
    encoder's own and the number of categories apart. categories: their names by id, as data sets
    have them; the labeller's outputs are in the order of the ids, after background. A recipe that
    leaves them out takes those of the data sets that it trains on.
    """

    def __init__(
        self, network: InstanceFCN, labeller: MakeLabeller, categories: Mapping[int, str]
    ) -> None:
        super().__init__(network.backbone, [*network._branches()])
        if not categories:
            raise UserError("categories: none; name those that the labeller tells apart")
        if len(set(categories.values())) < len(categories):
            raise UserError(
                f"categories: two of {dict(categories)} have one name; give each its own"
            )
        self.categories = dict(sorted(categories.items()))
        backbone = self.backbone
        self.labeller = labeller(backbone.encoded_channels, backbone.strides, len(categories))


def is_labeller(name: str) -> bool:
    """Is a weight of a ``LabelledNetwork`` the labeller's?"""
    return name.startswith("labeller.")
