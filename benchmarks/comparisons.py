"""The page of the paper's comparisons: tables, and what differs by more than its spread."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from experiments import CROPS, DEEPMASK, FCN, K3, K5, K7
from instancefcn.evaluation.recall import COUNTS
from instancefcn.evaluation.report import DEFINITIONS, describe
from measuring import Measured
from published_figures import VOC2012, published_tables
from results_page import markdown_table

AVERAGES = (*(f"AR@{n}" for n in COUNTS), *(f"touching, AR@{n}" for n in COUNTS))
HEADER = ("method", "runs", *AVERAGES, "weights of the mask head", "s an image")
COMPARED = ((FCN, K5), (K3, K5), (K7, K5), (CROPS, K5), (DEEPMASK, CROPS))
"""Pairs of methods that differ in one part: the paper's questions."""

PUBLISHED_AS = {CROPS: f"{K5}, trained on crops", DEEPMASK: "~DeepMask, trained on crops"}
"""The paper's names of methods where ours are others."""


@dataclass(frozen=True)
class Cost:
    """Of a method: the mask head's weights, 0 without one, and the median seconds an image."""

    weights: int
    seconds: float


Results = Mapping[str, Sequence[Measured]]
"""By method, the figures of each of its runs. All on one set."""


def averages(runs: Sequence[Measured]) -> NDArray[np.float64]:
    """``AVERAGES`` in percent: (runs, 6)."""
    return np.array(
        [[100 * r.average(n) for r in (run.objects, run.touching) for n in COUNTS] for run in runs]
    )


def page(
    results: Mapping[str, Results],
    costs: Mapping[str, Mapping[str, Cost]],
    scenes: Sequence[str],
    stamp: str,
) -> str:
    """The section of results.md: ``results`` and ``costs`` by set, then by method; the names of
    the photos that ``show-maps`` drew.
    """
    sets = "\n\n".join(of_set(label, results[label], costs[label]) for label in results)
    return f"""
## The paper's comparisons

`make reproduce`, {stamp}

The recipes differ in what their names say and in nothing else, but for VGG-16's and those of
different sets. Figures are means and standard deviations over runs with different seeds. AR:
{DEFINITIONS["coco"]}; "touching": of the objects that touch another of their kind. Weights are
those of one mask head. Seconds are medians, from the file to the masks' RLE, of methods that took
photos in turns.

{sets}

![Recall against IoU of all methods](images/comparison_recall.png)

![AR against the number of proposals of all methods](images/comparison_average.png)

{separations(scenes)}

### Published figures

Not measured here. {published_tables()}
"""


def separations(scenes: Sequence[str]) -> str:
    return "\n\n".join(
        f"![How a plain FCN and InstanceFCN see {photo}](images/score_maps/{photo}.png)"
        for photo in scenes
    )


def of_set(label: str, results: Results, costs: Mapping[str, Cost]) -> str:
    rows = [row(name, runs, costs[name]) for name, runs in results.items()]
    first = next(iter(results.values()))[0]
    commits = sorted({run.commit for runs in results.values() for run in runs})
    caption = (
        f"{describe(first.objects, label)} Of the objects {first.touching.objects['all']:,} touch "
        f"another of their kind. AR was measured by commit {', '.join(commits)}."
    )
    parts = [f"### {label}", markdown_table(HEADER, rows), caption]
    pairs = [pair for pair in COMPARED if all(name in results for name in pair)]
    return "\n\n".join(parts + ([differences(results, pairs)] if pairs else []))


def row(name: str, runs: Sequence[Measured], cost: Cost) -> tuple[str, ...]:
    each = averages(runs)
    cells = [f"{mean:.1f}" for mean in each.mean(0)]
    if len(runs) > 1:
        pairs = zip(cells, each.std(0, ddof=1), strict=True)
        cells = [f"{cell} ± {deviation:.1f}" for cell, deviation in pairs]
    weights = f"{cost.weights / 1e6:.2f} M" if cost.weights else "-"
    return name, str(len(runs)), *cells, weights, f"{cost.seconds:.2f}"


def differences(results: Results, pairs: Sequence[tuple[str, str]]) -> str:
    """A table of differences of means, and a sentence on those that may be chance."""
    rows, within = [], []
    for one, other in pairs:
        difference, spread = compare(results[one], results[other])
        beyond = np.abs(difference) > spread
        cells = [
            f"**{value:+.1f}**" if large else f"{value:+.1f}"
            for value, large in zip(difference, beyond, strict=True)
        ]
        rows.append((f"{one}, less {other}", *cells, published_difference(one, other)))
        small = [name for name, large in zip(AVERAGES, beyond, strict=True) if not large]
        if small:
            within.append(f"{one} against {other} in {'; '.join(small)}")
    table = markdown_table(("difference", *AVERAGES, "published, VOC 2012 val"), rows)
    chance = "".join(f"\n- {line}" for line in within) if within else " nothing."
    return (
        f"{table}\n\nA difference in bold is larger than the two standard deviations together. "
        f"Within the spread, so nothing to go by:\n{chance}"
    )


def compare(
    one: Sequence[Measured], other: Sequence[Measured]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The differences of the means of ``averages``, and the spreads that they have to exceed: both
    standard deviations together, infinite where a method has one run.
    """
    a, b = averages(one), averages(other)
    if min(len(a), len(b)) < 2:
        return a.mean(0) - b.mean(0), np.full(a.shape[1], np.inf)
    return a.mean(0) - b.mean(0), a.std(0, ddof=1) + b.std(0, ddof=1)


def published_difference(one: str, other: str) -> str:
    """The same of AR@10, 100 and 1000 in the paper, where it has both methods."""
    a, b = (VOC2012.get(PUBLISHED_AS.get(name, name)) for name in (one, other))
    if a is None or b is None:
        return "-"
    return " / ".join(f"{x - y:+.1f}" for x, y in zip(a, b, strict=True))
