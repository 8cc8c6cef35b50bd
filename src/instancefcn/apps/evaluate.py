"""``instancefcn evaluate DATASET``: mask AR of a model, or of any method's results."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Sequence
from importlib import import_module
from pathlib import Path

from rich.console import Console
from rich.progress import track

from instancefcn.apps.dataset_arguments import add_dataset_arguments, named_dataset
from instancefcn.apps.numbers import count
from instancefcn.core.files import whole_file
from instancefcn.core.types import AnnotatedImage, Rle
from instancefcn.data.dataset import Dataset
from instancefcn.evaluation.recall import (
    RecallReport,
    evaluate_recall,
    match,
    summarize,
)
from instancefcn.evaluation.report import (
    Reports,
    average_table,
    recall_table,
    to_json,
    to_markdown,
    to_rich,
)
from instancefcn.formats.coco.results import read_results
from instancefcn.inference.predictor import Predictor


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_dataset_arguments(parser)
    parser.add_argument(
        "--model",
        action="append",
        default=[],
        help='a name or a file, more than once to compare; "general" if nothing is named',
    )
    parser.add_argument(
        "--results",
        action="append",
        default=[],
        type=Path,
        help="measure these COCO results, or this COCO data set with scores, too",
    )
    parser.add_argument("--sides", type=count, nargs="+", help="the shorter sides models look at")
    parser.add_argument("--limit", type=count, help="only the first so many images")
    parser.add_argument(
        "--output", type=Path, help="a folder for recall.json, recall.md and recall.png"
    )


def run(arguments: argparse.Namespace) -> int:
    dataset = named_dataset(arguments)
    if arguments.output:  # what fails fails now, not after an hour
        import_module("instancefcn.evaluation.plots")
        arguments.output.mkdir(parents=True, exist_ok=True)
    number = min(arguments.limit or len(dataset), len(dataset))
    models = arguments.model or ([] if arguments.results else ["general"])
    names = method_names([*map(Path, models), *arguments.results])
    reports: dict[str, RecallReport] = {}
    for model in models:
        predictor = Predictor.from_pretrained(model, arguments.sides)
        reports[names[Path(model)]] = measure(predictor, dataset, number)
    images = [dataset[i] for i in range(len(dataset))] if arguments.results else []
    for path in arguments.results:
        results = read_results(path, images)
        reports[names[path]] = evaluate_recall(images[:number], results)
    console = Console()
    for table in (average_table(reports, dataset.name), recall_table(reports, dataset.name)):
        console.print(to_rich(table))
    if arguments.output:
        write(arguments.output, reports, dataset.name)
        console.print(f"recall.json, recall.md and recall.png are in {arguments.output}")
    return 0


def method_names(paths: Sequence[Path]) -> dict[Path, str]:
    """What tables call these files: their stems, or the whole paths where stems are the same."""
    stems = [path.stem for path in dict.fromkeys(paths)]
    return {p: p.stem if stems.count(p.stem) == 1 else str(p) for p in paths}


def write(folder: Path, reports: Reports, data: str) -> None:
    """All figures as JSON, both tables as Markdown, recall against IoU as a picture."""
    from instancefcn.evaluation.plots import plot_recall  # noqa: PLC0415

    with whole_file(folder / "recall.json") as file:
        file.write(json.dumps(to_json(reports, data), indent=1).encode())
    tables = (average_table(reports, data), recall_table(reports, data))
    with whole_file(folder / "recall.md") as file:
        file.write("\n".join(map(to_markdown, tables)).encode())
    plot_recall(folder / "recall.png", reports, data)


def measure(predictor: Predictor, dataset: Dataset, images: int) -> RecallReport:
    """Recall of a model's proposals on the first so many images of a data set."""
    return summarize(match(image, masks) for image, masks in find(predictor, dataset, images))


def find(
    predictor: Predictor, dataset: Dataset, images: int
) -> Iterator[tuple[AnnotatedImage, list[Rle]]]:
    """The first so many images of a data set, each with a model's masks on it, best first."""
    number = min(images, len(dataset))
    bar = track(range(number), f"evaluating on {dataset.name}", console=Console(stderr=True))
    for index in bar:
        image = dataset[index]
        yield image, list(predictor(image.path).masks())
