"""``instancefcn propose``: image files -> ranked masks, as files."""

from __future__ import annotations

import argparse
import sys
import time
from collections import Counter
from collections.abc import Generator, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack, closing, nullcontext
from pathlib import Path
from typing import TypeVar

from rich.console import Console
from rich.progress import track

from instancefcn.apps.model_arguments import add_trust_argument, trusted
from instancefcn.apps.numbers import count, share
from instancefcn.apps.output import writing
from instancefcn.apps.sources import find_images, read_ahead, to_sources
from instancefcn.core.errors import UserError
from instancefcn.formats.coco.writing import Add, ListedImages, data_set, results_list
from instancefcn.formats.prediction import Prediction, Source
from instancefcn.formats.table import WRITERS
from instancefcn.inference.predictor import Predictor

FORMATS = {
    "coco": "proposals.json, a COCO data set; with --annotations results.json, COCO results",
    **{writer.name: writer.words for writer in WRITERS},
}

T = TypeVar("T")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.epilog = "formats:\n" + "\n".join(f"  {name:15}{FORMATS[name]}" for name in FORMATS)
    add = parser.add_argument
    add("paths", nargs="+", metavar="PATH", help="an image, a folder or a pattern")
    add("--output", type=Path, required=True, metavar="DIR", help="where the files go")
    add("--model", default="general", metavar="NAME|FILE", help="default: %(default)s")
    add_trust_argument(parser)
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


def run(arguments: argparse.Namespace) -> int:
    """Exit code 2 if an image failed; the others are done all the same."""
    sources = to_sources(find_images(arguments.paths))
    listed = ListedImages(arguments.annotations) if arguments.annotations else None
    predictor = _predictor(arguments)
    lost: Counter[str] = Counter()
    outputs = [_output(name, arguments, lost) for name in dict.fromkeys(arguments.formats)]
    start = time.perf_counter()
    with (
        writing(arguments.output),
        closing(_predictions(predictor, sources, listed)) as predictions,
    ):
        counts = _write(predictions, [output for _, output in outputs])
    seconds = (time.perf_counter() - start) / len(sources)
    print(f"{len(counts)} of {len(sources)} images, {sum(counts)} masks, {seconds:.2f} s an image")
    losses = [f"lost: {number} {what}" for what, number in lost.items()]
    print(*losses, *(place for place, _ in outputs), sep="\n")
    return 0 if len(counts) == len(sources) else 2


def _predictor(arguments: argparse.Namespace) -> Predictor:
    trust = trusted(arguments)
    predictor = Predictor.from_pretrained(arguments.model, arguments.sides, trust=trust)
    if arguments.min_score is not None:
        predictor = predictor.with_selection(min_score=arguments.min_score)
    if arguments.top is not None:
        enough = -(-2 * arguments.top // len(predictor.sides))  # non-maximum suppression takes some
        windows = max(predictor.selection.windows_per_side, enough)
        predictor = predictor.with_selection(top=arguments.top, windows_per_side=windows)
    return predictor


def _output(
    name: str, arguments: argparse.Namespace, lost: Counter[str]
) -> tuple[Path, AbstractContextManager[Add]]:
    """Where a format goes, and what writes it and counts what the format cannot hold."""
    folder: Path = arguments.output
    if name == "coco":
        if arguments.annotations:
            return folder / "results.json", results_list(folder / "results.json")
        return folder / "proposals.json", data_set(folder / "proposals.json")
    writer = next(writer for writer in WRITERS if writer.name == name)
    place = folder / writer.folder

    def add(prediction: Prediction) -> None:
        for what, number in writer.write(place, prediction).items():
            lost[f"{what} in {name}"] += number

    return place, nullcontext(add)


def _write(
    predictions: Iterable[Prediction], outputs: Sequence[AbstractContextManager[Add]]
) -> list[int]:
    """Write all predictions; returns how many masks each has. ValueError if there is none."""
    counts = []
    with ExitStack() as stack:
        writers = [stack.enter_context(output) for output in outputs]
        for prediction in predictions:
            for write in writers:
                write(prediction)
            counts.append(len(prediction.masks))
        if not counts:
            raise UserError("no image was done, so nothing is written; see the errors above")
    return counts


def _predictions(
    predictor: Predictor, sources: Sequence[Source], listed: ListedImages | None
) -> Generator[Prediction, None, None]:
    """Of the images that can be read, in order; reports each that cannot, in a line on stderr."""
    with ThreadPoolExecutor(1) as pool:
        images = read_ahead(pool, [source.path for source in sources])
        for source, image in _with_progress(zip(sources, images, strict=True), len(sources)):
            try:
                pixels = image.result()
                known = listed.identify(source, *pixels.shape[:2]) if listed else source
            except ValueError as error:
                line = " ".join(str(error).split())
                print(f"instancefcn propose: error: {line}", file=sys.stderr)
                continue
            yield Prediction.of(known, pixels, predictor(pixels))


def _with_progress(steps: Iterable[T], total: int) -> Iterable[T]:
    """With a bar if someone watches and there is something to wait for."""
    console = Console(stderr=True)
    if total == 1 or not console.is_terminal:
        return steps
    return track(steps, "proposing", total, console=console)
