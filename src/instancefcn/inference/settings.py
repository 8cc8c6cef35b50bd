"""How a model is meant to be used: a recipe and a model file both say it with ``Inference``."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from math import inf
from typing import Any, get_type_hints

from instancefcn.core.errors import UserError
from instancefcn.inference.ranking import Selection
from instancefcn.labelling.labels import Labelling
from instancefcn.network.typed import parse, plain_parser

MOST_SIDES = 32
LARGEST_SIDE = 10_000
"""Pixels. What an image of such a side costs in memory is the user's to judge, up to here."""


@dataclass(frozen=True)
class Inference:
    """The sizes at which a network sees an image, and what is kept of what it says.

    sides: the shorter sides of the samplings, in pixels; each costs a forward pass in proportion
    to its square. longest: no longer side exceeds ``longest`` times its shorter side's aim.
    labelling: how proposals become labelled ones, if the model has a labeller.
    Raises UserError for values out of range.
    """

    sides: tuple[int, ...]
    selection: Selection = field(default_factory=Selection)
    longest: float = 2.5
    labelling: Labelling = field(default_factory=Labelling)

    def __post_init__(self) -> None:
        if not 1 <= len(self.sides) <= MOST_SIDES:
            raise UserError(f"sides: {len(self.sides)} of them; give 1 to {MOST_SIDES}")
        for side in self.sides:
            if not 1 <= side <= LARGEST_SIDE:
                raise UserError(f"sides: {side} pixels; give 1 to {LARGEST_SIDE}")
        if not 1 <= self.longest < inf:
            raise UserError(f"longest: {self.longest}; give 1 or more")

    @classmethod
    def of(cls, values: Any, source: str) -> Inference:
        """Read the plain values of a model file. Raises UserError, naming ``source``."""
        if not isinstance(values, Mapping):
            raise UserError(f"{source}: its settings for inference are no mapping; write it again")
        parser = plain_parser()
        parser.add_class_arguments(cls)
        try:
            read = parser.instantiate(parse(parser, values, get_type_hints(cls), (), source))
            return cls(**{name: read[name] for name in cls.__dataclass_fields__})
        except UserError as error:
            reason = str(error).removeprefix(f"{source}: ")
            raise UserError(
                f"{source}: its settings for inference are not of this version: {reason}"
            ) from None

    def plain(self) -> dict[str, Any]:
        """The same as plain values, as JSON would give them back."""
        values: dict[str, Any] = json.loads(json.dumps(asdict(self)))
        return values
