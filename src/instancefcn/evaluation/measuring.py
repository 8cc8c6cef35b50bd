"""What to measure on, and what a method finds there, whatever the method is."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import tee
from pathlib import Path
from typing import TypeAlias

from rich.console import Console
from rich.markup import escape
from rich.progress import track

from instancefcn.core.types import AnnotatedImage, Rle
from instancefcn.data.dataset import Dataset
from instancefcn.data.identity import Thumbnails, is_known, thumbnail
from instancefcn.data.images import read_image
from instancefcn.evaluation.recall import RecallReport, match, summarize

Method: TypeAlias = Callable[[Iterable[Path]], Iterable[Sequence[Rle]]]
"""From image files to masks of each one's size, best first; in order, one after another."""


@dataclass(frozen=True)
class Chosen:
    """The places in a data set of the images to measure on, and how many were found on the way
    that a model was trained on: all of them among the places if ``included``, else none.
    """

    places: Sequence[int]
    trained: int
    included: bool

    def label(self, data: str) -> str:
        """What tables call the images of a data set with this name."""
        if not self.trained:
            return data
        if self.included:
            return f"{data}, {self.trained:,} images of it trained on"
        return f"{data}, without {self.trained:,} images trained on"


def choose(dataset: Dataset, known: Thumbnails, limit: int, included: bool = False) -> Chosen:
    """The first so many images that are not among the known pictures, or are ``included``."""
    console = Console(stderr=True)
    words = f"comparing {escape(dataset.name)} with the images trained on"
    places: list[int] = []
    trained = 0
    for place in track(range(len(dataset)), words, console=console, disable=not len(known)):
        if len(places) == limit:
            break
        seen = len(known) > 0 and is_known(thumbnail(read_image(dataset[place].path)), known)
        trained += seen
        if included or not seen:
            places.append(place)
    return Chosen(places, trained, included)


def measure(method: Method, dataset: Dataset, places: Sequence[int]) -> RecallReport:
    """Recall of a method's masks on the images of a data set at these places."""
    return summarize(match(image, masks) for image, masks in find(method, dataset, places))


def find(
    method: Method, dataset: Dataset, places: Sequence[int]
) -> Iterator[tuple[AnnotatedImage, Sequence[Rle]]]:
    """The images of a data set at these places, each with a method's masks on it."""
    bar = track(places, f"evaluating on {escape(dataset.name)}", console=Console(stderr=True))
    images, ahead = tee(dataset[place] for place in bar)
    yield from zip(images, method(image.path for image in ahead), strict=True)
