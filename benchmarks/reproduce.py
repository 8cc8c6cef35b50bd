"""``make reproduce``: the paper's comparisons, from data to docs/results.md and its pictures."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from time import perf_counter

import numpy as np

from accuracy import datasets
from experiments import (
    EXPERIMENTS,
    Experiment,
    Figures,
    measured,
    recall_of,
    run_folder,
    train,
    trained,
)
from instancefcn.apps.numbers import count
from instancefcn.apps.selective_search import Task, search_all
from instancefcn.data.dataset import Dataset
from instancefcn.evaluation.plots import plot_average, plot_recall
from instancefcn.evaluation.recall import RecallReport
from instancefcn.evaluation.report import DEFINITIONS, describe
from instancefcn.evaluation.results import ScoredMask, read_results, write_results
from results_page import DATA, PAGE, ROOT, conditions, markdown_table, write_section

SHOWN = (10, 100, 1000)
SEARCH = "Selective Search"
HEADER = ("method", "runs", *(f"AR@{n}" for n in SHOWN), "weights of the mask head", "s an image")

PUBLISHED = """
Published, and not measured here: on VOC 2012's official masks, of networks trained on 5,623 images.

| published (Dai et al. 2016), VOC 2012 val | AR@10 | AR@100 | AR@1000 |
| --- | ---: | ---: | ---: |
| Selective Search | 7.0 | 23.5 | 43.3 |
| MCG | 18.9 | 36.8 | 49.5 |
| ~DeepMask | 31.2 | 42.9 | 47.0 |
| MNC | 33.4 | 48.5 | 53.8 |
| InstanceFCN, 224 x 224 crops | 37.4 | 48.4 | 51.4 |
| InstanceFCN, k = 3 | 38.3 | 49.2 | 52.1 |
| InstanceFCN, k = 5 | 38.9 | 49.7 | 52.6 |
| InstanceFCN, k = 7 | 38.8 | 49.7 | 52.7 |
"""


def main(argv: Sequence[str] | None = None) -> None:
    arguments = parse(argv)
    sets = {label: data for label, (at, data) in datasets(arguments.data).items() if at.exists()}
    if not sets:
        raise ValueError(f"{arguments.data}: none of the data sets is there; give --data")
    chosen = {label: sets[label] for label in list(sets)[: arguments.sets]}
    experiments = [
        replace(e, seeds=e.seeds[: arguments.seeds])
        for e in EXPERIMENTS
        if not arguments.only or e.recipe in arguments.only
    ]
    overrides = [f"--data={arguments.data}", f"--weights={arguments.weights}", *arguments.overrides]
    plan(experiments, arguments.runs, overrides)
    results = {
        e.name: [figures(e, s, arguments.runs, chosen, overrides) for s in e.seeds]
        for e in experiments
    }
    searched = {} if arguments.without_search else search(chosen, arguments.runs)
    stamp = conditions()
    write_section(arguments.page, "reproduce", section(results, searched, stamp))
    draw(results, searched, arguments.pictures)


def parse(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    add = parser.add_argument
    add("--data", type=Path, default=DATA, help="the folder of the data sets")
    add("--weights", type=Path, default=DATA.parent / "weights", help="of pretrained backbones")
    add("--runs", type=Path, default=ROOT / "runs" / "reproduce", help="where runs are kept")
    add("--page", type=Path, default=PAGE, help="where the section goes")
    add("--pictures", type=Path, default=ROOT / "docs" / "images", help="where plots go")
    recipes = [experiment.recipe for experiment in EXPERIMENTS]
    add("--only", nargs="+", choices=recipes, metavar="RECIPE", help="these only, in a new section")
    add("--sets", type=count, default=2, help="measure on the first so many sets (%(default)s)")
    add("--seeds", type=count, default=3, help="the first so many seeds (%(default)s)")
    add("--without-search", action="store_true", help="leave Selective Search out")
    add("overrides", nargs="*", help="after --, values for all recipes, e.g. --steps=2")
    return parser.parse_args(argv)


def plan(experiments: Sequence[Experiment], runs: Path, overrides: Sequence[str]) -> None:
    """Say what is to be trained, and how long each takes."""
    for experiment in experiments:
        left = [
            seed
            for seed in experiment.seeds
            if not trained(experiment, seed, run_folder(runs, experiment, seed), overrides)
        ]
        state = f"{len(left)} runs to train, each {experiment.minutes}" if left else "trained"
        print(f"{experiment.name}: {state}", file=sys.stderr)


def figures(
    experiment: Experiment,
    seed: int,
    runs: Path,
    sets: Mapping[str, Dataset],
    overrides: Sequence[str],
) -> Figures:
    run = run_folder(runs, experiment, seed)
    if not trained(experiment, seed, run, overrides):
        start = perf_counter()
        train(experiment, seed, run, overrides)
        minutes = (perf_counter() - start) / 60
        print(f"{experiment.name}, seed {seed}: {minutes:.0f} minutes", file=sys.stderr)
    return measured(run, sets)


def search(sets: Mapping[str, Dataset], runs: Path) -> dict[str, RecallReport]:
    """Selective Search's recall by data set; its segments are kept in the runs' folder."""
    reports: dict[str, RecallReport] = {}
    for label, dataset in sets.items():
        images = [dataset[i] for i in range(len(dataset))]
        path = runs / f"selective-search-{dataset.name.replace('/', '-')}.json"
        if not path.exists():
            print(f"{SEARCH} on {dataset.name}: some seconds an image", file=sys.stderr)
            tasks = [Task(image.path, "fast", 0, i) for i, image in enumerate(images)]
            found = dict(zip((i.image_id for i in images), search_all(tasks), strict=True))
            write_results(path, found, min(dataset.categories, default=1))
        kept = read_results(path, images)
        ranked: list[Sequence[ScoredMask]] = [kept.get(i.image_id, ()) for i in images]
        masks = [[proposal.mask for proposal in proposals] for proposals in ranked]
        reports |= recall_of(zip(images, masks, strict=True), label)
    return reports


def section(
    results: Mapping[str, Sequence[Figures]], searched: Mapping[str, RecallReport], stamp: str
) -> str:
    labels = next(iter(results.values()))[0].reports
    tables = []
    for label, report in labels.items():
        rows = [row(name, runs, label) for name, runs in results.items()]
        if searched:
            rows.append(search_row(searched[label]))
        caption = f"{describe(report, label)} AR: {DEFINITIONS['coco']}."
        tables.append(f"**{label}**\n\n{markdown_table(HEADER, rows)}\n\n{caption}\n")
    return f"""
## The paper's comparisons

`make reproduce`, {stamp}

The recipes differ in what their names say and in nothing else, but for VGG-16's. Mean and
standard deviation over seeds: a difference within the deviation says nothing. Weights are those of
one mask head; seconds an image are medians, from the file to the masks' RLE.

{chr(10).join(tables)}
![Recall against IoU of all methods](images/comparison_recall.png)

![AR against the number of proposals of all methods](images/comparison_average.png)

{PUBLISHED.strip()}
"""


def row(name: str, runs: Sequence[Figures], label: str) -> tuple[str, ...]:
    averages = [[100 * run.reports[label].average(n) for n in SHOWN] for run in runs]
    spread = np.std(averages, axis=0, ddof=1) if len(runs) > 1 else [None] * len(SHOWN)
    cells = [
        f"{mean:.1f}" + ("" if deviation is None else f" ± {deviation:.1f}")
        for mean, deviation in zip(np.mean(averages, axis=0), spread, strict=True)
    ]
    seconds = float(np.median([run.seconds for run in runs]))
    return name, str(len(runs)), *cells, f"{runs[0].weights / 1e6:.2f} M", f"{seconds:.2f}"


def search_row(report: RecallReport) -> tuple[str, ...]:
    averages = (f"{100 * report.average(n):.1f}" for n in SHOWN)
    return f"{SEARCH}, fast", "1", *averages, "0", "-"


def draw(
    results: Mapping[str, Sequence[Figures]], searched: Mapping[str, RecallReport], folder: Path
) -> None:
    """Recall against IoU, and AR against the number of proposals, of each method's first run."""
    label = next(iter(next(iter(results.values()))[0].reports))
    reports = {name: runs[0].reports[label] for name, runs in results.items()}
    reports |= {SEARCH: searched[label]} if searched else {}
    plot_average(folder / "comparison_average.png", reports, label)
    few = {name: only(report, SHOWN) for name, report in reports.items()}
    plot_recall(folder / "comparison_recall.png", few, label)


def only(report: RecallReport, counts: Sequence[int]) -> RecallReport:
    """The same recall, by these numbers of proposals."""
    places = [report.counts.index(count) for count in counts]
    return replace(report, counts=tuple(counts), recall=report.recall[places])


if __name__ == "__main__":
    try:
        main()
    except ValueError as error:
        sys.exit(f"reproduce.py: error: {error}")
