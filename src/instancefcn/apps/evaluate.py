"""``instancefcn evaluate --data PATH``: mask AR of a model, or of any method's results."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from functools import partial
from importlib import import_module
from pathlib import Path
from tempfile import TemporaryFile

from rich.console import Console

from instancefcn.apps.dataset_arguments import add_dataset_arguments, named_dataset
from instancefcn.apps.device_arguments import add_batch_argument, add_device_argument
from instancefcn.apps.model_arguments import add_trust_argument, trusted
from instancefcn.apps.numbers import count
from instancefcn.core.errors import UserError
from instancefcn.core.files import whole_file, writing
from instancefcn.core.words import counted
from instancefcn.data.checks import require_sound
from instancefcn.data.dataset import Dataset
from instancefcn.data.identity import recorded, union
from instancefcn.evaluation.measuring import Chosen, Method, choose, measure
from instancefcn.evaluation.recall import RecallReport, evaluate_recall
from instancefcn.evaluation.report import (
    Reports,
    average_table,
    method_names,
    recall_table,
    to_json,
    to_markdown,
    to_rich,
)
from instancefcn.formats.coco.results import read_results
from instancefcn.inference.predictor import Predictor
from instancefcn.network.models import read_card


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
    add_trust_argument(parser)
    parser.add_argument("--sides", type=count, nargs="+", help="the shorter sides models look at")
    add_device_argument(parser)
    add_batch_argument(parser)
    parser.add_argument("--limit", type=count, help="only the first so many images")
    parser.add_argument(
        "--include-trained",
        action="store_true",
        help="measure on images that a model was trained on too; they are left out else",
    )
    parser.add_argument(
        "--output", type=Path, help="a folder for recall.json, recall.md and recall.png"
    )


def run(arguments: argparse.Namespace) -> int:
    dataset = named_dataset(arguments)
    models = arguments.model or ([] if arguments.results else ["general"])
    names = method_names([*map(Path, models), *arguments.results])
    # Whatever can be wrong is found now, and not after an hour.
    if models:
        for line in require_sound(dataset):
            print(line, file=sys.stderr)
    methods = {names[Path(model)]: model_method(model, arguments) for model in models}
    if arguments.output:
        import_module("instancefcn.evaluation.plots")  # of an extra that may be missing
        require_writable(arguments.output)
    images = [dataset[i] for i in range(len(dataset))] if arguments.results else []
    results = {names[path]: read_results(path, images) for path in arguments.results}
    chosen = choose_images(dataset, models, arguments.limit, arguments.include_trained)
    judged = [images[i] for i in chosen.places] if images else []
    for name, found in results.items():
        tell_missing(name, sum(image.image_id not in found for image in judged), len(judged))
    measures: dict[str, Callable[[], RecallReport]] = {
        **{name: partial(measure, m, dataset, chosen.places) for name, m in methods.items()},
        **{name: partial(evaluate_recall, judged, found) for name, found in results.items()},
    }
    reports: dict[str, RecallReport] = {}
    label = chosen.label(dataset.name)
    for name, measured in measures.items():
        reports[name] = measured()
        if arguments.output:
            write(arguments.output, reports, label)
    tell(reports, label, arguments.output)
    return 0


def model_method(model: str, arguments: argparse.Namespace) -> Method:
    """What a model finds. Raises UserError if it cannot be used."""
    return Predictor.from_pretrained(
        model,
        arguments.sides,
        device=arguments.device,
        batch=arguments.batch,
        trust=trusted(arguments),
    ).masks


def tell_missing(name: str, without: int, number: int) -> None:
    if without:
        words = f"no result of {without:,} of {counted(number, 'image')}; their objects are missed"
        print(f"{name}: {words}", file=sys.stderr)


def require_writable(folder: Path) -> None:
    """Make the folder. Raises UserError if nothing can be written there."""
    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
        with TemporaryFile(dir=folder):
            pass


def choose_images(
    dataset: Dataset, models: Sequence[str], limit: int | None, included: bool
) -> Chosen:
    """The images to measure on: without those that one of the models was trained on, unless they
    are ``included``. Says what was left out. Raises UserError if nothing is left.
    """
    known = [recorded(read_card(model), model) for model in models]
    for model, pictures in zip(models, known, strict=True):
        if pictures is None:
            print(
                f"{model}: its file does not say on which images it was trained; none is left out",
                file=sys.stderr,
            )
    chosen = choose(dataset, union(known), limit or len(dataset), included)
    if chosen.trained and not included:
        if not chosen.places:
            raise UserError(
                f"{dataset.name}: a model was trained on all images of it ({chosen.trained:,}); "
                "measure on others, or give --include-trained"
            )
        words = f"left out {counted(chosen.trained, 'image')} that a model was trained on"
        print(f"{dataset.name}: {words}; --include-trained takes them in", file=sys.stderr)
    return chosen


def tell(reports: Reports, data: str, output: Path | None) -> None:
    """Print both tables, and where the files are."""
    console = Console()
    for table in (average_table(reports, data), recall_table(reports, data)):
        console.print(to_rich(table))
    if output:
        console.print(f"recall.json, recall.md and recall.png are in {output}")


def write(folder: Path, reports: Reports, data: str) -> None:
    """All figures as JSON, both tables as Markdown, recall against IoU as a picture."""
    from instancefcn.evaluation.plots import plot_recall  # noqa: PLC0415  # of an extra

    with writing(folder):
        with whole_file(folder / "recall.json") as file:
            file.write(json.dumps(to_json(reports, data), indent=1).encode())
        tables = (average_table(reports, data), recall_table(reports, data))
        with whole_file(folder / "recall.md") as file:
            file.write("\n".join(map(to_markdown, tables)).encode())
        plot_recall(folder / "recall.png", reports, data)
