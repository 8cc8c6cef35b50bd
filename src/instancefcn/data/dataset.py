"""What a data set is. A new one is one new file: a class that answers ``Dataset``."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal, Protocol

from instancefcn.core.types import AnnotatedImage

Severity = Literal["error", "warning"]


@dataclass(frozen=True)
class Problem:
    """Something wrong with a data set's files.

    severity: an "error" stops training or teaches it something false; a "warning" does neither.
    kind: a few words shared by problems of one sort. where: file, image and annotation.
    message: what was found, what was expected, and the way out.
    """

    severity: Severity
    kind: str
    where: str
    message: str

    def __str__(self) -> str:
        return f"{self.severity}: {self.where}: {self.message}"


class Dataset(Protocol):
    """Annotated images in a fixed order.

    A constructor takes paths and plain values and reads nothing, so that a recipe can name the
    class and its arguments, and so that ``problems`` can be asked of a broken data set.
    """

    @property
    def name(self) -> str:
        """What tables and logs call the data set."""

    @property
    def categories(self) -> Mapping[int, str]:
        """The names of the instances' categories."""

    def __len__(self) -> int:
        """The number of images."""

    def __getitem__(self, index: int) -> AnnotatedImage:
        """The image ``index``, annotations decoded, pixels not.

        Raises ValueError, naming the file, if the annotations cannot be used; IndexError beyond
        the last image. No instance's mask is empty.
        """

    def problems(self, decode: bool = False) -> Iterator[Problem]:
        """All that is wrong with the files. Without errors, every item can be read.

        Images are opened for their size only, unless ``decode`` asks for every pixel.
        """
