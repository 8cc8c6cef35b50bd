"""``instancefcn selective-search --data PATH``: the baseline's segments, as COCO results."""

from __future__ import annotations

import argparse
import os
from pathlib import Path

from rich.console import Console
from rich.progress import track

from instancefcn.apps.dataset_arguments import add_dataset_arguments, named_dataset
from instancefcn.apps.numbers import count, seed
from instancefcn.apps.output import Failures, ending_with, require_apart
from instancefcn.baselines.searching import Task, search_all
from instancefcn.baselines.selective_search import STRATEGIES
from instancefcn.core.errors import UserError
from instancefcn.core.journal import Journal
from instancefcn.core.types import AnnotatedImage, ScoredMask
from instancefcn.core.words import counted
from instancefcn.formats.coco.writing import ids_for, write_results
from instancefcn.formats.prediction import ImageMasks


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
