"""The pairs of methods that the paper compares, and how far apart our runs find them."""

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
class Claim:
    """The sum of some methods' AR less that of others. One of each give a difference, two of each
    a difference of differences.
    """

    label: str
    plus: tuple[str, ...]
    minus: tuple[str, ...]

    @property
    def methods(self) -> set[str]:
        return {*self.plus, *self.minus}


def less(one: str, other: str) -> Claim:
    return Claim(f"{one}, less {other}", (one,), (other,))


CLAIMS = (
    less(FCN, K5),
    less(K3, K5),
    less(K7, K5),
    less(CROPS, K5),
    less(DEEPMASK, CROPS),
    less(DEEPMASK_FEW, CROPS_FEW),
    Claim(
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


def differences(results: Results, claims: Sequence[Claim]) -> str:
    """A table of differences with their intervals."""
    rows = [(claim.label, *cells(compare(results, claim, "coco"))) for claim in claims]
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


def beside_published(results: Results, claims: Sequence[Claim]) -> str:
    """The differences that the paper published too, beside ours; "" if there is none."""
    rows = []
    for claim in claims:
        theirs = published_difference(claim)
        if theirs is None:
            continue
        ours = compare(results, claim, "area")
        rows += [
            (claim.label, f"AR@{n}", cell, f"{t:+.1f}", beside(ours, i, t))
            for i, (n, cell, t) in enumerate(zip(COUNTS, cells(ours), theirs, strict=False))
        ]
    if not rows:
        return ""
    header = ("difference", "at", "ours", "the paper's, on VOC 2012 val", "ours is")
    return (
        f"#### Beside the paper's differences\n\n{markdown_table(header, rows)}\n\n"
        f"AR here is {DEFINITIONS['area']}. Ours agrees if the paper's difference lies in our "
        "interval. Why the others do not agree, as far as we know: [log](log.md)."
    )


def beside(ours: Difference, i: int, theirs: float) -> str:
    """What the i-th of our differences is beside the paper's."""
    if ours.low[i] <= theirs <= ours.high[i]:
        return "in agreement"
    if ours.value[i] * theirs < 0:
        return "of the other sign"
    return "larger" if abs(ours.value[i]) > abs(theirs) else "smaller"


def compare(results: Results, claim: Claim, definition: Definition) -> Difference:
    def tallies(names: Sequence[str]) -> list[list[Tally]]:
        return [[tally(run, definition) for run in results[name]] for name in names]

    return difference(tallies(claim.plus), tallies(claim.minus))


def published_difference(claim: Claim) -> NDArray[np.float64] | None:
    """Of AR@10, 100 and 1000 in the paper, None where it has not all methods of a claim."""
    published = {name: PUBLISHED_AS.get(name, name) for name in claim.methods}
    if not VOC2012.keys() >= set(published.values()):
        return None
    plus, minus = (
        np.sum([VOC2012[published[name]] for name in names], axis=0)
        for names in (claim.plus, claim.minus)
    )
    theirs: NDArray[np.float64] = plus - minus
    return theirs
