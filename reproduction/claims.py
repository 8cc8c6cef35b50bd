"""What the paper claims of pairs of methods, and what our runs say to it."""

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

BELOW, ALIKE = "below 0", "about 0"


@dataclass(frozen=True)
class Claim:
    """The sum of some methods' AR less that of others, and what is expected of it: ``BELOW`` or
    ``ALIKE``. One of each give a difference, two of each a difference of differences.
    """

    label: str
    plus: tuple[str, ...]
    minus: tuple[str, ...]
    expected: str = BELOW

    @property
    def methods(self) -> set[str]:
        return {*self.plus, *self.minus}


def less(one: str, other: str, expected: str = BELOW) -> Claim:
    return Claim(f"{one}, less {other}", (one,), (other,), expected)


CLAIMS = (
    less(FCN, K5),
    less(K3, K5, ALIKE),
    less(K7, K5, ALIKE),
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
    """A table of differences, and for each claim where it holds."""
    found = {claim: compare(results, claim, "coco") for claim in claims}
    rows = [(claim.label, *cells(difference)) for claim, difference in found.items()]
    verdicts = "\n".join(f"- {verdict(claim, difference)}" for claim, difference in found.items())
    return (
        f"#### Differences\n\n{markdown_table(('difference', *AVERAGES), rows)}\n\n"
        "In brackets 95 % intervals, of the chance of the images (the same for both methods, "
        f"{DRAWS:,} bootstrap draws) and of the seeds (Student's t); of a method with one run they "
        "lack the chance of another seed. Bold where 0 lies outside; of figures without any "
        "difference one in twenty is bold all the same. Within the spread is what is not bold. "
        f"What the paper says, or what follows from it, against these figures:\n\n{verdicts}"
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


def verdict(claim: Claim, found: Difference) -> str:
    """At which of ``AVERAGES`` a claim holds, does not, or may be either."""
    within = np.isfinite(found.value) & ~found.beyond()
    if claim.expected == ALIKE:
        cases = {"holds, within the spread, at": within, "does not hold at": found.beyond()}
    else:
        cases = {
            "holds at": found.high < 0,
            "within the spread, not settled, at": within,
            "does not hold at": found.low > 0,
        }
    parts = [
        f"{words} {'all' if where.all() else ', '.join(np.array(AVERAGES)[where])}"
        for words, where in cases.items()
        if where.any()
    ]
    return f"{claim.label}, expected {claim.expected}: {'; '.join(parts)}."


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
        f"AR here is {DEFINITIONS['area']}. Ours agrees where the paper's difference lies in our "
        "interval. Where it does not, in runs of this size, the reasons found stand in the "
        "[log](log.md)."
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
