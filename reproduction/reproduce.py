"""``make reproduce``: the paper's comparisons, from data to docs/results.md and its pictures."""

from __future__ import annotations

import argparse
import shlex
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np

import labellers
from arguments import parse, values_of_recipes
from comparisons import Cost, page, picture
from dev_sets import COCO, VOC, DevSet, dev_sets
from differences import SEARCH, Results
from experiments import (
    EXPERIMENTS,
    Run,
    first_run,
    overlap,
    ready,
    recipe_of,
    run_of,
    timed,
)
from instancefcn.baselines.searching import Task, search, search_images
from instancefcn.core.errors import UserError
from instancefcn.core.types import AnnotatedImage, Rle
from instancefcn.data.dataset import Dataset
from instancefcn.evaluation.measuring import find
from instancefcn.evaluation.plots import plot_average, plot_recall
from instancefcn.evaluation.recall import COUNTS, RecallReport, summarize
from instancefcn.formats.coco.results import read_results
from instancefcn.formats.coco.writing import ids_for, write_results
from instancefcn.inference.predictor import Predictor
from instancefcn.inference.torch_engine import TorchEngine
from measuring import Measured, measured, seconds_each, slug
from results_page import ROOT, commit, conditions, run_script, write_section
from separation_figures import draw_separations

STRATEGY = "fast"
SEARCHED = (VOC, COCO)
TIMED = 8
"""Photos that each method is timed on; the first of them warms up."""

TIMES = (
    "measuring, of 150 images 2 minutes a run, 5 by ~DeepMask, 25 by VGG-16, and 4 for a "
    "drawing of Selective Search; timing, 5 minutes"
)

CURVE = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000)
"""Numbers of proposals, enough to draw recall against them."""

METHODS = (*dict.fromkeys(experiment.name for experiment in EXPERIMENTS), SEARCH)
"""What pictures show, each by the same line in all."""

Sets = Mapping[str, DevSet]


def main(argv: Sequence[str] | None = None) -> None:
    arguments = parse(argv, __doc__)
    commit()  # of the code that is imported by now, however long this takes
    sets = at_hand(arguments) if arguments.recipes else {}
    for_labels = labellers.at_hand(arguments) if arguments.labels else {}
    if arguments.recipes:
        compare(arguments, sets)
    if arguments.labels:
        labellers.compare(arguments, for_labels)


def compare(arguments: argparse.Namespace, sets: Sets) -> None:
    """Train what is missing, measure, and write the section of class-agnostic masks."""
    experiments = [
        replace(e, seeds=e.seeds[: arguments.seeds], sets=tuple(s for s in e.sets if s in sets))
        for e in EXPERIMENTS
        if e.recipe in arguments.recipes
    ]
    runs = [run_of(e, seed, arguments.runs) for e in experiments for seed in e.seeds if e.sets]
    overrides = values_of_recipes(arguments)
    if not runs:
        raise UserError(
            f"{', '.join(arguments.recipes)}: measured on none of the sets that are there; "
            "give others"
        )
    runs = ready(runs, overrides, arguments.without_training)
    if not runs:
        raise UserError(f"{arguments.runs}: no run is there; leave out --without-training")
    print(TIMES, file=sys.stderr)
    results = measure_runs(runs, sets)
    if not arguments.without_search:
        for key in SEARCHED:
            if key in results:
                results[key][SEARCH] = [
                    measure_search(sets[key], arguments.runs, seed)
                    for seed in range(arguments.seeds)
                ]
    write(arguments, results, runs, sets)


def at_hand(arguments: argparse.Namespace) -> dict[str, DevSet]:
    """The sets whose folders are there, read once, so that a broken one is found now and not after
    hours. Raises UserError if none is, if one is empty, or if a part would replace the whole page.
    """
    needed = {key for experiment in EXPERIMENTS for key in experiment.sets}
    every = {key: dev for key, dev in dev_sets(arguments.data).items() if key in needed}
    sets = {key: dev for key, dev in every.items() if dev.folder.exists()}
    if not sets:
        raise UserError(f"{arguments.data}: none of the data sets is there; give --data")
    left_out = [dev for dev in every.values() if not dev.folder.exists()]
    for dev in left_out:
        print(f"{dev.label}: {dev.folder} is not there; the set is skipped", file=sys.stderr)
    part = [*arguments.part, *(dev.label for dev in left_out)]
    if part and arguments.output == ROOT:
        raise UserError(
            f"{', '.join(part)}: a part of the comparisons would replace all of them in "
            "docs/results.md; give --output DIR"
        )
    for dev in sets.values():
        if not len(dev.dataset):
            raise UserError(f"{dev.folder}: has no images; put them there, or remove it")
        words = f"{len(dev.dataset)} images, annotations {dev.digest[:8]}"
        print(f"{dev.label}: {words}", file=sys.stderr)
    return sets


def write(
    arguments: argparse.Namespace,
    results: Mapping[str, Results],
    runs: Sequence[Run],
    sets: Sets,
) -> None:
    """Time the methods; write the page's section and the pictures."""
    words = ["reproduction/reproduce.py", *arguments.part]
    command = shlex.join(words) if arguments.part else "make reproduce"
    values = values_of_recipes(arguments)
    costs = {key: time_methods(key, results[key], runs, sets[key], values) for key in results}
    images = arguments.output / "docs" / "images"
    for key, methods in results.items():
        draw(methods, images, sets[key])
    scenes = draw_separations(results, runs, sets, images)
    stamp = f"`{command}`, {conditions()} {timing()}"
    text = page(results, costs, sets, scenes, stamp=stamp, overlap=overlap(runs, sets))
    write_section(arguments.output / "docs" / "results.md", "reproduce", text)


def timing() -> str:
    return (
        f"Seconds are medians of {TIMED - 1} photos, or of all but one of a smaller set, that "
        "methods took in turns, from the file to the masks' RLE; Selective Search has one thread."
    )


def measure_runs(runs: Sequence[Run], sets: Sets) -> dict[str, dict[str, list[Measured]]]:
    """By set, in the order of the tables, and by method what its runs found."""
    results: dict[str, dict[str, list[Measured]]] = {}
    for run in runs:
        for key in run.experiment.sets:
            figures = measured(run.model, sets[key], partial(find_by, run.model))
            results.setdefault(key, {}).setdefault(run.experiment.name, []).append(figures)
    return results


def find_by(model: Path, dataset: Dataset) -> Iterator[tuple[AnnotatedImage, Sequence[Rle]]]:
    """A model's masks of each image of a set."""
    with timed(f"{model.parent.name} on {dataset.name}"):
        method = Predictor.from_pretrained(model).masks
        yield from find(method, dataset, range(len(dataset)))


def measure_search(dev: DevSet, runs: Path, seed: int) -> Measured:
    """What a drawing of Selective Search finds on a set; kept in the runs' folder."""
    dataset = dev.dataset
    name = f"selective-search-{STRATEGY}-{seed}-{slug(dataset.name)}-{dev.digest[:8]}.json"
    path = runs / name
    if not path.exists():
        with timed(f"{SEARCH}, seed {seed}, on {dataset.name}"):
            words = f"searching {dataset.name}"
            found = search_images(dataset, len(dataset), STRATEGY, seed, words)
        write_results(path, found, ids_for(dataset))
    return measured(path, dev, partial(kept, path))


def kept(path: Path, dataset: Dataset) -> Iterator[tuple[AnnotatedImage, list[Rle]]]:
    """The masks of each image of a set that a file of results holds."""
    images = [dataset[i] for i in range(len(dataset))]
    segments = read_results(path, images)
    for image in images:
        yield image, [segment.mask for segment in segments.get(image.image_id, ())]


def time_methods(
    key: str, results: Results, runs: Sequence[Run], dev: DevSet, overrides: Sequence[str]
) -> dict[str, Cost]:
    """What each method costs, by its first run."""
    paths = [dev.dataset[i].path for i in range(min(TIMED, len(dev.dataset)))]
    print(f"timing {len(results)} methods on {dev.dataset.name}", file=sys.stderr)
    first = {name: first_run(runs, name, key) for name in results if name != SEARCH}
    predictors = {name: Predictor.from_pretrained(run.model) for name, run in first.items()}
    methods = {
        name: partial(masks_of, predictors[name]) if name in first else search_alone
        for name in results
    }
    seconds = seconds_each(methods, paths)
    costs = {SEARCH: Cost("", "", 0, 0, seconds[SEARCH])} if SEARCH in results else {}
    for name, run in first.items():
        weights, images = weights_of(predictors[name]), images_of(run, overrides)
        costs[name] = Cost(run.experiment.recipe, *images, weights, seconds[name])
    return costs


def masks_of(predictor: Predictor, path: Path) -> object:
    return predictor(path).masks()


def search_alone(path: Path) -> object:
    return search(Task(path, STRATEGY, 0, 0))


def weights_of(predictor: Predictor) -> int:
    """How many weights the first branch's mask head has."""
    assert isinstance(predictor.engine, TorchEngine)
    (head, *_), *_ = predictor.engine.network.heads()
    return sum(parameter.numel() for parameter in head.parameters())


def images_of(run: Run, overrides: Sequence[str]) -> tuple[str, int]:
    """Which images a run was trained on, and how many it saw in all its steps."""
    recipe = recipe_of(run, overrides).recipe
    images = "; ".join(f"{len(data):,}, {data.name}" for data in recipe.train)
    return images, recipe.steps * recipe.batch


def draw(methods: Results, folder: Path, dev: DevSet) -> None:
    """Recall against IoU, and AR against the number of proposals: the mean of a method's runs."""
    curves = {method: mean_report(runs, CURVE) for method, runs in methods.items()}
    plot_average(folder / picture("average", dev), curves, dev.label, METHODS)
    few = {method: mean_report(runs, COUNTS) for method, runs in methods.items()}
    plot_recall(folder / picture("recall", dev), few, dev.label, METHODS)


def mean_report(runs: Sequence[Measured], counts: Sequence[int]) -> RecallReport:
    """Recall by these numbers of proposals, the mean over a method's runs."""
    reports = [summarize(run.objects, counts) for run in runs]
    return replace(reports[0], recall=np.mean([report.recall for report in reports], axis=0))


if __name__ == "__main__":
    run_script(main)
