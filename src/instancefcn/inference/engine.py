"""What an engine is: it maps samplings of one size to candidates. The network with torch is one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from instancefcn.core.candidates import Candidates
from instancefcn.inference.ranking import Selection
from instancefcn.inference.sampling import Sampling


class Engine(Protocol):
    """The interface."""

    @property
    def multiple(self) -> int:
        """What the sides of an input are multiples of."""

    def candidates(self, samplings: Sequence[Sampling], selection: Selection) -> list[Candidates]:
        """The candidates of each sampling, in pixels from its ``origin``, on the engine's device.

        The samplings have one ``input_size``; the result of one does not depend on the others.
        """
