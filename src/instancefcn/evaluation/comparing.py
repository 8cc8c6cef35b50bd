"""Which categories of a data set a method's masks are judged by, and what to say of the others."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from instancefcn.core.proposals import CLASS_AGNOSTIC
from instancefcn.core.words import counted
from instancefcn.data.dataset import Dataset
from instancefcn.data.subsets import few
from instancefcn.formats.coco.results import NO_CATEGORY, Results


@dataclass(frozen=True)
class Compared:
    """A method's categories beside a data set's.

    categories: the data set's, all of them, or none if the masks count for recall only. words:
    what is not as one might think, a line each.
    """

    categories: Mapping[int, str]
    words: Sequence[str] = ()


def compare_names(named: Mapping[int, str], dataset: Dataset) -> Compared:
    """Of a method that names its categories: its masks are judged if the data set has one of them.

    Objects of categories that the method lacks are missed, and count: the mean is over the data
    set's categories, whatever the method knows.
    """
    own, known = {*named.values()}, {*dataset.categories.values()}
    if not own & known and named == CLASS_AGNOSTIC:
        return Compared({})
    words = []
    if unknown := sorted(own - known):
        of = f"{dataset.name} lacks {len(unknown):,} of its {len(own):,} categories"
        words.append(f"{of}: {few(unknown)}; masks of these count for recall only")
    if not own & known:
        return Compared({}, words)
    if lacking := sorted(known - own):
        of = f"it lacks {len(lacking):,} of {dataset.name}'s {len(known):,} categories"
        words.append(f"{of}: {few(lacking)}; objects of these count as missed")
    return Compared(dataset.categories, words)


def compare_results(
    named: Mapping[int, str] | None, results: Results, dataset: Dataset
) -> Compared:
    """Of results for a data set, in its categories. named: as their file calls its categories;
    None of a results list, which gives ids only, so that what is found has to tell.
    """
    compared = _compare_ids(results, dataset) if named is None else compare_names(named, dataset)
    of_none = sum(m.category == NO_CATEGORY for masks in results.values() for m in masks)
    if not of_none or not compared.categories:
        return compared
    number = counted(of_none, "mask is", "masks are")
    line = f"{number} of no category of {dataset.name}'s, and for recall only"
    return replace(compared, words=[*compared.words, line])


def _compare_ids(results: Results, dataset: Dataset) -> Compared:
    """Methods without labels give all masks one id: it has to be the data set's only one to be
    taken for a label.
    """
    known = dataset.categories
    found = {m.category for masks in results.values() for m in masks} & known.keys()
    if len(found) > 1 or len(found) == len(known) == 1:
        return Compared(known)
    words = [
        f"all its masks are called {known[category]!r}, one of {dataset.name}'s "
        f"{len(known):,} categories, so they are taken for masks without labels; if these are "
        "labels, write a COCO data set with its categories"
        for category in found
    ]
    if not found and any(results.values()):
        words = [f"its masks are of no category of {dataset.name}'s, and for recall only"]
    return Compared({}, words)
