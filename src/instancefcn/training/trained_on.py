"""What a run's model says of the images that it was trained on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from instancefcn.data.identity import KEY, record
from instancefcn.network.models import read_card
from instancefcn.training.recipe import Recipe


def trained_on(recipe: Recipe) -> Sequence[Mapping[str, Any]] | None:
    """The record for the card of a recipe's model: of each of its data sets, after those of the
    model that it starts from. None if that model does not say: what is known is not all then.
    """
    before = read_card(recipe.start).get(KEY) if recipe.start else []
    return None if before is None else [*before, *record(tuple(recipe.train))]
