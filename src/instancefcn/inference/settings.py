"""How a model is meant to be used: written in a recipe, kept in the model's file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from instancefcn.core.errors import UserError
from instancefcn.inference.ranking import Selection


@dataclass(frozen=True)
class Inference:
    """The sizes at which a network sees an image, and which of its masks stay.

    sides: shorter sides in pixels, see ``Predictor``. selection: see ``Selection``.
    """

    sides: tuple[int, ...]
    selection: Selection = field(default_factory=Selection)

    def __post_init__(self) -> None:
        if not self.sides or min(self.sides) < 1:
            raise UserError(
                f"inference.sides: {list(self.sides)}; give one or more, each at least 1"
            )

    @classmethod
    def of(cls, values: Mapping[str, Any], source: str) -> Inference:
        """Of a model file's plain values; UserError, naming ``source``, for other than these."""
        try:
            selection = dict(values.get("selection", {}))
            selection["repeats"] = tuple(selection.get("repeats", ()))
            rest = {key: value for key, value in values.items() if key != "selection"}
            rest["sides"] = tuple(rest["sides"])
            return cls(**rest, selection=Selection(**selection))
        except (KeyError, TypeError, AttributeError, ValueError) as error:
            raise UserError(
                f"{source}: its settings for inference are not of this version ({error!r}); "
                "write the model again"
            ) from None
