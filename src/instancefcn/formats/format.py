"""What a format is. A new one is a room with such a value, and its line in ``table``."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, TypeAlias

from instancefcn.data.dataset import Dataset
from instancefcn.formats.prediction import ImageMasks, Prediction, Source

Lost: TypeAlias = Mapping[str, int]
"""What of an image's masks a format could not hold, and how often: {"holes": 2}."""


@dataclass(frozen=True)
class Format:
    """One way in which annotations lie on disk.

    name: what people call it. layout: what lies there, in a few words, for messages and help.
    recognises: whether that is what lies at a path. It looks at names, at most at the first bytes
    of a file, and never raises.
    open: the data set of (path, split, folder of images), the last two None where they were not
    given. Raises UserError, saying what was found, where it takes more to choose one.
    """

    name: str
    layout: str
    recognises: Callable[[Path], bool]
    open: Callable[[Path, str | None, Path | None], Dataset]


def _nothing_before(
    folder: Path, categories: Mapping[int, str], replaced: Collection[Path] | None
) -> None:
    """Of formats in which an image's file says all that is to be known of it."""


@dataclass(frozen=True)
class Writer:
    """Writes proposals, a file an image.

    name: on the command line. words: what it writes, for help.
    folder: its own, below the output. file: an image's file in it, "{}" standing for its stem.
    write: (folder, prediction) -> what was lost. The file appears whole or not at all.
    before: (folder, categories of the proposals, the files that will be replaced whoever wrote
    them, None if none may be): before the first image, makes room for files of these categories.
    Raises UserError, changing nothing, if what lies there would be belied.
    """

    name: str
    words: str
    folder: str
    file: str
    write: Callable[[Path, Prediction], Lost]
    before: Callable[[Path, Mapping[int, str], Collection[Path] | None], None] = _nothing_before

    def path(self, folder: Path, source: Source) -> Path:
        """The file that ``write`` writes of an image in this folder."""
        return folder / self.file.format(source.stem)


Add: TypeAlias = Callable[[Source, ImageMasks], None]
"""Takes up one image."""


@dataclass(frozen=True)
class Joined:
    """One file of all images' proposals.

    name: its own, in the output. write: opens it, so that image after image can be added; it is
    complete when the block ends.
    """

    name: str
    write: Callable[[BinaryIO], AbstractContextManager[Add]]


@dataclass(frozen=True)
class JoinedWriter:
    """Writes proposals, one file for all images.

    name, words: as those of a ``Writer``.
    of: the file for proposals of these categories. Where annotations list the images, it is given
    what they call each category too; without them None.
    """

    name: str
    words: str
    of: Callable[[Mapping[int, str], Mapping[int, int] | None], Joined]
