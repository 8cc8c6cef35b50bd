"""The second half of ``make accuracy``: labelled masks on VOC's development set, as mAP^r."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from statistics import median
from time import perf_counter

from rich.console import Console
from rich.progress import track

from dev_sets import VOC, DevSet, dev_sets
from instancefcn.core.errors import UserError
from instancefcn.core.types import AnnotatedImage, ScoredMask
from instancefcn.data.identity import recorded, union
from instancefcn.evaluation.measuring import Chosen, LabelReport, choose, measured, scored_masks
from instancefcn.evaluation.precision_report import category_table, precision_table
from instancefcn.evaluation.report import markdown_table, percent, to_markdown
from instancefcn.inference.predictor import Predictor
from results_page import (
    DATA,
    PAGE,
    ROOT,
    conditions,
    fingerprint,
    run_script,
    write_section,
)

PUBLISHED = (
    ("SDS (Hariharan et al. 2014)", 49.7, 25.3),
    ("Hypercolumn (Hariharan et al. 2015)", 60.0, 40.4),
    ("CFM (Dai et al. 2015)", 60.7, 39.6),
    ("MNC (Dai et al. 2016)", 63.5, 41.5),
    ("InstanceFCN (Dai et al. 2016)", 61.5, 43.0),
)
"""mAP^r at IoU 0.5 and 0.7 on VOC 2012 val: the InstanceFCN paper, section 4.1."""

PYRAMID = (192, 320, 512)
HEADER = ("method", "images", "mAP^r@0.5", "mAP^r@0.7", "s an image")


def main(argv: Sequence[str] | None = None) -> None:
    arguments = parse(argv)
    dev = dev_sets(arguments.data)[VOC]
    if not dev.folder.exists():
        raise UserError(f"{dev.folder}: not there; give the folder of the data sets with --data")
    own = Predictor.from_pretrained(arguments.model)
    known = recorded(own.card, arguments.model)
    chosen = choose(dev.dataset, union([known]), arguments.images or len(dev.dataset))
    label = chosen.label(dev.label)
    reports, rows = {}, []
    for name, predictor in predictors(arguments.model, own).items():
        reports[name], seconds = measure(predictor, dev, chosen, name)
        of = [percent(reports[name].sds.mean(iou)) for iou in (0.5, 0.7)]
        rows.append((name, label, *of, f"{seconds:.2f}"))
    published = [
        (f"{name}, published", "VOC 2012 val", f"{low:.1f}", f"{high:.1f}", "")
        for name, low, high in PUBLISHED
    ]
    stamp = conditions()
    first = next(iter(reports))
    text = "\n\n".join(
        [
            heading(arguments.model, stamp),
            to_markdown(precision_table(reports, label)).strip(),
            markdown_table(HEADER, [*rows, *published]),
            to_markdown(category_table(first, reports[first], label)).strip(),
        ]
    )
    write_section(arguments.page, "label-accuracy", text)
    summary = f"{markdown_table(HEADER, rows[:1])}\n\n`make accuracy`, {stamp}"
    for page in arguments.summaries:
        write_section(page, "labels", summary)
    print(text)


def parse(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    add = parser.add_argument
    add("--model", default="voc20", metavar="NAME|FILE", help="%(default)s")
    add("--data", type=Path, default=DATA, help="the folder of the data sets")
    add("--page", type=Path, default=PAGE, help="where the section goes")
    pages = [ROOT / "README.md", ROOT / "docs" / "weights.md"]
    add("--summaries", type=Path, nargs="*", default=pages, help="pages that get a short table")
    add("--images", type=int, help="only the first so many")
    return parser.parse_args(argv)


def predictors(model: str, own: Predictor) -> dict[str, Predictor]:
    """The model as it is meant to be used, and what other settings give."""
    sides = " ".join(map(str, own.settings.sides))
    several = Predictor(own.engine, replace(own.settings, sides=PYRAMID))
    return {
        f"{model}, {sides}": own,
        f"{model}, {sides}, masks vote": own.with_labelling(voting=0.5),
        f"{model}, {' '.join(map(str, PYRAMID))}": several,
    }


def heading(model: str, stamp: str) -> str:
    return f"""## Accuracy of labels

`make accuracy`, {stamp} Model: {fingerprint(model)}.

Settings were chosen on this set. The model was trained on none of its images. The numbers after
the model's name are the shorter sides at which it sees an image. Seconds an image are medians,
from the file to the masks' RLE. Published rows are of VGG-16, of other images and of official
masks: they say where the field stood, and cannot be compared to a point."""


def measure(
    predictor: Predictor, dev: DevSet, chosen: Chosen, name: str
) -> tuple[LabelReport, float]:
    """Precision of a model's labelled masks, and the median of the seconds that an image took."""
    seconds: list[float] = []

    def found() -> Iterator[tuple[AnnotatedImage, list[ScoredMask]]]:
        for place in track(chosen.places, name, console=Console(stderr=True)):
            image = dev.dataset[place]
            start = perf_counter()
            proposals = predictor(image.path)
            proposals.masks()
            seconds.append(perf_counter() - start)
            yield image, scored_masks(proposals, dev.dataset.categories)

    report = measured(found(), dev.dataset.categories).labels
    assert report is not None
    return report, median(seconds)


if __name__ == "__main__":
    run_script(main)
