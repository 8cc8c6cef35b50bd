"""The categories that a labeller learns: which they are, under which ids, and whether shown."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from jsonargparse import Namespace

from instancefcn.core.errors import UserError
from instancefcn.core.words import counted
from instancefcn.data.dataset import Dataset
from instancefcn.data.subsets import Recategorised, few
from instancefcn.evaluation.comparing import compare_names
from instancefcn.labelling.network import LabelledNetwork
from instancefcn.network.fcn import InstanceFCN
from instancefcn.network.typed import parse, plain_parser


def fill_categories(
    typed: Namespace, values: Mapping[str, Any], trust: Collection[str], source: str
) -> None:
    """Give a network with a labeller whose recipe names no categories those of its first data set.
    Opens that data set.
    """
    wanted = f"{LabelledNetwork.__module__}.{LabelledNetwork.__qualname__}"
    if typed.network.class_path != wanted or typed.network.init_args.categories:
        return
    if not values.get("train"):
        return  # the recipe itself says so
    parser = plain_parser()
    parser.add_argument("--train", type=list[Dataset])
    first = {"train": values["train"][:1]}
    train: list[Dataset] = parser.instantiate(
        parse(parser, first, {"train": list[Dataset]}, trust, source)
    ).train
    typed.network.init_args.categories = dict(train[0].categories)


def to_train_on(network: InstanceFCN, datasets: Sequence[Dataset]) -> list[Dataset]:
    """The data sets as a network takes them: of one with a labeller under its own ids."""
    if not isinstance(network, LabelledNetwork):
        return list(datasets)
    return [Recategorised(dataset, network.categories) for dataset in datasets]


def told_of_others(network: InstanceFCN, datasets: Sequence[Dataset]) -> list[str]:
    """A line on each data set to evaluate on whose categories are not those that a network with a
    labeller learns: what its figures mean then. Reads no image.
    """
    if not isinstance(network, LabelledNetwork):
        return []
    compared = (compare_names(network.categories, dataset) for dataset in datasets)
    return [f"the labeller: {words}" for each in compared for words in each.words]


def require_shown(network: InstanceFCN, datasets: Sequence[Dataset]) -> str | None:
    """A line on categories that no object shows, None if there are none. Reads annotations
    until each was seen.

    Raises UserError if the data sets name other categories than the network, or show none at all.
    """
    if not isinstance(network, LabelledNetwork):
        return None
    train = [Recategorised(dataset, network.categories) for dataset in datasets]
    for dataset in train:
        dataset.require_same_names()
    left = set(network.categories)
    for dataset in train:
        for index in range(len(dataset)):
            left -= {i.category for i in dataset[index].instances if not i.crowd}
            if not left:
                return None
    names = [network.categories[category] for category in sorted(left)]
    if len(names) == len(network.categories):
        raise UserError("the data sets show no object of any category; give images with objects")
    number = counted(len(names), "category", "categories")
    verb = "has" if len(names) == 1 else "have"
    return f"{number} {verb} no object to learn from, and will not be found: {few(names)}"
