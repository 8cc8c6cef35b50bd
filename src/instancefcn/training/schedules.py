"""Learning rates as pure functions of the step: factors on the recipe's own rate."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Protocol

from instancefcn.core.errors import UserError


class Schedule(Protocol):
    def __call__(self, step: int, steps: int) -> float:
        """The factor, at most 1, at ``step`` of 0 .. steps - 1."""


@dataclass(frozen=True)
class Staircase:
    """Divide the rate by ``divisor`` at each of these fractions of the run.

    The default is the paper's (section 3.3): 32,000 steps at 1e-3, then 8,000 at 1e-4.
    """

    at: tuple[float, ...] = (0.8,)
    divisor: float = 10.0

    def __post_init__(self) -> None:
        if not all(0 <= fraction <= 1 for fraction in self.at):
            raise UserError(f"at: {self.at}; give fractions of the run, 0 to 1")
        if not 1 <= self.divisor < math.inf:
            raise UserError(f"divisor: {self.divisor}; give 1 or more")

    def __call__(self, step: int, steps: int) -> float:
        return self.divisor ** -sum(step >= round(fraction * steps) for fraction in self.at)


@dataclass(frozen=True)
class WarmupCosine:
    """Up to 1 linearly over ``warmup`` steps, then down to ``floor`` along half a cosine."""

    warmup: int = 200
    floor: float = 0.01

    def __post_init__(self) -> None:
        if self.warmup < 0 or not 0 <= self.floor <= 1:
            raise UserError(
                f"warmup: {self.warmup}, floor: {self.floor}; give 0 steps or more, and 0 to 1"
            )

    def __call__(self, step: int, steps: int) -> float:
        if step < self.warmup:
            return (step + 1) / self.warmup
        progress = (step - self.warmup) / max(1, steps - self.warmup)
        return self.floor + (1 - self.floor) * (1 + math.cos(math.pi * progress)) / 2
