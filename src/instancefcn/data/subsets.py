"""A part of another data set, spread over all of it: what training on less data gives."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from instancefcn.core.errors import UserError
from instancefcn.core.types import AnnotatedImage
from instancefcn.data.checks import check_items
from instancefcn.data.dataset import Dataset, Problem


class Every:
    """The images 0, step, 2 * step .. of a data set.

    Invariant: ``step`` 1 is the data set itself. Raises ValueError for a step below 1.
    """

    def __init__(self, dataset: Dataset, step: int) -> None:
        if step < 1:
            raise UserError(f"step: {step}; give 1 or more")
        self.dataset = dataset
        self.step = step

    @property
    def name(self) -> str:
        return f"1 in {self.step} of {self.dataset.name}"

    @property
    def categories(self) -> Mapping[int, str]:
        return self.dataset.categories

    def __len__(self) -> int:
        return len(range(0, len(self.dataset), self.step))

    def __getitem__(self, index: int) -> AnnotatedImage:
        if not 0 <= index < len(self):
            raise IndexError(index)
        return self.dataset[index * self.step]

    def problems(self, decode: bool = False) -> Iterator[Problem]:
        """See ``Dataset.problems``; of these images only."""
        return check_items(self, decode)
