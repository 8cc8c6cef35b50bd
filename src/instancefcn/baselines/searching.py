"""Selective Search over many images, in as many processes as there are cores."""

from __future__ import annotations

import os
import signal
from collections import deque
from collections.abc import Iterator, Sequence
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

from instancefcn.baselines.selective_search import STRATEGIES, selective_search
from instancefcn.core.errors import UserError
from instancefcn.core.types import ScoredMask
from instancefcn.data.dataset import Dataset
from instancefcn.data.images import read_image


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
