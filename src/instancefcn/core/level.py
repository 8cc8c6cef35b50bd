"""A level: what a network says of one sampling of an image, for windows of one size."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

from torch import Tensor

from instancefcn.core.grid import Grid, Windows

Decode = Callable[[Tensor, Windows, Grid], Tensor]
"""What reads a head's answer: (answer, n windows, their grid) -> what it says of each (n, ...)."""


@dataclass(frozen=True)
class Level:
    """A grid and what a network says of its windows, for a batch of B inputs.

    maps (B, C, H, W): what ``fill`` reads n windows' mask logits (n, m, m) from; k * k score maps
    in the paper. objectness (B, rows, columns): logits, one a window. answers: what further heads
    say, by their names, each of the head's own shape; ``decoders`` read them.
    """

    grid: Grid
    maps: Tensor
    objectness: Tensor
    fill: Decode
    answers: Mapping[str, Tensor] = field(default_factory=dict)
    decoders: Mapping[str, Decode] = field(default_factory=dict)

    def __post_init__(self) -> None:
        assert self.maps.ndim == 4
        assert self.objectness.shape == (len(self.maps), self.grid.rows, self.grid.columns)

    def logits(self, windows: Windows) -> Tensor:
        """Mask logits (n, m, m) of these windows."""
        logits = self.fill(self.maps, windows, self.grid)
        assert logits.shape == (len(windows), self.grid.m, self.grid.m)
        return logits

    def answers_of(self, windows: Windows) -> dict[str, Tensor]:
        """What further heads say of these windows, by their names, each (n, ...)."""
        return {
            name: decode(self.answers[name], windows, self.grid)
            for name, decode in self.decoders.items()
        }

    def rescaled(self, scale: tuple[float, float]) -> Level:
        """The same level in pixels of an image ``scale`` = (x, y) times as large."""
        return replace(self, grid=self.grid.rescaled(scale))
