"""``instancefcn evaluate --data PATH``: how good masks are, a model's or any method's results.

Mask AR of all; mAP^r and COCO's AP of those that have labels.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from importlib import import_module
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any

from rich.console import Console

from instancefcn.apps.dataset_arguments import add_dataset_arguments, named_dataset
from instancefcn.apps.device_arguments import add_batch_argument, add_device_argument
from instancefcn.apps.model_arguments import (
    add_labels_argument,
    add_trust_argument,
    trusted,
)
from instancefcn.apps.numbers import count
from instancefcn.core.errors import UserError
from instancefcn.core.files import whole_file, writing
from instancefcn.core.types import AnnotatedImage, ScoredMask
from instancefcn.core.words import counted
from instancefcn.data.checks import require_sound
from instancefcn.data.dataset import Dataset
from instancefcn.data.identity import recorded, union
from instancefcn.evaluation.comparing import Compared, compare_names, compare_results
from instancefcn.evaluation.measuring import (
    Chosen,
    LabelReport,
    Measured,
    choose,
    measure,
    measured,
    scored_masks,
)
from instancefcn.evaluation.precision_report import (
    category_table,
    precision_table,
    precision_to_json,
)
from instancefcn.evaluation.report import (
    Reports,
    Table,
    average_table,
    method_names,
    recall_table,
    to_json,
    to_markdown,
    to_rich,
)
from instancefcn.formats.coco.results import Results, named_categories, read_results
from instancefcn.inference.predictor import Predictor

Measure = Callable[[], Measured]
"""Of one method, when its turn comes."""


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
    add_labels_argument(parser)
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
        "--output",
        type=Path,
        help="a folder for recall.json, recall.md and recall.png; of masks with labels, for "
        "precision.json and precision.md too",
    )


def run(arguments: argparse.Namespace) -> int:
    dataset = named_dataset(arguments)
    models = arguments.model or ([] if arguments.results else ["general"])
    names = method_names([*map(Path, models), *arguments.results])
    # Whatever can be wrong is found now, and not after an hour.
    if models:
        for line in require_sound(dataset):
            print(line, file=sys.stderr)
    predictors = {model: opened(model, arguments) for model in models}
    if arguments.output:
        import_module("instancefcn.evaluation.plots")  # of an extra that may be missing
        require_writable(arguments.output)
    images = [dataset[i] for i in range(len(dataset))] if arguments.results else []
    results = {path: read_results(path, images, dataset.categories) for path in arguments.results}
    cards = {model: predictor.card for model, predictor in predictors.items()}
    chosen = choose_images(dataset, cards, arguments.limit, arguments.include_trained)
    judged = [images[i] for i in chosen.places] if images else []
    measures = {
        (name := names[Path(model)]): of_model(predictor, name, dataset, chosen.places)
        for model, predictor in predictors.items()
    }
    measures |= {
        (name := names[path]): of_results(path, found, name, dataset, judged)
        for path, found in results.items()
    }
    figures: dict[str, Measured] = {}
    label = chosen.label(dataset.name)
    for name, measured_by in measures.items():
        figures[name] = measured_by()
        if arguments.output:
            write(arguments.output, figures, label)
    tell(figures, label, arguments.output)
    return 0


def opened(model: str, arguments: argparse.Namespace) -> Predictor:
    """Raises UserError if the model cannot be used."""
    return Predictor.from_pretrained(
        model,
        arguments.sides,
        device=arguments.device,
        batch=arguments.batch,
        trust=trusted(arguments),
        labels=arguments.labels,
    )


def of_model(predictor: Predictor, name: str, dataset: Dataset, places: Sequence[int]) -> Measure:
    """What measures a model. Says what of its masks counts."""
    if predictor.labels:
        most = predictor.settings.labelling.top
        words = f"recall is of its labelled masks, at most {most:,} an image"
        print(f"{name}: {words}; --no-labels measures its masks alone", file=sys.stderr)
    compared = compare_names(predictor.categories, dataset)
    tell_compared(name, compared)

    def method(images: Iterable[Path]) -> Iterator[Sequence[ScoredMask]]:
        return (scored_masks(p, dataset.categories) for p in predictor.stream(images))

    return partial(measure, method, dataset, places, compared.categories)


def of_results(
    path: Path, results: Results, name: str, dataset: Dataset, images: Sequence[AnnotatedImage]
) -> Measure:
    """What measures results on some images of the data set. Says what of them counts."""
    compared = compare_results(named_categories(path), results, dataset)
    tell_compared(name, compared)
    tell_missing(name, sum(image.image_id not in results for image in images), len(images))
    found = ((image, results.get(image.image_id, ())) for image in images)
    return partial(measured, found, compared.categories)


def tell_compared(name: str, compared: Compared) -> None:
    for line in compared.words:
        print(f"{name}: {line}", file=sys.stderr)


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
    dataset: Dataset, cards: Mapping[str, Mapping[str, Any]], limit: int | None, included: bool
) -> Chosen:
    """The images to measure on: without those that one of the models, by its card, was trained on,
    unless they are ``included``. Says what was left out. Raises UserError if nothing is left.
    """
    known = {model: recorded(card, model) for model, card in cards.items()}
    for model, pictures in known.items():
        if pictures is None:
            print(
                f"{model}: its file does not say on which images it was trained; none is left out",
                file=sys.stderr,
            )
    chosen = choose(dataset, union([*known.values()]), limit or len(dataset), included)
    if chosen.trained and not included:
        if not chosen.places:
            raise UserError(
                f"{dataset.name}: a model was trained on all images of it ({chosen.trained:,}); "
                "measure on others, or give --include-trained"
            )
        words = f"left out {counted(chosen.trained, 'image')} that a model was trained on"
        print(f"{dataset.name}: {words}; --include-trained takes them in", file=sys.stderr)
    return chosen


def tell(figures: Mapping[str, Measured], data: str, output: Path | None) -> None:
    """Print the tables, and where the files are."""
    console = Console()
    tables = recall_tables(figures, data)
    files = "recall.json, recall.md and recall.png"
    if labels := labels_of(figures):
        tables = (*tables, precision_table(labels, data))
        files = f"{files}, precision.json and precision.md"
    for table in tables:
        console.print(to_rich(table))
    if output:
        console.print(f"{files} are in {output}")


def recall_tables(figures: Mapping[str, Measured], data: str) -> tuple[Table, ...]:
    reports = recall_of(figures)
    return average_table(reports, data), recall_table(reports, data)


def recall_of(figures: Mapping[str, Measured]) -> Reports:
    return {name: found.recall for name, found in figures.items()}


def labels_of(figures: Mapping[str, Measured]) -> dict[str, LabelReport]:
    """Of the methods whose masks have labels."""
    return {name: found.labels for name, found in figures.items() if found.labels}


def write(folder: Path, figures: Mapping[str, Measured], data: str) -> None:
    """All figures as JSON, the tables as Markdown, recall against IoU as a picture."""
    from instancefcn.evaluation.plots import plot_recall  # noqa: PLC0415  # of an extra

    with writing(folder):
        reports = recall_of(figures)
        write_figures(folder / "recall", to_json(reports, data), recall_tables(figures, data))
        plot_recall(folder / "recall.png", reports, data)
        if labels := labels_of(figures):
            by_category = (category_table(name, report, data) for name, report in labels.items())
            tables = (precision_table(labels, data), *by_category)
            write_figures(folder / "precision", precision_to_json(labels, data), tables)


def write_figures(stem: Path, figures: Mapping[str, object], tables: Sequence[Table]) -> None:
    with whole_file(stem.with_suffix(".json")) as file:
        file.write(json.dumps(figures, indent=1).encode())
    with whole_file(stem.with_suffix(".md")) as file:
        file.write("\n".join(map(to_markdown, tables)).encode())
