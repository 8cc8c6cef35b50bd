"""``make accuracy``: mask AR on the development sets, in one pass and at the model's own sides."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from statistics import median
from time import perf_counter

from rich.console import Console
from rich.progress import track

from dev_sets import COCO, PEDESTRIANS, VOC, DevSet, dev_sets
from instancefcn.core.types import AnnotatedImage
from instancefcn.data.dataset import Dataset, Problem
from instancefcn.data.identity import Thumbnails, recorded, union
from instancefcn.evaluation.measuring import Chosen, choose
from instancefcn.evaluation.recall import RecallReport, match, summarize
from instancefcn.evaluation.report import average_table, markdown_table, method_names, to_markdown
from instancefcn.inference.predictor import Predictor
from results_page import (
    DATA,
    ROOT,
    add_arguments,
    conditions,
    fingerprint,
    run_script,
    write_section,
)


def main(argv: Sequence[str] | None = None) -> None:
    arguments = parse(argv)
    (name,) = method_names([Path(arguments.model)]).values()
    own = Predictor.from_pretrained(arguments.model)
    known = recorded(own.card, arguments.model)
    predictors = {
        f"{name}, {' '.join(map(str, predictor.settings.sides))}": predictor
        for predictor in (Predictor.from_pretrained(arguments.model, [arguments.side]), own)
    }
    tables, rows, left_out = [], [], False
    every = dev_sets(arguments.data)
    voc = every[VOC]
    as_above = "the same VOC images, void counted as background"
    without = DevSet(voc.folder, WithoutVoid(voc.dataset), as_above)
    for of in (voc, every[COCO], every[PEDESTRIANS], without):
        folder, dataset, label = of.folder, of.dataset, of.label
        if not folder.exists():
            tables.append(f"**{label}**: not measured: its images are not here.\n")
            print(f"accuracy.py: {label}: {folder} is not there, left out", file=sys.stderr)
            continue
        chosen = choose(dataset, union([known]), arguments.images or len(dataset))
        left_out |= chosen.trained > 0
        if not chosen.places:
            tables.append(f"**{label}**: not measured, the model was trained on its images.\n")
            continue
        label = chosen.label(label)
        measures = {name: recall(p, dataset, chosen, name) for name, p in predictors.items()}
        tables.append(table(measures, label))
        if of is not without:  # that one is for the page alone
            rows += [row(name, measure, label) for name, measure in measures.items()]
    stamp = conditions()  # before a page is written: that would count as a change
    text = "\n".join([heading(arguments.model, stamp, known, left_out), *tables])
    write_section(arguments.page, "accuracy", text)
    for page in arguments.summaries:
        summary = f"{markdown_table(SUMMARY, rows)}\n\n`make accuracy`, {stamp}"
        write_section(page, "results", summary)
    print(text)


SUMMARY = ("data", "model and its shorter sides", "AR@10", "AR@100", "AR@1000", "s an image")
Measure = tuple[RecallReport, float]
"""Recall, and the median of the seconds that an image's proposals took."""


def row(name: str, measure: Measure, label: str) -> tuple[str, ...]:
    """A line of the summary."""
    report, seconds = measure
    averages = [f"{100 * report.average(count):.1f}" for count in report.counts]
    return (label, name, *averages, f"{seconds:.2f}")


def parse(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    add_arguments(parser)
    parser.add_argument("--data", type=Path, default=DATA, help="the folder of the data sets")
    parser.add_argument(
        "--summaries",
        type=Path,
        nargs="*",
        default=[ROOT / "README.md", ROOT / "docs" / "weights.md"],
        help="pages that get a short table (README.md and the model card)",
    )
    parser.add_argument("--images", type=int, help="only the first so many of each data set")
    return parser.parse_args(argv)


class WithoutVoid:
    """A data set whose void pixels count as background, as a COCO file made of VOC has them."""

    def __init__(self, dataset: Dataset) -> None:
        self.dataset = dataset
        self.name = f"{dataset.name} without void"
        self.categories = dataset.categories

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitem__(self, index: int) -> AnnotatedImage:
        return replace(self.dataset[index], void=None)

    def problems(self, decode: bool = False) -> Iterator[Problem]:
        return self.dataset.problems(decode)


def heading(model: str, stamp: str, known: Thumbnails | None, left_out: bool) -> str:
    return f"""
## Accuracy

`make accuracy`, {stamp} Model: {fingerprint(model)}.

Settings were chosen on these sets.
{trained_words(known, left_out)}
The numbers after a model's name are the shorter sides at which it sees an image. Seconds an image
are medians, from the file to the masks' RLE.
"""


def trained_words(known: Thumbnails | None, left_out: bool) -> str:
    """What the model's file says of the images measured on."""
    if known is None:
        return "The model's file does not say on which images it was trained."
    listed = f"the {len(known):,} pictures that the model's file lists as trained on"
    if left_out:
        return f"Images were left out where a table says so: they are among {listed}."
    return f"None of their images is among {listed}."


def table(measures: dict[str, Measure], label: str) -> str:
    """The table of a data set."""
    averages = average_table({name: report for name, (report, _) in measures.items()}, label)
    seconds = "; ".join(f"{name}: {seconds:.2f}" for name, (_, seconds) in measures.items())
    return f"{to_markdown(averages)}\nSeconds an image: {seconds}.\n"


def recall(predictor: Predictor, dataset: Dataset, chosen: Chosen, name: str) -> Measure:
    """Recall on these images."""
    matches, seconds = [], []
    bar = track(chosen.places, f"{dataset.name}: {name}", console=Console(stderr=True))
    for index in bar:
        image = dataset[index]
        start = perf_counter()
        masks = predictor(image.path).masks()
        seconds.append(perf_counter() - start)
        matches.append(match(image, masks))
    return summarize(matches), median(seconds)


if __name__ == "__main__":
    run_script(main)
