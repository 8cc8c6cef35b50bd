"""Where in a COCO file each image's annotations stand, so that they are read on demand.

A file of train2017's size keeps 20 MB of memory beside its images' names.
"""

from __future__ import annotations

import json
import os
from array import array
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from instancefcn.core.errors import UserError
from instancefcn.formats.coco.reading import Entry, read_tables
from instancefcn.formats.coco.records import (
    LISTS,
    PARSERS,
    Annotation,
    ImageEntry,
    to_annotation,
)


@dataclass(frozen=True, eq=False)
class Index:
    """A file's images by id, its categories, and which of its bytes are whose annotations.

    spans (n, 2) int64: start and end of the annotations, image by image, those of one in the
    file's order; image ``i`` has first[i] to first[i + 1] of them. state: of the file, size and
    time of change. Annotations of images that are not listed are dropped.
    """

    path: Path
    images: tuple[ImageEntry, ...]
    categories: Mapping[int, str]
    spans: NDArray[np.int64]
    first: NDArray[np.int64]
    state: tuple[int, int]

    def annotations(self, image: int) -> Iterator[Annotation]:
        """Of the image with this place in ``images``. Raises UserError if the file has changed."""
        try:
            with self.path.open("rb") as file:
                if _state(file) != self.state:
                    raise UserError(f"{self.path}: changed since it was opened; open it again")
                for start, end in self.spans[self.first[image] : self.first[image + 1]].tolist():
                    file.seek(start)
                    yield to_annotation(json.loads(file.read(end - start)))
        except OSError as error:
            raise UserError(f"{self.path}: cannot be read ({error.strerror})") from error


class Indexing:
    """What an index is made of, as the entries of a file are read."""

    def __init__(self, path: Path) -> None:
        """Raises UserError, naming the file, if it cannot be opened."""
        self.path = path
        self._images: list[ImageEntry] = []
        self._categories: dict[int, str] = {}
        self._image_ids, self._spans = array("q"), array("q")
        try:
            with path.open("rb") as file:
                self._state = _state(file)
        except OSError as error:
            raise UserError(f"{path}: cannot be read ({error.strerror}); check the path") from error

    def add(self, entry: Entry, value: Any) -> None:
        """Take up an entry and what it says."""
        if isinstance(value, ImageEntry):
            self._images.append(value)
        elif isinstance(value, Annotation):
            self._image_ids.append(value.image_id)
            self._spans.extend((entry.start, entry.end))
        else:
            self._categories[value[0]] = value[1]

    def index(self) -> Index:
        """Of what was taken up. Raises UserError if two images have one id."""
        images = sorted(self._images, key=lambda image: image.image_id)
        for one, two in pairwise(images):
            if one.image_id == two.image_id:
                raise UserError(
                    f"{self.path}: two images have the id {one.image_id}; give each its own"
                )
        ids = np.array([image.image_id for image in images], np.int64)
        order, first = _by_image(np.array(self._image_ids, np.int64), ids)
        spans = np.array(self._spans, np.int64).reshape(-1, 2)[order]
        return Index(self.path, tuple(images), self._categories, spans, first, self._state)


def read_index(path: Path) -> Index:
    """Of a COCO data set. Raises UserError, naming file and entry, for what cannot be used."""
    indexing = Indexing(path)
    for entry in read_tables(path, LISTS):
        indexing.add(entry, _parsed(path, entry))
    return indexing.index()


def _parsed(path: Path, entry: Entry) -> Any:
    """What an entry says. Raises UserError that names the file and the entry's place."""
    try:
        return PARSERS[entry.table](entry.value)
    except UserError as error:
        raise UserError(f"{path}: {entry.table}[{entry.place}]: {error}") from error


def _by_image(
    of: NDArray[np.int64], ids: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The annotations ``of`` image ids in the order of the rising ``ids``, and each one's first."""
    listed = np.flatnonzero(np.isin(of, ids))
    order = listed[np.argsort(of[listed], kind="stable")]
    return order, np.append(np.searchsorted(of[order], ids), len(order))


def _state(file: BinaryIO) -> tuple[int, int]:
    state = os.fstat(file.fileno())
    return state.st_size, state.st_mtime_ns
