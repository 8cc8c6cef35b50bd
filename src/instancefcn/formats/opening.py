"""A path -> a data set, by what lies there."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cached_property
from pathlib import Path

from instancefcn.core.errors import UserError
from instancefcn.core.types import AnnotatedImage
from instancefcn.data.dataset import Dataset, Problem
from instancefcn.formats.layouts import IMAGE_SUFFIXES
from instancefcn.formats.table import FORMATS


def open_dataset(path: Path, split: str | None = None, images: Path | None = None) -> Dataset:
    """The data set at a path, of the first format of the table that recognises it.

    split: which part of it. images: the folder of its images, where it lies elsewhere.
    Raises UserError where nothing of a known format lies there, or where it takes more to choose.
    """
    if not path.exists():
        raise UserError(f"{path}: no such file or folder; name the data set with --data")
    if path.is_file() and path.suffix.lower() in IMAGE_SUFFIXES:
        raise UserError(f"{path}: an image alone is no data set; give {layouts()}")
    if images is not None and not images.is_dir():
        raise UserError(f"{images}: no such folder of images; check --images")
    for known in FORMATS:
        if known.recognises(path):
            return known.open(path, split, images)
    raise UserError(f"{path}: no data set; give {layouts()}")


def layouts() -> str:
    """What can be opened, in words."""
    *most, last = (known.layout for known in FORMATS)
    return f"{', '.join(most)}, or {last}"


class AnyDataset:
    """The data set at a path, whatever its format; for recipes. It is opened at its first use.

    path, split, images: as ``open_dataset`` takes them.
    """

    def __init__(
        self, path: Path | str, split: str | None = None, images: Path | str | None = None
    ) -> None:
        self.path = Path(path)
        self.split = split
        self.images = None if images is None else Path(images)

    @property
    def name(self) -> str:
        return self._dataset.name

    @property
    def categories(self) -> Mapping[int, str]:
        return self._dataset.categories

    def __len__(self) -> int:
        return len(self._dataset)

    def __getitem__(self, index: int) -> AnnotatedImage:
        return self._dataset[index]

    def problems(self, decode: bool = False) -> Iterator[Problem]:
        """See ``Dataset.problems``. Raises UserError where there is no data set."""
        yield from self._dataset.problems(decode)

    @cached_property
    def _dataset(self) -> Dataset:
        return open_dataset(self.path, self.split, self.images)
