"""``instancefcn propose``: image files -> ranked masks, as files."""

from __future__ import annotations

import argparse
import sys
import time
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any, TypeVar

from rich.console import Console
from rich.progress import track

from instancefcn.apps.device_arguments import add_batch_argument, add_device_argument
from instancefcn.apps.ledger import LEDGER, Done, Ledger, digest_of
from instancefcn.apps.model_arguments import add_trust_argument, trusted
from instancefcn.apps.numbers import count, share
from instancefcn.apps.output import Failures, ending_with, require_apart
from instancefcn.apps.plan import FORMATS, Plan
from instancefcn.apps.sources import find_images, to_sources
from instancefcn.core.errors import UserError
from instancefcn.core.files import whole_file
from instancefcn.core.words import counted
from instancefcn.formats.coco.writing import ImageMasks, data_set, results_list
from instancefcn.formats.prediction import Source
from instancefcn.inference.predicting import predictions_of
from instancefcn.inference.predictor import Predictor
from instancefcn.network.models import find_model

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
    add("--top", type=count, metavar="N", help="masks an image, default: the model's (1000)")
    add("--min-score", type=share, metavar="P", help="no masks below, 0 to 1, default: 0")
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
    plan = Plan.of(arguments)
    names = [*plan.names_at_the_end(), *(name for each in sources for name in plan.names(each))]
    read = [*found.images, Path(arguments.model), *filter(None, [arguments.annotations])]
    require_apart((plan.folder / name for name in names), read)
    predictor = _predictor(arguments)
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
    work = Work(plan, ledger, Failures("propose", len(found.unread)))
    return work.carry_out(sources, predictor)


@dataclass
class Work:
    """A run: what is done so far, by the numbers of the images, and what formats could not hold."""

    plan: Plan
    ledger: Ledger
    failures: Failures
    done: dict[int, tuple[Source, Done]] = field(default_factory=dict)
    lost: Counter[str] = field(default_factory=Counter)

    def carry_out(self, sources: Sequence[Source], predictor: Predictor) -> int:
        total = len(sources) + self.failures.number
        todo = self._without_done(sources)
        before, start = len(self.done), time.perf_counter()
        with ending_with(lambda: f"{len(self.done)} of {counted(total, 'image')} done; {REST}"):
            self._do(todo, predictor)
            self._finish()
        seconds = (time.perf_counter() - start) / max(1, len(todo))
        masks = sum(done.number for _, done in self.done.values())
        words = [f"{len(self.done)} of {counted(total, 'image')}", counted(masks, "mask")]
        words += [f"{seconds:.2f} s an image"] if todo else []
        words += [f"{before} done before"] if before else []
        words += [f"{self.failures.number} failed"] if self.failures.number else []
        losses = [f"lost in {what} ({number:,})" for what, number in self.lost.items()]
        print(", ".join(words), *losses, *self.plan.places(), sep="\n")
        return 0 if len(self.done) == total else 2

    def _without_done(self, sources: Sequence[Source]) -> list[Source]:
        """The images that are still to do; takes up the others."""
        todo = []
        for source in sources:
            done = self.ledger.done(source)
            if done is None or self.ledger.missing(source, self.plan.names(source)):
                todo.append(source)
                continue
            with self.failures.caught(source.path):
                self._take(source, done)
        return todo

    def _take(self, source: Source, done: Done) -> None:
        known = self.plan.identify(source, done.height, done.width)
        self.done[source.image_id] = known, done

    def _do(self, todo: Sequence[Source], predictor: Predictor) -> None:
        with closing(predictions_of(predictor, todo, self.plan.identify)) as predictions:
            for source, predicted in _with_progress(predictions, len(todo)):
                with self.failures.caught(source.path):
                    prediction = predicted()
                    writers = self.plan.writers(prediction, self.lost)
                    done = self.ledger.add(source, ImageMasks.of(prediction), writers)
                    self._take(source, done)

    def _finish(self) -> None:
        if not self.done:
            raise UserError("no image was done, so nothing is written; see the errors above")
        if self.plan.joined:
            self._join(self.plan.joined)
        self.ledger.end()

    def _join(self, path: Path) -> None:
        """Write the file of all images, in their order, from what the ledger keeps."""
        form = results_list if self.plan.listed else data_set
        with whole_file(path) as file:
            with form(file) as add:
                for _, (source, done) in sorted(self.done.items()):
                    add(source, self.ledger.masks(done))
            file.flush()
            self.ledger.add_file(path.name, Path(file.name))


def _predictor(arguments: argparse.Namespace) -> Predictor:
    predictor = Predictor.from_pretrained(
        arguments.model,
        arguments.sides,
        device=arguments.device,
        batch=arguments.batch,
        trust=trusted(arguments),
    )
    if arguments.min_score is not None:
        predictor = predictor.with_selection(min_score=arguments.min_score)
    if arguments.top is not None:
        enough = -(-2 * arguments.top // len(predictor.sides))  # non-maximum suppression takes some
        windows = max(predictor.selection.windows_per_side, enough)
        predictor = predictor.with_selection(top=arguments.top, windows_per_side=windows)
    return predictor


def _settings(predictor: Predictor, model: str) -> Mapping[str, Any]:
    """What the masks depend on, by the options that change it."""
    selection = asdict(predictor.selection)
    return {
        "version": version("instancefcn"),
        "--model": digest_of(find_model(model)),
        "--sides": predictor.sides,
        "--min-score": selection.pop("min_score"),
        "--top": selection,
    }


def _with_progress(steps: Iterable[T], total: int) -> Iterable[T]:
    """With a bar if someone watches and there is something to wait for."""
    console = Console(stderr=True)
    if total <= 1 or not console.is_terminal:
        return steps
    return track(steps, "proposing", total, console=console)
