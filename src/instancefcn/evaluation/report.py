"""How recall is reported: tables for the terminal and for Markdown, and JSON.

Each says what was measured, on which data, and by which definition of AR.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, groupby, repeat
from operator import itemgetter
from pathlib import Path

import rich.box
import rich.table
from rich.text import Text

from instancefcn.evaluation.recall import AREAS, IOUS, Definition, RecallReport

DEFINITIONS: dict[Definition, str] = {
    "coco": "mean recall over IoU 0.50:0.05:0.95 (COCO)",
    "area": "twice the area under recall over IoU 0.5 to 1 (Hosang et al.)",
}

Reports = Mapping[str, RecallReport]
"""By method. All of the same images."""


@dataclass(frozen=True)
class Table:
    """Cells as text; the first column names the method."""

    title: str
    caption: str
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


def method_names(paths: Sequence[Path]) -> dict[Path, str]:
    """What tables call these files: a run's model by its folder, others by their stems; by their
    whole paths those that would be called the same.
    """
    short = {
        path: path.absolute().parent.name if path.stem == "model" else path.stem for path in paths
    }
    names = list(short.values())
    return {p: name if names.count(name) == 1 else str(p) for p, name in short.items()}


def average_table(reports: Reports, data: str) -> Table:
    """AR in percent, by method and number of proposals; ``data`` names data set and split."""
    first = next(iter(reports.values()))
    rows = [
        (
            method,
            f"{count:,}",
            *(percent(report.average(count, area)) for area in AREAS),
            percent(report.average(count, definition="area")),
        )
        for method, report in reports.items()
        for count in report.counts
    ]
    return Table(
        title="Mask AR@N in percent, class-agnostic",
        caption=(
            f"{describe(first, data)} AR: {DEFINITIONS['coco']}, of all objects and of the small, "
            f"medium and large ones (up to 32^2, up to 96^2, and more pixels). "
            f"AR-area: {DEFINITIONS['area']}."
        ),
        header=("method", "N", "AR", "small", "medium", "large", "AR-area"),
        rows=tuple(rows),
    )


def recall_table(reports: Reports, data: str) -> Table:
    """Recall in percent at each IoU, by method and number of proposals."""
    rows = [
        (method, f"{count:,}", *map(percent, report.at(count).tolist()))
        for method, report in reports.items()
        for count in report.counts
    ]
    return Table(
        title="Recall of masks in percent at each IoU, class-agnostic",
        caption=describe(next(iter(reports.values())), data),
        header=("method", "N", *(f"{iou:.2f}" for iou in IOUS)),
        rows=tuple(rows),
    )


def describe(report: RecallReport, data: str) -> str:
    """A sentence on the data and the protocol."""
    sizes = ", ".join(f"{report.objects[area]:,} {area}" for area in list(AREAS)[1:])
    ignored = "crowds and void pixels count as nothing" if report.void else "crowds do not count"
    return (
        f"{data}: {report.images:,} images, {report.objects['all']:,} objects ({sizes}); "
        f"{ignored}. Of each image the first N masks count."
    )


def to_rich(table: Table) -> rich.table.Table:
    """For the terminal; 80 columns wide if names are short. A method is named once."""
    drawn = rich.table.Table(
        title=Text(table.title),
        caption=Text(table.caption),
        title_justify="left",
        caption_justify="left",
        box=rich.box.SIMPLE_HEAD,
        padding=0 if len(table.header) > 10 else (0, 1),
        collapse_padding=True,
        pad_edge=False,
    )
    for i, name in enumerate(table.header):
        drawn.add_column(name, justify="right" if i else "left", no_wrap=i > 0)
    for method, rows in groupby(table.rows, key=itemgetter(0)):
        for name, row in zip(chain([method], repeat("")), rows, strict=False):
            drawn.add_row(Text(name), *row[1:])
        drawn.add_section()
    return drawn


def to_markdown(table: Table) -> str:
    """A GitHub table between its title and its caption."""
    cells = markdown_table(table.header, table.rows)
    return "\n".join([f"**{table.title}**", "", cells, "", table.caption, ""])


def markdown_table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A GitHub table; all columns but the first hold figures."""
    alignment = ["---"] + ["---:"] * (len(header) - 1)
    lines = (header, alignment, *rows)
    return "\n".join(
        "| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines
    )


def to_json(reports: Reports, data: str) -> dict[str, object]:
    """All figures, as fractions; null where there is no object of that size.

    "recall" has a value for each of "ious".
    """
    report = next(iter(reports.values()))
    return {
        "data": data,
        "images": report.images,
        "objects": report.objects,
        "void_left_out": report.void,
        "class_agnostic": True,
        "definitions": {"AR": DEFINITIONS["coco"], "AR-area": DEFINITIONS["area"]},
        "ious": [round(iou, 2) for iou in IOUS.tolist()],
        "methods": {method: _figures(report) for method, report in reports.items()},
    }


def _figures(report: RecallReport) -> list[dict[str, object]]:
    return [
        {
            "proposals": count,
            "AR": {area: or_none(report.average(count, area)) for area in AREAS},
            "AR-area": {area: or_none(report.average(count, area, "area")) for area in AREAS},
            "recall": {area: list(map(or_none, report.at(count, area).tolist())) for area in AREAS},
        }
        for count in report.counts
    ]


def percent(value: float) -> str:
    """A fraction as text; a dash for nan."""
    return "-" if math.isnan(value) else f"{100 * value:.1f}"


def or_none(value: float) -> float | None:
    """A fraction for JSON; null for nan."""
    return None if math.isnan(value) else value
