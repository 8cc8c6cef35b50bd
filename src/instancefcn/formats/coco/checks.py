"""What is wrong where in a data set of COCO's format."""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Generator, Iterable, Iterator, Mapping
from itertools import chain
from pathlib import Path
from reprlib import repr as short
from typing import Any

import numpy as np

from instancefcn.core.errors import UserError
from instancefcn.core.rle import mask_area
from instancefcn.data.checks import image_problems, object_problems, unknown_category
from instancefcn.data.dataset import Problem, Severity
from instancefcn.formats.coco.glance import sound_at_a_glance
from instancefcn.formats.coco.index import Index, Indexing
from instancefcn.formats.coco.reading import Entry, read_tables
from instancefcn.formats.coco.records import (
    LISTS,
    PARSERS,
    Annotation,
    ImageEntry,
    has_mask,
    image_path,
    to_image,
    to_rle,
)
from instancefcn.formats.coco.spans import mask_problems

TOGETHER = 100
"""Entries that are looked at together: enough for arrays, few enough for the processor's cache."""


def problems(
    annotations: Path, images: Path, decode: bool, outside: bool = False
) -> Generator[Problem, None, Index | None]:
    """All that is wrong with a COCO file and the images of its folder, see ``Dataset.problems``;
    at the end the file's index, unless something of it cannot be used.

    The file is read entry by entry: to the end of its images, then once more.
    """
    try:
        indexing = Indexing(annotations)
        entries, errors = yield from _image_entries(annotations, indexing)
        for entry in entries:
            where = f"{annotations}, image {entry.image_id}"
            try:
                path = image_path(images, entry.file_name, outside)
            except UserError as error:
                yield Problem("error", "image outside", where, str(error))
                continue
            yield from image_problems(path, entry.height, entry.width, where, decode)
        checked = _Annotations(indexing, {e.image_id: e for e in entries}, errors)
        yield from checked.problems()
        usable = not checked.errors and len(checked.images) == len(entries)
        return indexing.index() if usable else None
    except UserError as error:
        message = str(error).removeprefix(f"{annotations}: ")
        yield Problem("error", "not COCO", str(annotations), message)
        return None


def _image_entries(
    path: Path, indexing: Indexing
) -> Generator[Problem, None, tuple[list[ImageEntry], int]]:
    """And the images that can be used, and how many cannot."""
    entries: list[ImageEntry] = []
    errors = 0
    for entry in read_tables(path, LISTS, ("images",)):
        try:
            entries.append(to_image(entry.value))
            indexing.add(entry, entries[-1])
        except UserError as error:
            errors += 1
            yield _bad_entry(path, entry, error)
    yield from _repeated("error", "image id", (e.image_id for e in entries), path)
    yield from _repeated("warning", "file name", (e.file_name for e in entries), path)
    return entries, errors


def _bad_entry(path: Path, entry: Entry, error: UserError) -> Problem:
    return Problem("error", "bad entry", f"{path}, {entry.table}[{entry.place}]", str(error))


def _repeated(
    severity: Severity, what: str, keys: Iterable[object], path: Path
) -> Iterator[Problem]:
    for key, count in Counter(keys).items():
        if count > 1:
            message = (
                f"{count} entries share the {what} {short(key)}; merge them or tell them apart"
            )
            yield Problem(severity, f"duplicate {what}", str(path), message)


def _together(entries: Iterable[Entry]) -> Iterator[list[Entry]]:
    """So many at once; where reading fails, what there was before it comes first."""
    taken: list[Entry] = []
    try:
        for entry in entries:
            taken.append(entry)
            if len(taken) == TOGETHER:
                yield taken
                taken = []
    except UserError:
        yield taken
        raise
    yield taken


class _Annotations:
    """The check of a file's annotations and categories: what was seen so far.

    Where there are errors, what may be a consequence of them is not told as well.
    """

    def __init__(self, indexing: Indexing, images: Mapping[int, ImageEntry], errors: int) -> None:
        self.indexing = indexing
        self.path = indexing.path
        self.images = images
        self.unlisted = errors > 0
        self.unnamed = False
        self.errors = errors
        self.objects = self.crowds = self.bare = 0
        self.ids = array("q")
        self.categories: list[int] = []
        self.used: dict[int, str] = {}  # where each category stands first

    def problems(self) -> Iterator[Problem]:
        for entries in _together(read_tables(self.path, LISTS, ("annotations", "categories"))):
            read = [self._read(entry) for entry in entries]
            annotations = [value for value in read if isinstance(value, Annotation)]
            at_a_glance = iter(sound_at_a_glance(annotations, self.images))
            for value in read:
                if isinstance(value, Problem):
                    self.errors += 1
                    yield value
                elif isinstance(value, Annotation):
                    yield from self._annotation(value, next(at_a_glance))
                else:
                    self.categories.append(value[0])
        yield from self._repeated_ids()
        yield from _repeated("warning", "category id", self.categories, self.path)
        if not self.unnamed:
            for category in self.used.keys() - self.categories:
                yield unknown_category(category, self.used[category])
        yield from self._totals()

    def _read(self, entry: Entry) -> Any:
        """What an entry says, or what is wrong with it."""
        try:
            value = PARSERS[entry.table](entry.value)
            self.indexing.add(entry, value)
            return value
        except UserError as error:
            self.unnamed |= entry.table == "categories"
            return _bad_entry(self.path, entry, error)

    def _annotation(self, annotation: Annotation, sound: bool) -> Iterator[Problem]:
        """``sound``: at a glance."""
        self.ids.append(annotation.annotation_id)
        image = self.images.get(annotation.image_id)
        if image is None:
            if not self.unlisted:
                message = f"of an image {annotation.image_id} that is not listed; list it"
                where = f"{self.path}, annotation {annotation.annotation_id}"
                yield Problem("warning", "unknown image", where, message)
            return
        if annotation.category not in self.used:
            self.used[annotation.category] = self._where(annotation, image)
        if sound:
            self._count(annotation)
            return
        if not has_mask(annotation.segmentation):
            self.bare += 1
            message = "it has no outline, as where a box only was drawn; it is left out"
            yield Problem("warning", "no mask", self._where(annotation, image), message)
            return
        try:
            mask = to_rle(annotation.segmentation, image.height, image.width)
        except UserError as error:
            self.errors += 1
            yield Problem("error", "bad mask", self._where(annotation, image), str(error))
            return
        for kind, message in mask_problems(annotation, mask, image):
            yield Problem("warning", kind, self._where(annotation, image), message)
        if mask_area(mask):
            self._count(annotation)

    def _count(self, annotation: Annotation) -> None:
        self.crowds += annotation.crowd
        self.objects += not annotation.crowd

    def _where(self, annotation: Annotation, image: ImageEntry) -> str:
        return (
            f"{self.path}, annotation {annotation.annotation_id} of image {image.image_id} "
            f"({short(image.file_name)})"
        )

    def _repeated_ids(self) -> Iterator[Problem]:
        ids = np.sort(np.array(self.ids, np.int64))
        repeated = ids[1:][ids[1:] == ids[:-1]].tolist()
        yield from _repeated(
            "warning", "annotation id", chain(dict.fromkeys(repeated), repeated), self.path
        )

    def _totals(self) -> Iterator[Problem]:
        if self.bare and not self.errors + self.objects + self.crowds:
            message = (
                f"none of the {self.bare} annotations has an outline, only boxes; export "
                "polygons or masks"
            )
            yield Problem("error", "no objects", str(self.path), message)
        elif not self.errors:
            yield from object_problems(self.objects, self.crowds, str(self.path))
