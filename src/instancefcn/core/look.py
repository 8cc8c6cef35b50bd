"""A look: one pass over one sampling of an image, and what is left of it for a labeller."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any


@dataclass(frozen=True)
class Look:
    """One sampling that an engine saw.

    num_levels: how many levels its candidates came from. encoded: the encoder's maps, in a form
    that the engine alone reads, which made them; empty if nobody labels. scale: pixels of the image
    for one of the input (x, y). origin: where the input begins, in pixels of the image.
    """

    num_levels: int
    encoded: tuple[Any, ...] = ()
    scale: tuple[float, float] = (1.0, 1.0)
    origin: tuple[float, float] = (0.0, 0.0)

    def moved(self, x: float, y: float) -> Look:
        """The same, x pixels further right and y further down."""
        return replace(self, origin=(self.origin[0] + x, self.origin[1] + y))
