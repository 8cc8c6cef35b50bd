"""``instancefcn propose``: image files -> ranked masks, as files."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Any, TypeVar

from rich.console import Console
from rich.progress import track

from instancefcn.apps.device_arguments import add_batch_argument, add_device_argument
from instancefcn.apps.model_arguments import (
    add_labels_argument,
    add_trust_argument,
    trusted,
)
from instancefcn.apps.numbers import count, share
from instancefcn.apps.output import Failures, ending_with, require_apart
from instancefcn.core.words import counted
from instancefcn.formats.ledger import LEDGER, Ledger, digest_of
from instancefcn.formats.plan import FORMATS, Plan
from instancefcn.formats.prediction import Source
from instancefcn.formats.sources import find_images, to_sources
from instancefcn.inference.predictor import Predictor
from instancefcn.inference.run import Run
from instancefcn.network.finding import find_model

REST = "--resume does the rest"

T = TypeVar("T")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.epilog = "formats:\n" + "\n".join(f"  {name:14}{FORMATS[name]}" for name in FORMATS)
    parser.epilog += f"\n\n{LEDGER} beside them keeps what is done, for --resume."
    add = parser.add_argument
    add("paths", nargs="+", metavar="PATH", help="an image, a folder or a pattern")
    add("--output", type=Path, required=True, metavar="DIR", help="where the files go")
    add("--model", default="general", metavar="NAME|FILE", help="default: %(default)s")
    add("--top", type=count, metavar="N", help="masks an image, default: the model's")
    add("--min-score", type=share, metavar="P", help="no masks below, 0 to 1, default: the model's")
    add(
        "--sides",
        type=count,
        nargs="+",
        metavar="PIXELS",
        help="shorter sides at which the network sees an image, default: the model's",
    )
    add(
        "--formats",
        nargs="+",
        choices=FORMATS,
        default=["coco", "overlay"],
        help=f"some of {', '.join(FORMATS)}, default: coco overlay",
        metavar="FORMAT",
    )
    add(
        "--annotations",
        type=Path,
        metavar="FILE",
        help="a COCO file that lists the images: write results with its image ids",
    )
    add_labels_argument(parser)
    add_trust_argument(parser)
    add_device_argument(parser)
    add_batch_argument(parser)
    _add_what_is_kept(parser)


def _add_what_is_kept(parser: argparse.ArgumentParser) -> None:
    which = parser.add_mutually_exclusive_group()
    which.add_argument(
        "--resume", action="store_true", help="keep what an earlier run wrote, and do the rest"
    )
    which.add_argument(
        "--overwrite", action="store_true", help="replace files that others wrote or changed"
    )


def run(arguments: argparse.Namespace) -> int:
    """Exit code 2 if an image failed or was left out; the others are done all the same."""
    found = find_images(arguments.paths)
    for line in found.left_out():
        print(f"instancefcn propose: {line}", file=sys.stderr)
    sources = to_sources(found.images)
    predictor = _predictor(arguments)
    plan = Plan.of(arguments.output, arguments.formats, predictor.categories, arguments.annotations)
    names = [*plan.names_at_the_end(), *(name for each in sources for name in plan.names(each))]
    read = [*found.images, Path(arguments.model), *filter(None, [arguments.annotations])]
    require_apart((plan.folder / name for name in names), read)
    ledger = Ledger(plan.folder)
    settings = _settings(predictor, arguments.model)
    if plan.joined and not arguments.overwrite:
        ledger.require_named(sources)
    if arguments.resume:
        ledger.require_own(plan.names_at_the_end())
        ledger.resume(settings, names)
    elif arguments.overwrite:
        ledger.overwrite(settings, names)
    else:
        ledger.start(settings, names)
    plan.make_room(predictor.categories, sources, arguments.overwrite)
    failures = Failures("propose", len(found.unread))
    return _carry_out(Run(plan, ledger, failures.caught), sources, predictor, failures)


def _carry_out(
    work: Run, sources: Sequence[Source], predictor: Predictor, failures: Failures
) -> int:
    total = len(sources) + failures.number
    todo = work.take_up(sources)
    before, start = len(work.done), time.perf_counter()
    with ending_with(lambda: f"{len(work.done)} of {counted(total, 'image')} done; {REST}"):
        with closing(work.do(todo, predictor)) as steps:
            for _ in _with_progress(steps, len(todo)):
                pass
        work.finish()
    seconds = (time.perf_counter() - start) / max(1, len(todo))
    words = [f"{len(work.done)} of {counted(total, 'image')}", counted(work.masks, "mask")]
    words += [f"{seconds:.2f} s an image"] if todo else []
    words += [f"{before} done before"] if before else []
    words += [f"{failures.number} failed"] if failures.number else []
    losses = [f"lost in {what} ({number:,})" for what, number in work.lost.items()]
    print(", ".join(words), *losses, *work.plan.places(), sep="\n")
    return 0 if len(work.done) == total else 2


def _predictor(arguments: argparse.Namespace) -> Predictor:
    predictor = Predictor.from_pretrained(
        arguments.model,
        arguments.sides,
        device=arguments.device,
        batch=arguments.batch,
        trust=trusted(arguments),
        labels=arguments.labels,
    )
    if predictor.labels:
        return _with_limits(predictor, arguments)
    if arguments.min_score is not None:
        predictor = predictor.with_selection(min_score=arguments.min_score)
    if arguments.top is not None:
        settings = predictor.settings
        enough = -(-2 * arguments.top // len(settings.sides))  # non-maximum suppression takes some
        windows = max(settings.selection.windows_per_side, enough)
        predictor = predictor.with_selection(top=arguments.top, windows_per_side=windows)
    return predictor


def _with_limits(predictor: Predictor, arguments: argparse.Namespace) -> Predictor:
    """Of labelled masks: as many proposals as before are labelled, fewer or more come out."""
    limits = {"top": arguments.top, "min_score": arguments.min_score}
    given = {name: limit for name, limit in limits.items() if limit is not None}
    return predictor.with_labelling(**given)


def _settings(predictor: Predictor, model: str) -> Mapping[str, Any]:
    """What the masks depend on, by the options that change it."""
    selection = asdict(predictor.settings.selection)
    labelling = asdict(predictor.settings.labelling)
    return {
        "version": version("instancefcn"),
        "--model": digest_of(find_model(model)),
        "--sides": predictor.settings.sides,
        "--min-score": [selection.pop("min_score"), labelling.pop("min_score")],
        "--top": [selection, labelling.pop("top")],
        "set of labels": predictor.categories,
        "way of labelling": labelling,
    }


def _with_progress(steps: Iterable[T], total: int) -> Iterable[T]:
    """With a bar if someone watches and there is something to wait for."""
    console = Console(stderr=True)
    if total <= 1 or not console.is_terminal:
        return steps
    return track(steps, "proposing", total, console=console)
