"""What an engine is: it maps samplings of one size to candidates. The network with torch is one.

An engine whose model has a labeller also says what the masks show. What goes in and comes out are
arrays: another engine needs no torch.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from instancefcn.core.candidates import Candidates
from instancefcn.core.look import Look
from instancefcn.core.proposals import Proposals
from instancefcn.core.types import Floats
from instancefcn.inference.ranking import Selection
from instancefcn.inference.sampling import Sampling
from instancefcn.inference.settings import Inference


class Engine(Protocol):
    """The interface."""

    @property
    def multiple(self) -> int:
        """What the sides of an input are multiples of."""

    @property
    def categories(self) -> Mapping[int, str]:
        """The names, by id, of what it tells apart; none if it does not label."""

    def candidates(self, samplings: Sequence[Sampling], selection: Selection) -> list[Candidates]:
        """The candidates of each sampling, in pixels from its ``origin``.

        The samplings have one ``input_size``; the result of one does not depend on the others.
        """

    def label(self, proposals: Proposals, looks: Sequence[Look]) -> Floats:
        """Logits (n, 1 + number of categories) float32, background first, then by id.

        ``looks``: those of the candidates that the proposals were ranked of.
        """


@dataclass(frozen=True)
class Opened:
    """A model's file, opened: what runs it, how it says that it is meant to be used, and where it
    says that it comes from, as plain values.
    """

    engine: Engine
    settings: Inference
    card: Mapping[str, Any]
