"""What ``propose`` is to write, and where."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import BinaryIO

from instancefcn.formats.coco.writing import Add, ListedImages, data_set, results_list
from instancefcn.formats.format import Writer
from instancefcn.formats.ledger import Writers
from instancefcn.formats.prediction import Prediction, Source
from instancefcn.formats.table import WRITERS

FORMATS = {
    "coco": "proposals.json, a COCO data set; with --annotations results.json, COCO results",
    **{writer.name: writer.words for writer in WRITERS},
}


@dataclass(frozen=True)
class Plan:
    """What is to be written in a folder: of each image, and of all together at the end.

    categories: those of the proposals. ids: what the file of all images calls each of them.
    """

    folder: Path
    per_image: Sequence[Writer]
    joined: Path | None
    listed: ListedImages | None
    categories: Mapping[int, str]
    ids: Mapping[int, int]

    @classmethod
    def of(
        cls,
        folder: Path,
        formats: Sequence[str],
        categories: Mapping[int, str],
        annotations: Path | None = None,
    ) -> Plan:
        """formats: some of ``FORMATS``. annotations: a COCO file that lists the images.

        Raises UserError if the annotations cannot be used, or lack one of the categories.
        """
        listed = ListedImages(annotations) if annotations else None
        writers = {writer.name: writer for writer in WRITERS}
        per_image = [writers[name] for name in dict.fromkeys(formats) if name in writers]
        if "coco" not in formats:
            return cls(folder, per_image, None, listed, categories, {})
        joined = folder / ("results.json" if listed else "proposals.json")
        ids = listed.category_ids(categories) if listed else {}
        return cls(folder, per_image, joined, listed, categories, ids)

    def names(self, source: Source) -> list[str]:
        """Of an image's files, relative to the folder."""
        return [_name(writer, source) for writer in self.per_image]

    def names_at_the_end(self) -> list[str]:
        return [self.joined.name] if self.joined else []

    def writers(self, prediction: Prediction, lost: Counter[str]) -> Writers:
        """What writes each of an image's files, and counts what its format could not hold."""

        def write(writer: Writer) -> None:
            for what, number in writer.write(self.folder / writer.folder, prediction).items():
                lost[f"{writer.name}: {what}"] += number

        return {
            _name(writer, prediction.source): partial(write, writer) for writer in self.per_image
        }

    def joining(self, file: BinaryIO) -> AbstractContextManager[Add]:
        """What writes the file of all images, an image after another."""
        return results_list(file, self.ids) if self.listed else data_set(file, self.categories)

    def identify(self, source: Source, height: int, width: int) -> Source:
        """The image with its id of the annotations. Raises UserError if they do not list it."""
        return self.listed.identify(source, height, width) if self.listed else source

    def places(self) -> list[Path]:
        joined = [self.joined] if self.joined else []
        return [*joined, *(self.folder / writer.folder for writer in self.per_image)]


def _name(writer: Writer, source: Source) -> str:
    """Of an image's file, relative to the output folder."""
    return writer.path(Path(writer.folder), source).as_posix()
