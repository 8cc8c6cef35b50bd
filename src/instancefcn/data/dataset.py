"""What a data set is. A new one is a class that answers ``Dataset``; ``formats`` has most."""

from __future__ import annotations

import re
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
    message: what was found, what was expected, and the way out. Invariant: each is one line that
    any terminal prints.
    """

    severity: Severity
    kind: str
    where: str
    message: str

    def __post_init__(self) -> None:
        for name in ("where", "message"):
            text = getattr(self, name)
            if not text.isprintable():
                object.__setattr__(self, name, _UNPRINTABLE.sub(_escaped, text))

    def __str__(self) -> str:
        return f"{self.severity}: {self.where}: {self.message}"


_UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
"""In names of files."""


def _escaped(character: re.Match[str]) -> str:
    return repr(character[0])[1:-1]


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

        Raises UserError, naming the file, if the annotations cannot be used; IndexError beyond
        the last image. No instance's mask is empty.
        """

    def problems(self, decode: bool = False) -> Iterator[Problem]:
        """All that is wrong with the files. Without errors, every item can be read.

        Images are opened for their size only, unless ``decode`` asks for every pixel.
        """
