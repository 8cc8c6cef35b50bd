"""Differences between pairs of methods, and those of them that the paper published too."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from chance import DRAWS, Difference, Tally, difference, tally
from experiments import CROPS, CROPS_FEW, DEEPMASK, DEEPMASK_FEW, FCN, K3, K5, K7
from instancefcn.evaluation.recall import COUNTS, Definition
from instancefcn.evaluation.report import DEFINITIONS, markdown_table
from measuring import Measured
from published_figures import VOC2012

SEARCH = "Selective Search, fast"
AVERAGES = (*(f"AR@{n}" for n in COUNTS), *(f"touching AR@{n}" for n in COUNTS))

Results = Mapping[str, Sequence[Measured]]
"""By method, what each of its runs found. All on one set."""


@dataclass(frozen=True)
class Comparison:
    """The sum of some methods' AR less that of others. One of each give a difference, two of each
    a difference of differences.
    """

    label: str
    plus: tuple[str, ...]
    minus: tuple[str, ...]

    @property
    def methods(self) -> set[str]:
        return {*self.plus, *self.minus}


def less(one: str, other: str) -> Comparison:
    return Comparison(f"{one}, less {other}", (one,), (other,))


COMPARISONS = (
    less(FCN, K5),
    less(K3, K5),
    less(K7, K5),
    less(CROPS, K5),
    less(DEEPMASK, CROPS),
    less(DEEPMASK_FEW, CROPS_FEW),
    Comparison(
        "~DeepMask, less InstanceFCN, both by crops: on few images, less on all",
        (DEEPMASK_FEW, CROPS),
        (CROPS_FEW, DEEPMASK),
    ),
    less(SEARCH, K5),
)

PUBLISHED_AS = {
    CROPS: f"{K5}, trained on crops",
    DEEPMASK: "~DeepMask, trained on crops",
    SEARCH: "Selective Search",
}
"""The paper's names of methods where ours are others."""


def differences(results: Results, comparisons: Sequence[Comparison]) -> str:
    """A table of differences with their intervals."""
    rows = [(c.label, *cells(compare(results, c, "coco"))) for c in comparisons]
    return (
        f"#### Differences\n\n{markdown_table(('difference', *AVERAGES), rows)}\n\n"
        "In brackets: 95 % intervals, over images (the same images for both methods, "
        f"{DRAWS:,} bootstrap draws) and over seeds (Student's t). A method with one run has no "
        "interval over seeds. Bold: the interval does not hold 0. Where there is no difference at "
        "all, one figure in twenty is bold by chance."
    )


def cells(found: Difference) -> list[str]:
    """Differences with their intervals, bold beyond chance; a dash for nan."""
    texts = []
    for value, low, high, beyond in zip(
        found.value, found.low, found.high, found.beyond(), strict=True
    ):
        mark = "**" if beyond else ""
        text = f"{mark}{value:+.1f}{mark} ({low:+.1f} … {high:+.1f})"
        texts.append("-" if np.isnan(value) else text)
    return texts


def beside_published(results: Results, comparisons: Sequence[Comparison]) -> str:
    """The differences that the paper published too, beside ours; "" if there is none."""
    rows = []
    for comparison in comparisons:
        theirs = published_difference(comparison)
        if theirs is not None:
            ours = cells(compare(results, comparison, "area"))
            rows += [
                (comparison.label, f"AR@{n}", cell, f"{published:+.1f}")
                for n, cell, published in zip(COUNTS, ours, theirs, strict=False)
            ]
    if not rows:
        return ""
    header = ("difference", "at", "ours", "the paper's, on VOC 2012 val")
    return (
        f"#### Beside the paper's differences\n\n{markdown_table(header, rows)}\n\n"
        f"AR here is {DEFINITIONS['area']}."
    )


def compare(results: Results, comparison: Comparison, definition: Definition) -> Difference:
    def tallies(names: Sequence[str]) -> list[list[Tally]]:
        return [[tally(run, definition) for run in results[name]] for name in names]

    return difference(tallies(comparison.plus), tallies(comparison.minus))


def published_difference(comparison: Comparison) -> NDArray[np.float64] | None:
    """Of AR@10, 100 and 1000 in the paper, None where it has not all methods of a comparison."""
    published = {name: PUBLISHED_AS.get(name, name) for name in comparison.methods}
    if not VOC2012.keys() >= set(published.values()):
        return None
    plus, minus = (
        np.sum([VOC2012[published[name]] for name in names], axis=0)
        for names in (comparison.plus, comparison.minus)
    )
    theirs: NDArray[np.float64] = plus - minus
    return theirs
