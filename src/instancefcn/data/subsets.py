"""Parts of another data set: some spread over all of it, or those that a list names."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cached_property

from instancefcn.core.errors import UserError
from instancefcn.core.types import AnnotatedImage
from instancefcn.data.checks import check_items
from instancefcn.data.dataset import Dataset, Problem
from instancefcn.data.splits import shipped_split


class Every:
    """The images 0, step, 2 * step .. of a data set.

    Invariant: ``step`` 1 is the data set itself. Raises UserError for a step below 1.
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


class Listed:
    """The images of a data set whose files a list of the package names, in the data set's order.

    names: a file of the package's folder ``splits``, without ".txt": "coco_val2017".
    """

    def __init__(self, dataset: Dataset, names: str) -> None:
        self.dataset = dataset
        self.names = names

    @property
    def name(self) -> str:
        return self.dataset.name

    @property
    def categories(self) -> Mapping[int, str]:
        return self.dataset.categories

    def __len__(self) -> int:
        return len(self._places)

    def __getitem__(self, index: int) -> AnnotatedImage:
        if not 0 <= index < len(self):
            raise IndexError(index)
        return self.dataset[self._places[index]]

    def problems(self, decode: bool = False) -> Iterator[Problem]:
        """See ``Dataset.problems``; of these images only."""
        return check_items(self, decode)

    @cached_property
    def _places(self) -> list[int]:
        names = set(shipped_split(self.names))
        places = range(len(self.dataset))
        return [place for place in places if self.dataset[place].path.stem in names]
