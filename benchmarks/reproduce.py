"""``make reproduce``: the paper's comparisons, from data to docs/results.md and its pictures."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from time import perf_counter

from rich.console import Console
from rich.progress import track

from comparisons import Cost, Results, page
from dev_sets import COCO, VOC, dev_sets
from experiments import EXPERIMENTS, Run, run_of, train, trained
from instancefcn.apps.evaluate import find
from instancefcn.apps.numbers import count
from instancefcn.apps.selective_search import Task, search, search_all
from instancefcn.data.dataset import Dataset
from instancefcn.evaluation.plots import plot_average, plot_recall
from instancefcn.evaluation.recall import COUNTS, RecallReport
from instancefcn.evaluation.results import read_results, write_results
from instancefcn.geometry import proposals_to_rle
from instancefcn.predictor import Predictor
from instancefcn.types import AnnotatedImage, Rle
from measuring import Measured, measured, seconds_each
from published_figures import published_on_voc
from results_page import DATA, PAGE, ROOT, conditions, write_section
from separation_figures import draw_separations

SEARCH, STRATEGY = "Selective Search, fast", "fast"
SEARCHED = (VOC, COCO)
TIMED = 8
"""Photos that each method is timed on."""

Sets = Mapping[str, Dataset]


def main(argv: Sequence[str] | None = None) -> None:
    arguments = parse(argv)
    sets = {label: data for label, (at, data) in dev_sets(arguments.data).items() if at.exists()}
    experiments = [
        replace(e, seeds=e.seeds[: arguments.seeds], sets=tuple(s for s in e.sets if s in sets))
        for e in EXPERIMENTS
        if not arguments.only or e.recipe in arguments.only
    ]
    experiments = [e for e in experiments if e.sets]
    if not experiments:
        raise ValueError(f"{arguments.data}: none of the data sets is there; give --data")
    runs = [run_of(e, seed, arguments.runs) for e in experiments for seed in e.seeds]
    overrides = [f"--data={arguments.data}", f"--weights={arguments.weights}", *arguments.overrides]
    for run in plan(runs, overrides):
        finish(run, overrides)
    results = measure_runs(runs, sets)
    if not arguments.without_search:
        for label in SEARCHED:
            if label in results:
                results[label][SEARCH] = [measure_search(label, sets[label], arguments.runs)]
    stamp = conditions()  # before a page is written: that would count as a change
    costs = {label: time_methods(label, results[label], runs, sets[label]) for label in results}
    draw(results, arguments.pictures)
    scenes = draw_separations(runs, sets, arguments.pictures)
    write_section(arguments.page, "reproduce", page(results, costs, scenes, stamp))
    write_section(arguments.summary, "published", published_on_voc())


def parse(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    add = parser.add_argument
    add("--data", type=Path, default=DATA, help="the folder of the data sets")
    add("--weights", type=Path, default=DATA.parent / "weights", help="of pretrained backbones")
    add("--runs", type=Path, default=ROOT / "runs" / "reproduce", help="where runs are kept")
    add("--page", type=Path, default=PAGE, help="where the section goes")
    add("--summary", type=Path, default=ROOT / "README.md", help="gets the published figures")
    add("--pictures", type=Path, default=ROOT / "docs" / "images", help="where pictures go")
    recipes = [experiment.recipe for experiment in EXPERIMENTS]
    add("--only", nargs="+", choices=recipes, metavar="RECIPE", help="these only")
    add("--seeds", type=count, default=3, help="the first so many seeds (%(default)s)")
    add("--without-search", action="store_true", help="leave Selective Search out")
    add("overrides", nargs="*", help="after --, values for all recipes, e.g. --steps=2")
    return parser.parse_args(argv)


def plan(runs: Sequence[Run], overrides: Sequence[str]) -> list[Run]:
    """The runs to be trained; says how many of each experiment, and how long each takes."""
    left = [run for run in runs if not trained(run, overrides)]
    for experiment in dict.fromkeys(run.experiment for run in runs):
        number = sum(run.experiment == experiment for run in left)
        state = f"{number} runs to train, each {experiment.minutes}" if number else "trained"
        print(f"{experiment.recipe}: {state}", file=sys.stderr)
    return left


def finish(run: Run, overrides: Sequence[str]) -> None:
    """Train a run to its end, and say how long that took."""
    start = perf_counter()
    train(run, overrides)
    minutes = (perf_counter() - start) / 60
    print(f"{run.experiment.recipe}, seed {run.seed}: {minutes:.0f} minutes", file=sys.stderr)


def measure_runs(runs: Sequence[Run], sets: Sets) -> dict[str, dict[str, list[Measured]]]:
    """By set, in the order of the tables, and by method the figures of its runs."""
    results: dict[str, dict[str, list[Measured]]] = {}
    for run in runs:
        figures = measured(run.model, run.experiment.sets, partial(find_on, run.model, sets))
        for label, of_set in figures.items():
            results.setdefault(label, {}).setdefault(run.experiment.name, []).append(of_set)
    return results


def find_on(model: Path, sets: Sets, label: str) -> Iterator[tuple[AnnotatedImage, list[Rle]]]:
    """A model's masks of each image of a set."""
    print(f"{model.parent.name} on {sets[label].name}", file=sys.stderr)
    return find(Predictor.from_pretrained(model), sets[label], len(sets[label]))


def measure_search(label: str, dataset: Dataset, runs: Path) -> Measured:
    """Selective Search's figures on a set; its segments are kept in the runs' folder."""
    images = [dataset[i] for i in range(len(dataset))]
    path = runs / f"selective-search-{STRATEGY}-{dataset.name.replace('/', '-')}.json"
    if not path.exists():
        tasks = [Task(image.path, STRATEGY, 0, i) for i, image in enumerate(images)]
        words = f"{SEARCH}, on {dataset.name}"
        bar = track(search_all(tasks), words, len(tasks), console=Console(stderr=True))
        found = dict(zip((i.image_id for i in images), bar, strict=True))
        write_results(path, found, min(dataset.categories, default=1))

    def kept(_: str) -> Iterator[tuple[AnnotatedImage, list[Rle]]]:
        segments = read_results(path, images)
        for image in images:
            yield image, [segment.mask for segment in segments.get(image.image_id, ())]

    return measured(path, [label], kept)[label]


def time_methods(
    label: str, results: Results, runs: Sequence[Run], dataset: Dataset
) -> dict[str, Cost]:
    """What each method costs, by its first run."""
    paths = [dataset[i].path for i in range(min(TIMED, len(dataset)))]
    print(f"timing {len(results)} methods on {dataset.name}", file=sys.stderr)
    first: dict[str, Predictor] = {}
    for run in runs:
        if label in run.experiment.sets and run.experiment.name not in first:
            first[run.experiment.name] = Predictor.from_pretrained(run.model)
    methods = {
        name: (partial(masks_of, first[name]) if name in first else search_alone)
        for name in results
    }
    seconds = seconds_each(methods, paths)
    return {n: Cost(weights_of(first[n]) if n in first else 0, seconds[n]) for n in results}


def masks_of(predictor: Predictor, path: Path) -> list[Rle]:
    return list(proposals_to_rle(predictor(path)))


def search_alone(path: Path) -> object:
    return search(Task(path, STRATEGY, 0, 0))


def weights_of(predictor: Predictor) -> int:
    """The weights of the first branch's mask head."""
    branch = next(iter(predictor.network.branches))
    head = branch.get_submodule("mask_head")
    return sum(parameter.numel() for parameter in head.parameters())


def draw(results: Mapping[str, Results], folder: Path) -> None:
    """Recall against IoU, and AR against the number of proposals, of each method's first run."""
    label, methods = next(iter(results.items()))
    reports = {name: runs[0].objects for name, runs in methods.items()}
    plot_average(folder / "comparison_average.png", reports, label)
    few = {name: only(report, COUNTS) for name, report in reports.items()}
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
