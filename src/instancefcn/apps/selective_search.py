"""``instancefcn selective-search --data PATH``: the baseline's segments, as COCO results."""

from __future__ import annotations

import argparse
import os
import signal
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from itertools import starmap
from multiprocessing import active_children, get_context
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.markup import escape
from rich.progress import track

from instancefcn.apps.dataset_arguments import add_dataset_arguments, named_dataset
from instancefcn.apps.numbers import count, seed
from instancefcn.apps.output import Failures, ending_with, require_apart
from instancefcn.baselines.selective_search import STRATEGIES, selective_search
from instancefcn.core.errors import UserError
from instancefcn.core.journal import Journal
from instancefcn.core.proposals import CLASS_AGNOSTIC
from instancefcn.core.types import AnnotatedImage
from instancefcn.core.words import counted
from instancefcn.data.dataset import Dataset
from instancefcn.data.images import read_image
from instancefcn.formats.coco.results import ScoredMask
from instancefcn.formats.coco.writing import ImageMasks, write_results


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
        help="the results, for `instancefcn evaluate --data PATH --results FILE`",
    )
    which = parser.add_mutually_exclusive_group()
    which.add_argument("--resume", action="store_true", help="go on with a run that was ended")
    which.add_argument("--overwrite", action="store_true", help="replace FILE, start again")


def run(arguments: argparse.Namespace) -> int:
    """Exit code 2 if an image failed; the others are done all the same."""
    dataset = named_dataset(arguments)
    number = min(arguments.limit or len(dataset), len(dataset))
    whole = counted(number, "image")
    images = [dataset[i] for i in range(number)]
    require_apart([arguments.output], [arguments.data, *(image.path for image in images)])
    part = _part(arguments)
    done = {record["image"]: place for place, record in part if "image" in record}
    failures = Failures("selective-search")
    with ending_with(lambda: f"{len(done)} of {whole} done; --resume does the rest"):
        todo = [i for i in range(number) if images[i].image_id not in done]
        tasks = [Task(images[i].path, arguments.strategy, arguments.seed, i) for i in todo]
        bar = track(search_all(tasks), "searching", total=len(todo), console=Console(stderr=True))
        for i, found in zip(todo, bar, strict=True):
            with failures.caught(images[i].path):
                done[images[i].image_id] = part.append(_record(images[i], found))
        if not done:
            part.path.unlink()
            raise UserError("no image was done, so nothing is written; see the errors above")
        masks = {key: ImageMasks.of_json(part.at(place)).masks for key, place in done.items()}
        results = {
            image.image_id: masks[image.image_id] for image in images if image.image_id in masks
        }
        write_results(arguments.output, results, ids_for(dataset))
        part.path.unlink()
    failed = f", {failures.number} failed" if failures.number else ""
    total = sum(map(len, results.values()))
    print(f"{len(results)} of {whole}, {counted(total, 'mask')}{failed}: {arguments.output}")
    return 2 if failures.number else 0


def _part(arguments: argparse.Namespace) -> Journal:
    """What is done of the results, an image a line, after a line of what they depend on.

    Raises UserError if it is another's, or if something is there that is not to be replaced.
    """
    output: Path = arguments.output
    part = Journal(output.with_name(f"{output.name}.part"))
    settings = {
        "dataset": os.path.abspath(arguments.data),
        "split": arguments.split,
        "strategy": arguments.strategy,
        "seed": arguments.seed,
    }
    before = next((record for _, record in part), None)
    if before is None or arguments.overwrite:
        if output.exists() and not arguments.overwrite:
            raise UserError(f"{output}: is there already; give --overwrite, or another --output")
        part.start_again(settings)
    elif not arguments.resume:
        raise UserError(
            f"{part.path}: holds the work of a run that did not end; give --resume to go on, or "
            "--overwrite to start again"
        )
    elif before != settings:
        raise UserError(
            f"{part.path}: holds the work of another data set, strategy or seed; give the same, "
            "--overwrite, or another --output"
        )
    return part


def _record(image: AnnotatedImage, found: list[ScoredMask] | Exception) -> dict[str, object]:
    if isinstance(found, Exception):
        raise found
    sizes = {(mask.height, mask.width) for mask, *_ in found} - {(image.height, image.width)}
    for height, width in sizes:
        raise UserError(
            f"{image.path}: {width} x {height} pixels, annotated as {image.width} x "
            f"{image.height}; give the images that were annotated"
        )
    return {"image": image.image_id, **ImageMasks(image.height, image.width, found).to_json()}


def ids_for(dataset: Dataset) -> Mapping[int, int]:
    """What results for a data set call masks that nobody labelled: COCO's own tools count a result
    of a category that the data set has not as a miss, even where they ignore categories.
    """
    return dict.fromkeys(CLASS_AGNOSTIC, min(dataset.categories, default=1))


def search_images(
    dataset: Dataset, number: int, strategy: str, seed: int, words: str
) -> dict[int, list[ScoredMask]]:
    """The segments of the first so many images of a data set by their ids, under a bar that says
    what is done. Raises what the work on an image raises.
    """
    images = [dataset[i] for i in range(number)]
    tasks = [Task(image.path, strategy, seed, position) for position, image in enumerate(images)]
    results = {}
    found = track(search_all(tasks), escape(words), total=number, console=Console(stderr=True))
    for image, masks in zip(images, found, strict=True):
        if isinstance(masks, Exception):
            raise masks
        results[image.image_id] = masks
    return results


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
    """The segments of one image, best first. Raises UserError if the image cannot be read."""
    generator = np.random.default_rng((task.seed, task.position))
    image = read_image(task.path)
    return list(starmap(ScoredMask, selective_search(image, STRATEGIES[task.strategy], generator)))


def search_all(tasks: Sequence[Task]) -> Iterator[list[ScoredMask] | Exception]:
    """The segments of each image, or what the work on it raised, in order, by as many processes as
    there are cores.
    """
    workers = min(os.cpu_count() or 1, len(tasks))
    if workers <= 1:
        yield from map(_outcome, tasks)
        return
    # Not forked: the bar and torch have threads, which a fork would leave behind.
    pool = ProcessPoolExecutor(workers, get_context("spawn"), _leave_ctrl_c_to_the_parent)
    ahead = deque(pool.submit(search, task) for task in tasks)
    try:
        while ahead:
            error = ahead[0].exception()
            if isinstance(error, BrokenProcessPool):
                raise UserError("a process was killed, perhaps for memory; give --resume")
            yield error if isinstance(error, Exception) else ahead[0].result()
            ahead.popleft()
    finally:
        pool.shutdown(wait=not ahead, cancel_futures=True)
        for worker in active_children() if ahead else ():  # A search may take minutes more.
            worker.terminate()


def _outcome(task: Task) -> list[ScoredMask] | Exception:
    try:
        return search(task)
    except Exception as error:
        return error


def _leave_ctrl_c_to_the_parent() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
