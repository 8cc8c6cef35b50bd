"""The page of the paper's comparisons: what each method finds on each set, and what it costs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from chance import mean, tally
from dev_sets import VOC, DevSet
from differences import AVERAGES, COMPARISONS, Results, beside_published, differences
from instancefcn.evaluation.recall import COUNTS, summarize
from instancefcn.evaluation.report import DEFINITIONS, describe, markdown_table, percent
from measuring import Measured, slug
from published_figures import published_tables

RECIPES = "../reproduction/recipes"
HEADER = ("method", "runs", "masks an image", *AVERAGES)
COSTS = (
    *("method", "recipe", "AR-area at 10 / 100 / 1000", "training images", "images seen"),
    *("weights of the mask head", "s an image", "AR measured by commit"),
)


@dataclass(frozen=True)
class Cost:
    """Of a method: its recipe and the training images, "" without them; the mask head's weights,
    and how many images were seen, each as often as it was drawn, 0 without them; and the median
    seconds an image.
    """

    recipe: str
    images: str
    seen: int
    weights: int
    seconds: float


def page(
    results: Mapping[str, Results],
    costs: Mapping[str, Mapping[str, Cost]],
    sets: Mapping[str, DevSet],
    scenes: str,
    *,
    stamp: str,
    overlap: str,
) -> str:
    """The section of results.md: ``results`` and ``costs`` by set, then by method; the sets; what
    is shown of scenes; where and when all this was made; and a sentence on images trained on.
    """
    parts = "\n\n".join(
        f"{of_set(key, sets[key].label, results[key], costs[key])}\n\n{pictures(sets[key])}"
        for key in results
    )
    return f"""
## The paper's comparisons

{stamp}

Two recipes of one set differ only in what their names say; VGG-16's differs in more. Settings
were chosen on these sets.
{overlap}
Figures are means and standard deviations over runs with different seeds. Selective Search ranks at
random: its figures are over several rankings.

- **AR** is {DEFINITIONS["coco"]}. **AR-area** is {DEFINITIONS["area"]}.
  The paper describes its AR so, and we take its figures as such.
- **Touching**: AR of the objects that touch another object of their kind.
- **Masks an image**: {COUNTS[-1]:,} at most. The plain FCN has fewer. Its windows copy from one
  map; windows that overlap have the same mask, and non-maximum suppression removes it.
- **Crops**: this method learns from crops of 224 x 224 pixels around objects. The others learn from
  whole images.
- **Few images**: this method learns from every sixth image, and sees each six times as often.
- **Weights**: those of one mask head, without the backbone.

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
    touching = sum(int(m.counted[0].sum()) for m in first.touching)
    caption = (
        f"{describe(summarize(first.objects), label)} {touching:,} objects touch another of their "
        f"kind.{ceiling(first)}"
    )
    tables = markdown_table(HEADER, averages), markdown_table(COSTS, others)
    parts = [f"### {label}", tables[0], caption, tables[1]]
    comparisons = [c for c in COMPARISONS if c.methods <= results.keys()]
    if comparisons:
        parts.append(differences(results, comparisons))
        parts += [beside_published(results, comparisons)] if key == VOC else []
    return "\n\n".join(filter(None, parts))


def ceiling(figures: Measured) -> str:
    """What AR can be at most where images have more objects than the shortest lists have masks."""
    objects = tally(figures).objects[:, 0]
    shares = ((n, np.minimum(objects, n).sum() / objects.sum()) for n in COUNTS)
    words = " and ".join(f"AR@{n} {percent(share)}" for n, share in shares if share < 0.9995)
    because = "Some images have more objects than that, so no method can reach more than"
    return f" {because} {words}." if words else ""


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
    """AR-area at each of ``COUNTS``, and what the method costs."""
    by_area = mean([tally(run, "area") for run in runs])[: len(COUNTS)]
    return (
        name,
        f"[{cost.recipe}]({RECIPES}/{cost.recipe}.yaml)" if cost.recipe else "-",
        " / ".join(percent(average / 100) for average in by_area),
        cost.images or "-",
        f"{cost.seen:,}" if cost.seen else "-",
        f"{cost.weights / 1e6:.2f} M" if cost.weights else "-",
        f"{cost.seconds:.2f}",
        ", ".join(sorted({run.commit for run in runs})),
    )
