"""What to measure on, and what a method finds there, whatever the method is."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import tee
from pathlib import Path
from typing import TypeAlias, TypeVar

from rich.console import Console
from rich.markup import escape
from rich.progress import track

from instancefcn.core.proposals import Proposals
from instancefcn.core.types import AnnotatedImage, ScoredMask
from instancefcn.data.dataset import Dataset
from instancefcn.data.identity import Thumbnails, is_known, thumbnail
from instancefcn.data.images import read_image
from instancefcn.evaluation.coco_precision import CocoReport, judge_by_coco, summarize_by_coco
from instancefcn.evaluation.precision import PrecisionReport, judge, summarize_precision
from instancefcn.evaluation.recall import COUNTS, RecallReport, match, summarize
from instancefcn.formats.coco.results import NO_CATEGORY

Found = TypeVar("Found")

Method: TypeAlias = Callable[[Iterable[Path]], Iterable[Found]]
"""From image files to what is found on each, e.g. masks of its size, best first; in order, one
after another.
"""


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


@dataclass(frozen=True)
class LabelReport:
    """What the labels of masks are worth, by the rules of SDS and by those of COCO."""

    sds: PrecisionReport
    coco: CocoReport


@dataclass(frozen=True)
class Measured:
    """What a method finds. labels: None if its masks are judged by no category."""

    recall: RecallReport
    labels: LabelReport | None


def measure(
    method: Method[Sequence[ScoredMask]],
    dataset: Dataset,
    places: Sequence[int],
    categories: Mapping[int, str],
) -> Measured:
    """A method's masks on the images of a data set at these places: see ``measured``."""
    return measured(find(method, dataset, places), categories)


def measured(
    found: Iterable[tuple[AnnotatedImage, Sequence[ScoredMask]]], categories: Mapping[int, str]
) -> Measured:
    """Recall of images' masks, best first, and precision of those of these categories, if there
    are any.

    Masks are judged image by image and not kept.
    """
    matches, judgements, by_coco = [], [], []
    for image, masks in found:
        matches.append(match(image, [mask.mask for mask in masks[: max(COUNTS)]]))
        if not categories:
            continue
        counting = any(mask.category in categories for mask in masks)
        # What is of none of the categories plays no part in precision, and takes as long to judge.
        judgements.append(judge(image, masks if counting else ()))
        by_coco.append(judge_by_coco(image, masks, categories))
    if not categories:
        return Measured(summarize(matches), None)
    sds = summarize_precision(judgements, categories)
    return Measured(summarize(matches), LabelReport(sds, summarize_by_coco(by_coco, categories)))


def scored_masks(proposals: Proposals, categories: Mapping[int, str]) -> list[ScoredMask]:
    """Proposals as masks of a data set's categories, which are found by their names: of
    ``NO_CATEGORY`` where the data set has no category of that name.
    """
    ids = {name: category for category, name in categories.items()}
    of_label = {key: ids.get(name, NO_CATEGORY) for key, name in proposals.categories.items()}
    labels = (of_label[label] for label in proposals.labels.tolist())
    masks = zip(proposals.masks(), proposals.scores.tolist(), labels, strict=True)
    return [ScoredMask(*mask) for mask in masks]


def find(
    method: Method[Found], dataset: Dataset, places: Sequence[int]
) -> Iterator[tuple[AnnotatedImage, Found]]:
    """The images of a data set at these places, each with what a method finds on it."""
    bar = track(places, f"evaluating on {escape(dataset.name)}", console=Console(stderr=True))
    images, ahead = tee(dataset[place] for place in bar)
    yield from zip(images, method(image.path for image in ahead), strict=True)
