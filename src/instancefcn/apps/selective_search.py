"""``instancefcn selective-search DATASET``: the baseline's segments, as COCO results."""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from itertools import starmap
from multiprocessing import get_context
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.progress import track

from instancefcn.apps.dataset_arguments import add_dataset_arguments, named_dataset
from instancefcn.apps.numbers import count, seed
from instancefcn.apps.output import writing
from instancefcn.baselines.selective_search import STRATEGIES, selective_search
from instancefcn.data.dataset import Dataset
from instancefcn.data.images import read_image
from instancefcn.formats.coco.results import ScoredMask, write_results


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_dataset_arguments(parser)
    parser.add_argument("--limit", type=count, help="only the first so many images")
    parser.add_argument(
        "--strategy",
        choices=STRATEGIES,
        default="fast",
        help="8 groupings an image, or 80 (default: %(default)s)",
    )
    parser.add_argument(
        "--seed", type=seed, default=0, help="of the ranking, 0 or more (default: 0)"
    )
    parser.add_argument(
        "--output",
        type=Path,
        required=True,
        metavar="FILE",
        help="the results, for `instancefcn evaluate DATASET --results FILE`",
    )


def run(arguments: argparse.Namespace) -> int:
    dataset = named_dataset(arguments)
    with writing(arguments.output):
        arguments.output.parent.mkdir(parents=True, exist_ok=True)  # it fails now, not after hours
    number = min(arguments.limit or len(dataset), len(dataset))
    results = search_images(dataset, number, arguments.strategy, arguments.seed, "searching")
    with writing(arguments.output):
        write_results(arguments.output, results, min(dataset.categories, default=1))
    print(f"{number} images, {sum(map(len, results.values()))} masks: {arguments.output}")
    return 0


def search_images(
    dataset: Dataset, number: int, strategy: str, seed: int, words: str
) -> dict[int, list[ScoredMask]]:
    """The segments of the first so many images of a data set by their ids, under a bar that says
    what is done.
    """
    images = [dataset[i] for i in range(number)]
    tasks = [Task(image.path, strategy, seed, position) for position, image in enumerate(images)]
    found = track(search_all(tasks), words, total=number, console=Console(stderr=True))
    return {image.image_id: masks for image, masks in zip(images, found, strict=True)}


@dataclass(frozen=True)
class Task:
    """An image to search. Its random numbers follow from the seed and its position alone, so that
    it does not matter which process does it.
    """

    path: Path
    strategy: str
    seed: int
    position: int


def search(task: Task) -> list[ScoredMask]:
    """The segments of one image, best first. Raises ValueError if the image cannot be read."""
    generator = np.random.default_rng((task.seed, task.position))
    image = read_image(task.path)
    return list(starmap(ScoredMask, selective_search(image, STRATEGIES[task.strategy], generator)))


def search_all(tasks: Sequence[Task]) -> Iterator[list[ScoredMask]]:
    """The segments of each image, in order, by as many processes as there are cores."""
    workers = min(os.cpu_count() or 1, len(tasks))
    if workers <= 1:
        yield from map(search, tasks)
        return
    # Not forked: the bar and torch have threads, which a fork would leave behind.
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        yield from pool.map(search, tasks)
