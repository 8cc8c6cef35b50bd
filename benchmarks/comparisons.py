"""The page of the paper's comparisons: tables, and which differences are more than chance."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from chance import DRAWS, Difference, Tally, difference, mean, tally
from dev_sets import VOC, DevSet
from experiments import CROPS, CROPS_FEW, DEEPMASK, DEEPMASK_FEW, FCN, K3, K5, K7
from instancefcn.evaluation.recall import COUNTS, Definition, summarize
from instancefcn.evaluation.report import DEFINITIONS, describe, markdown_table, percent
from measuring import Measured, slug
from published_figures import VOC2012, published_tables

SEARCH = "Selective Search, fast"
RECIPES = "../src/instancefcn/recipes"
AVERAGES = (*(f"AR@{n}" for n in COUNTS), *(f"touching, AR@{n}" for n in COUNTS))
HEADER = ("method", "runs", "masks an image", *AVERAGES)
COSTS = (
    *("method", "recipe", "AR by area", "training images", "images seen"),
    *("weights of the mask head", "s an image"),
)
COMPARED = (
    *((FCN, K5), (K3, K5), (K7, K5), (CROPS, K5), (DEEPMASK, CROPS)),
    *((DEEPMASK_FEW, CROPS_FEW), (SEARCH, K5)),
)
"""Pairs of methods that differ in one part, or otherwise are the paper's questions."""

FURTHER = (
    "~DeepMask, less InstanceFCN, k = 5: on few images, less on all",
    ((DEEPMASK_FEW, CROPS), (CROPS_FEW, DEEPMASK)),
)
"""A difference of two pairs' differences: is it further on little data?"""

PUBLISHED_AS = {
    CROPS: f"{K5}, trained on crops",
    DEEPMASK: "~DeepMask, trained on crops",
    SEARCH: "Selective Search",
}
"""The paper's names of methods where ours are others."""


@dataclass(frozen=True)
class Cost:
    """Of a method: its recipe, "" without one; the mask head's weights, the training images, and
    how many were seen, each as often as it was drawn, 0 without either; and the median seconds an
    image.
    """

    recipe: str
    weights: int
    images: int
    seen: int
    seconds: float


Results = Mapping[str, Sequence[Measured]]
"""By method, what each of its runs found. All on one set."""


def page(
    results: Mapping[str, Results],
    costs: Mapping[str, Mapping[str, Cost]],
    sets: Mapping[str, DevSet],
    scenes: str,
    stamp: str,
) -> str:
    """The section of results.md: ``results`` and ``costs`` by set, then by method; the sets; what
    is shown of scenes; and where and when all this was made.
    """
    parts = "\n\n".join(
        f"{of_set(key, sets[key].label, results[key], costs[key])}\n\n{pictures(sets[key])}"
        for key in results
    )
    return f"""
## The paper's comparisons

{stamp}

The recipes differ in what their names say and in nothing else, but for VGG-16's and those of
different sets. Settings were chosen on these sets; no weights were trained on them. Figures are
means and standard deviations over runs with different seeds. AR: {DEFINITIONS["coco"]}; "by area":
{DEFINITIONS["area"]}, which the paper words and which its published figures are taken to be.
"Touching": of the objects that touch another of their kind. Masks an image are
{COUNTS[-1]:,} at most; windows of k = 1 that overlap copy the same pixels from its one map, so that
non-maximum suppression leaves fewer of its masks: its list ends where its column of masks says.
"Crops": of 224 x 224 pixels around objects, where others learn from whole images; "few images":
every sixth, seen as often in all. Weights are those of one mask head. Selective Search ranks at
random: one drawing.

{parts}

{scenes}

### Published figures

Not measured here. {published_tables()}
"""


def pictures(dev: DevSet) -> str:
    recall, average = (f"images/{picture(kind, dev)}" for kind in ("recall", "average"))
    return (
        f"![Recall against IoU: {dev.label}]({recall})\n\n"
        f"![AR against the number of proposals: {dev.label}]({average})"
    )


def picture(kind: str, dev: DevSet) -> str:
    """The file name of a set's plot."""
    return f"comparison_{kind}_{slug(dev.dataset.name)}.png"


def of_set(key: str, label: str, results: Results, costs: Mapping[str, Cost]) -> str:
    averages = [average_row(name, runs) for name, runs in results.items()]
    others = [cost_row(name, runs, costs[name]) for name, runs in results.items()]
    first = next(iter(results.values()))[0]
    commits = sorted({run.commit for runs in results.values() for run in runs})
    touching = sum(int(m.counted[0].sum()) for m in first.touching)
    caption = (
        f"{describe(summarize(first.objects), label)} Of the objects {touching:,} touch another of "
        f"their kind. AR was measured by commit {', '.join(commits)}."
    )
    tables = markdown_table(HEADER, averages), markdown_table(COSTS, others)
    parts = [f"### {label}", tables[0], caption, tables[1]]
    pairs = [pair for pair in COMPARED if all(name in results for name in pair)]
    if pairs:
        parts.append(differences(results, pairs))
        parts += [beside_published(results, pairs)] if key == VOC else []
    return "\n\n".join(filter(None, parts))


def average_row(name: str, runs: Sequence[Measured]) -> tuple[str, ...]:
    """Means of a method's runs, and their deviations if there are several."""
    each = np.stack([tally(run).average() for run in runs])
    cells = [percent(average / 100) for average in each.mean(0)]
    if len(runs) > 1:
        pairs = zip(cells, each.std(0, ddof=1), strict=True)
        cells = [cell if cell == "-" else f"{cell} ± {deviation:.1f}" for cell, deviation in pairs]
    masks = np.mean([run.masks.mean() for run in runs])
    return name, str(len(runs)), f"{masks:,.0f}", *cells


def cost_row(name: str, runs: Sequence[Measured], cost: Cost) -> tuple[str, ...]:
    """AR by area at each of ``COUNTS``, and what the method costs."""
    by_area = mean([tally(run, "area") for run in runs])[: len(COUNTS)]
    return (
        name,
        f"[{cost.recipe}]({RECIPES}/{cost.recipe}.yaml)" if cost.recipe else "-",
        " / ".join(percent(average / 100) for average in by_area),
        f"{cost.images:,}" if cost.images else "-",
        f"{cost.seen:,}" if cost.seen else "-",
        f"{cost.weights / 1e6:.2f} M" if cost.weights else "-",
        f"{cost.seconds:.2f}",
    )


def differences(results: Results, pairs: Sequence[tuple[str, str]]) -> str:
    """A table of differences of means, and a list of those that may be chance."""
    rows, within = [], []
    named: list[tuple[str, tuple[Sequence[str], Sequence[str]]]]
    named = [(f"{one}, less {other}", ([one], [other])) for one, other in pairs]
    if {name for names in FURTHER[1] for name in names} <= results.keys():
        named.append(FURTHER)
    for label, (plus, minus) in named:
        found = compare(results, plus, minus, "coco")
        rows.append((label, *cells(found, found.beyond())))
        small = np.flatnonzero(np.isfinite(found.value) & ~found.beyond())
        if len(small):
            within.append(f"{label}: {'; '.join(AVERAGES[i] for i in small)}")
    chance = "".join(f"\n- {line}" for line in within) if within else " none."
    return (
        f"#### Differences\n\n{markdown_table(('difference', *AVERAGES), rows)}\n\n"
        "In brackets 95 % intervals, of the chance of the images (the same for both methods, "
        f"{DRAWS:,} bootstrap draws) and of the seeds (Student's t); of a method with one run they "
        "lack the chance of another seed. Bold where 0 lies outside; without any difference one "
        f"figure of twenty would be, one in every third row of {len(AVERAGES)}. Within the "
        f"spread, so that their sign is not settled:\n{chance}"
    )


def beside_published(results: Results, pairs: Sequence[tuple[str, str]]) -> str:
    """The differences that the paper published too, and where ours are others."""
    rows = []
    for one, other in pairs:
        theirs = published_difference(one, other)
        if theirs is None:
            continue
        ours = compare(results, (one,), (other,), "area")
        none = np.zeros(len(COUNTS), np.bool_)
        words = (f"; {t:+.1f}{beside(ours, i, t)}" for i, t in enumerate(theirs))
        of_each = map("".join, zip(cells(ours, none), words, strict=True))
        rows.append((f"{one}, less {other}", *of_each))
    if not rows:
        return ""
    header = ("ours; the paper's, on VOC 2012 val", *AVERAGES[: len(COUNTS)])
    return (
        f"#### Beside the paper's differences\n\n{markdown_table(header, rows)}\n\n"
        f"AR here is {DEFINITIONS['area']}. Where the paper's difference lies outside the interval "
        "of ours, so that its claim does not hold here in this size, a word says what ours is: "
        "larger, smaller, or of the other sign. What was found of the reasons stands in the "
        "[log](log.md)."
    )


def beside(ours: Difference, i: int, theirs: float) -> str:
    """What the i-th of our differences is beside the paper's, "" if that lies in its interval."""
    if ours.low[i] <= theirs <= ours.high[i]:
        return ""
    if ours.value[i] * theirs < 0:
        return ", **other sign**"
    return ", **larger**" if abs(ours.value[i]) > abs(theirs) else ", **smaller**"


def compare(
    results: Results, plus: Sequence[str], minus: Sequence[str], definition: Definition
) -> Difference:
    def tallies(names: Sequence[str]) -> list[list[Tally]]:
        return [[tally(run, definition) for run in results[name]] for name in names]

    return difference(tallies(plus), tallies(minus))


def cells(found: Difference, bold: NDArray[np.bool_]) -> list[str]:
    """As many differences as ``bold`` has places, with their intervals; a dash for nan."""
    texts = []
    for i, value in enumerate(found.value[: len(bold)]):
        mark = "**" if bold[i] else ""
        text = f"{mark}{value:+.1f}{mark} ({found.low[i]:+.1f} … {found.high[i]:+.1f})"
        texts.append("-" if np.isnan(value) else text)
    return texts


def published_difference(one: str, other: str) -> NDArray[np.float64] | None:
    """Of AR@10, 100 and 1000 in the paper, None where it has not both methods."""
    a, b = (VOC2012.get(PUBLISHED_AS.get(name, name)) for name in (one, other))
    return None if a is None or b is None else np.subtract(a, b)
