"""What ``propose`` is to write, and where."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from instancefcn.formats.coco.writing import ListedImages
from instancefcn.formats.format import Joined, Writer
from instancefcn.formats.ledger import Writers
from instancefcn.formats.prediction import Prediction, Source
from instancefcn.formats.table import JOINED_WRITERS, WRITERS

FORMATS = {
    **{writer.name: writer.words for writer in JOINED_WRITERS},
    **{writer.name: writer.words for writer in WRITERS},
}


@dataclass(frozen=True)
class Plan:
    """What is to be written in a folder: of each image, and of all together at the end.

    listed: the annotations that list the images, if there are any.
    """

    folder: Path
    per_image: Sequence[Writer]
    joined: Sequence[Joined]
    listed: ListedImages | None

    @classmethod
    def of(
        cls,
        folder: Path,
        formats: Sequence[str],
        categories: Mapping[int, str],
        annotations: Path | None = None,
    ) -> Plan:
        """formats: some of ``FORMATS``. categories: those of the proposals. annotations: a COCO
        file that lists the images.

        Raises UserError if the annotations cannot be used, or lack one of the categories.
        """
        listed = ListedImages(annotations) if annotations else None
        per_image = [writer for writer in WRITERS if writer.name in formats]
        of_all = [writer for writer in JOINED_WRITERS if writer.name in formats]
        ids = listed.category_ids(categories) if listed and of_all else None
        return cls(folder, per_image, [writer.of(categories, ids) for writer in of_all], listed)

    def names(self, source: Source) -> list[str]:
        """Of an image's files, relative to the folder."""
        return [_name(writer, source) for writer in self.per_image]

    def names_at_the_end(self) -> list[str]:
        return [joined.name for joined in self.joined]

    def make_room(
        self, categories: Mapping[int, str], sources: Sequence[Source], overwrite: bool
    ) -> None:
        """Before the first image: see ``Writer.before``. sources: all images of the run."""
        for writer in self.per_image:
            folder = self.folder / writer.folder
            files = {writer.path(folder, source) for source in sources} if overwrite else None
            writer.before(folder, categories, files)

    def writers(self, prediction: Prediction, lost: Counter[str]) -> Writers:
        """What writes each of an image's files, and counts what its format could not hold."""

        def write(writer: Writer) -> None:
            for what, number in writer.write(self.folder / writer.folder, prediction).items():
                lost[f"{writer.name}: {what}"] += number

        return {
            _name(writer, prediction.source): partial(write, writer) for writer in self.per_image
        }

    def identify(self, source: Source, height: int, width: int) -> Source:
        """The image with its id of the annotations. Raises UserError if they do not list it."""
        return self.listed.identify(source, height, width) if self.listed else source

    def places(self) -> list[Path]:
        names = [*self.names_at_the_end(), *(writer.folder for writer in self.per_image)]
        return [self.folder / name for name in names]


def _name(writer: Writer, source: Source) -> str:
    """Of an image's file, relative to the output folder."""
    return writer.path(Path(writer.folder), source).as_posix()
