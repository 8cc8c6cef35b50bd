"""Other views of a data set: some of its images, or its categories under other ids."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cached_property

from instancefcn.core.errors import UserError, nearest
from instancefcn.core.types import AnnotatedImage
from instancefcn.data.checks import check_items
from instancefcn.data.dataset import Dataset, Problem
from instancefcn.data.splits import shipped_split


class _Part(ABC):
    """The images of a data set at some places, in its order."""

    def __init__(self, dataset: Dataset) -> None:
        self.dataset = dataset

    @property
    @abstractmethod
    def _places(self) -> Sequence[int]:
        """Which of the data set's images these are, in order."""

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


class Every(_Part):
    """The images 0, step, 2 * step .. of a data set.

    Invariant: ``step`` 1 is the data set itself. Raises UserError for a step below 1.
    """

    def __init__(self, dataset: Dataset, step: int) -> None:
        super().__init__(dataset)
        if step < 1:
            raise UserError(f"step: {step}; give 1 or more")
        self.step = step

    @property
    def name(self) -> str:
        return f"1 in {self.step} of {self.dataset.name}"

    @property
    def _places(self) -> Sequence[int]:
        return range(0, len(self.dataset), self.step)


class Listed(_Part):
    """The images of a data set whose files a list of the package names, in the data set's order.

    names: a file of the package's folder ``splits``, without ".txt": "coco_val2017".
    """

    def __init__(self, dataset: Dataset, names: str) -> None:
        super().__init__(dataset)
        self.names = names

    @cached_property
    def _places(self) -> Sequence[int]:
        names = set(shipped_split(self.names))
        places = range(len(self.dataset))
        return [place for place in places if self.dataset[place].path.stem in names]


class Only(_Part):
    """The images of a data set that show some of its categories, and their objects alone.

    names: of the categories, which keep their ids. Raises UserError, at the first look, for a name
    that the data set does not have.
    """

    def __init__(self, dataset: Dataset, names: Sequence[str]) -> None:
        super().__init__(dataset)
        self.names = names

    @property
    def name(self) -> str:
        return f"{self.dataset.name}, {few(list(self.names))}"

    @cached_property
    def categories(self) -> Mapping[int, str]:
        unknown = sorted(set(self.names) - set(self.dataset.categories.values()))
        if unknown:
            raise UserError(
                f"{self.dataset.name}: has no category {unknown[0]!r}; "
                f"{nearest(unknown[0], self.dataset.categories.values())}"
            )
        known = self.dataset.categories.items()
        return {category: name for category, name in known if name in self.names}

    def __getitem__(self, index: int) -> AnnotatedImage:
        return self._of(super().__getitem__(index))

    def _of(self, image: AnnotatedImage) -> AnnotatedImage:
        shown = tuple(i for i in image.instances if i.category in self.categories)
        return replace(image, instances=shown)

    @cached_property
    def _places(self) -> Sequence[int]:
        places = range(len(self.dataset))
        return [place for place in places if self._of(self.dataset[place]).instances]


class Recategorised:
    """A data set whose categories have the ids that ``categories`` gives to their names.

    Raises UserError, with the first image, if it has not the same names: an object that one data
    set leaves unlabelled must not teach background.
    """

    def __init__(self, dataset: Dataset, categories: Mapping[int, str]) -> None:
        self.dataset = dataset
        self.categories = categories

    @property
    def name(self) -> str:
        return self.dataset.name

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitem__(self, index: int) -> AnnotatedImage:
        image, ids = self.dataset[index], self._ids
        return replace(
            image, instances=tuple(replace(i, category=ids[i.category]) for i in image.instances)
        )

    def problems(self, decode: bool = False) -> Iterator[Problem]:
        """See ``Dataset.problems``."""
        return self.dataset.problems(decode)

    def require_same_names(self) -> None:
        """Raises UserError as an image would; reads none."""
        _ = self._ids

    @cached_property
    def _ids(self) -> Mapping[int, int]:
        theirs = self.dataset.categories
        missing = sorted(set(self.categories.values()) - set(theirs.values()))
        unknown = sorted(set(theirs.values()) - set(self.categories.values()))
        if missing or unknown:
            words = [f"lacks {few(missing)}"] if missing else []
            words += [f"has also {few(unknown)}"] if unknown else []
            raise UserError(
                f"{self.dataset.name}: its categories are not the network's: it "
                f"{' and '.join(words)}; give data sets that label the same categories"
            )
        ids = {name: category for category, name in self.categories.items()}
        return {category: ids[name] for category, name in theirs.items()}


def few(names: Sequence[str]) -> str:
    """The first names, and how many there are beside these."""
    first = ", ".join(names[:3])
    return first if len(names) <= 3 else f"{first} and {len(names) - 3} more"
