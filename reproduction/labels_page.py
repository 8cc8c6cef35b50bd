"""The page of the comparison of labellers: what each one's labels are worth, and what it costs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from chance import DRAWS, Floats
from comparisons import RECIPES
from dev_sets import VOC
from differences import cells
from experiments import CATEGORIES, LABELLERS, MNC, MNC_VGG, RFCN_BOX, RFCN_MASK, Experiment
from instancefcn.evaluation.precision import COUNT, THRESHOLDS, summarize_precision
from instancefcn.evaluation.precision_report import DEFINITIONS
from instancefcn.evaluation.report import markdown_table, percent
from label_chance import label_difference, mean_precision
from label_measuring import COCO_FIGURES, Labels
from published_figures import published_labels

PICTURE = "images/system.png"
MISSING = "not run yet"
FIGURES = (*(f"mAP^r@{iou}" for iou in THRESHOLDS), *(f"COCO {name}" for name in COCO_FIGURES))
HEADER = (
    *("labeller", "recipe", "runs", *FIGURES),
    *("weights of the labeller", "ms an image", "measured by commit"),
)
PAIRS = ((RFCN_BOX, MNC), (RFCN_MASK, RFCN_BOX), (RFCN_MASK, MNC))

ABOUT = f"""
Three labellers of the same proposals: those of `general`, which stays as it is. Their recipes
differ in the labeller only. Settings were chosen on this set. Figures are means and standard
deviations over runs with different seeds.

- **mAP^r**: {DEFINITIONS["11-point"]}. Of each image the first {COUNT} masks count.
- **COCO AP**: {DEFINITIONS["COCO"]}.
- **R-FCN, over masks**: our own variation. The score maps of each category are averaged over those
  cells of the box that the mask holds, not over the whole box.
- **Ms an image**: labelling alone, from the encoder's maps and 300 proposals to labelled ones. To
  find the proposals and to draw the masks costs all three the same.
""".strip()

ABOUT_RUNS = (
    "`make reproduce` trains what is not run yet, but for "
    f"{MNC_VGG}: that is the paper's whole system, and wants GPUs."
)

ABOUT_INTERVALS = (
    "In brackets: 95 % intervals, over images and over seeds (Student's t). mAP^r is not a mean "
    f"over images. So images are drawn at random {DRAWS:,} times, the same for both labellers, and "
    "each time the masks of the images drawn are ranked again and mAP^r is computed anew. A "
    "labeller with one run has no interval over seeds. Bold: the interval does not hold 0. Where "
    "there is no difference at all, one figure in twenty is bold by chance."
)

ABOUT_OPTIONS = (
    f"One run, {MNC}, seed 0: proposals and probabilities are the same in all rows. *Overlap*: of "
    "two masks of a category whose boxes have a higher IoU, the one with the lower score goes. "
    "*Voting*: a mask becomes the mean of those of its category whose boxes have at least this IoU "
    "with its own, weighted by their scores (MNC, section 3.4)."
)

ABOUT_CATEGORIES = (
    f"{MNC} on other categories, by recipes that a user would write for their own data: two of "
    "them, and 80. One run each."
)

Results = Mapping[str, Sequence[Labels]]
"""By experiment, what each of its runs is worth. Labellers are measured on one set."""


@dataclass(frozen=True)
class Cost:
    """Of a labeller: its weights, and the median seconds that it takes for an image."""

    weights: int
    seconds: float


def labels_page(
    results: Results,
    costs: Mapping[str, Cost],
    options: Mapping[str, Labels],
    sets: Mapping[str, str],
    *,
    stamp: str,
    overlap: str,
    picture: str,
) -> str:
    """The section of results.md: results and costs by experiment; one run's options by name; what
    the sets are called, by key; where and when this was made; a sentence on images trained on; and
    what the picture shows.
    """
    label = sets[VOC]
    parts = [
        f"## Labelled masks\n\n{stamp}",
        f"![A photo, score maps, proposals, labelled instances]({PICTURE})\n\n{picture}",
        f"### {label}\n\n{ABOUT}",
        overlap,
        table(results, costs),
        *(caption(runs[0], label) for name, runs in results.items() if name == MNC),
        differences(results),
        option_table(options),
        category_table(results, sets),
        f"### Published figures of labelled masks\n\nNot measured here. {published_labels()}",
    ]
    return "\n\n".join(filter(None, parts))


def table(results: Results, costs: Mapping[str, Cost]) -> str:
    """A row for each labeller; one without a run says so."""
    rows = []
    for experiment in LABELLERS:
        runs, cost = results.get(experiment.name), costs.get(experiment.name)
        figures = _figures(runs, cost) if runs and cost else _missing(len(HEADER) - 2)
        rows.append((experiment.name, _recipe(experiment), *figures))
    return f"{markdown_table(HEADER, rows)}\n\n{ABOUT_RUNS}"


def _recipe(experiment: Experiment) -> str:
    return f"[{experiment.recipe}]({RECIPES}/{experiment.recipe}.yaml)"


def _missing(cells: int) -> list[str]:
    return [MISSING, *["-"] * (cells - 1)]


def _figures(runs: Sequence[Labels], cost: Cost) -> list[str]:
    weights, seconds = f"{cost.weights / 1e6:.2f} M", f"{1000 * cost.seconds:.0f}"
    return [str(len(runs)), *_percents(runs), weights, seconds, _commits(runs)]


def _commits(runs: Sequence[Labels]) -> str:
    return ", ".join(sorted({run.commit for run in runs}))


def _percents(runs: Sequence[Labels]) -> list[str]:
    return with_deviations(np.stack([np.append(mean_precision(run), run.coco) for run in runs]))


def with_deviations(each: Floats) -> list[str]:
    """Means over runs (runs, columns) in percent, with their deviations if there are several."""
    means = [percent(value / 100) for value in each.mean(0)]
    if len(each) == 1:
        return means
    return [f"{mean} ± {by:.1f}" for mean, by in zip(means, each.std(0, ddof=1), strict=True)]


def caption(labels: Labels, label: str) -> str:
    """What was measured on."""
    report = summarize_precision(labels.judgements, labels.categories)
    present, void = int((report.objects > 0).sum()), " and void pixels" if report.void else ""
    return (
        f"{label}: {report.images:,} images, {report.objects.sum():,} objects; crowds{void} count "
        f"as nothing. Means are over the {present} of {len(report.categories)} categories that "
        "have objects."
    )


def differences(results: Results) -> str:
    """A table of differences with their intervals, of labellers that have runs; "" of none."""
    rows = [
        (f"{one}, less {other}", *cells(label_difference(results[one], results[other])))
        for one, other in PAIRS
        if {one, other} <= results.keys()
    ]
    header = ("difference", *FIGURES[: len(THRESHOLDS)])
    return (
        f"#### Differences\n\n{markdown_table(header, rows)}\n\n{ABOUT_INTERVALS}" if rows else ""
    )


def option_table(options: Mapping[str, Labels]) -> str:
    """What other ways to label are worth; "" if none was measured."""
    rows = [(name, *_percents([labels])) for name, labels in options.items()]
    heading = "#### Suppression and mask voting"
    table = markdown_table(("way to label", *FIGURES), rows)
    return f"{heading}\n\n{table}\n\n{ABOUT_OPTIONS}" if rows else ""


def category_table(results: Results, sets: Mapping[str, str]) -> str:
    """The same labeller on other categories, each on its own set."""
    rows, captions = [], []
    for experiment in CATEGORIES:
        runs = results.get(experiment.name)
        figures = [str(len(runs)), *_percents(runs), _commits(runs)] if runs else _missing(6)
        rows.append((experiment.name, _recipe(experiment), *figures))
        captions += [caption(runs[0], sets[key]) for key in experiment.sets if runs]
    header = ("categories", "recipe", "runs", *FIGURES, "measured by commit")
    return "\n\n".join(
        [f"### Other categories\n\n{ABOUT_CATEGORIES}", markdown_table(header, rows), *captions]
    )
