"""What a run's model says of the images that it was trained on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from instancefcn.core.extras import extra
from instancefcn.data.dataset import Dataset
from instancefcn.data.identity import KEY, Thumbnails, entry, is_known, recorded, thumbnails
from instancefcn.network.models import read_card
from instancefcn.training.processes import gathered, share
from instancefcn.training.recipe import Recipe

with extra("train"):
    from lightning_fabric import Fabric


def trained_on(recipe: Recipe, fabric: Fabric) -> Sequence[Mapping[str, Any]] | None:
    """The record for the card of a recipe's model: of each of its data sets, after those of the
    model that it starts from. A set that this one knows already is not listed again. None if that
    model does not say: what is known is not all then.

    All images are decoded. All processes call it, and each decodes its part.
    """
    card = read_card(recipe.start) if recipe.start else {KEY: []}
    known = recorded(card, str(recipe.start))
    if known is None:
        return None
    sets = [(each, _all_thumbnails(each, fabric)) for each in recipe.train]
    new = [pair for pair in sets if not all(is_known(small, known) for small in pair[1])]
    return [*card[KEY], *(entry(*pair) for pair in new)]


def _all_thumbnails(dataset: Dataset, fabric: Fabric) -> Thumbnails:
    mine = thumbnails(dataset, share(len(dataset), fabric))
    return np.concatenate(gathered([mine], fabric))
