"""Recall, drawn. ``data`` names data set and split in every title."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from instancefcn.core.extras import extra
from instancefcn.core.files import whole_file
from instancefcn.evaluation.recall import IOUS
from instancefcn.evaluation.report import DEFINITIONS, Reports, describe, percent

with extra("plot"):
    import matplotlib
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.textpath import TextPath

INK, GREY, LIGHT = "#222222", "#666666", "#e3e3e3"
# Okabe and Ito's colours, which the colour-blind can tell apart too; grey for their yellow.
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000", "#999999")
STYLES = ("-", "--", ":")  # the next one where colours begin again
SHADES = matplotlib.colormaps["Blues"]
HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 4.7, 0.65, 0.25, 1.2, 0.55  # of a figure and its margins, inch
NAMES = 0.7  # of a column of methods' names, all but their letters, inch
SIZE = 8.5  # of letters, points
LEGEND: dict[str, Any] = {
    "fontsize": SIZE,
    "labelcolor": INK,
    "handlelength": 2.0,
    "edgecolor": "none",
    "framealpha": 0.9,
}


def plot_recall(path: Path, reports: Reports, data: str, order: Sequence[str] = ()) -> None:
    """Write a PNG of recall at each IoU.

    Of one method, a line for each number of proposals; of several, a panel for each number and in
    it a line for each method. ``order`` names all methods of several pictures, in each of which
    a method then has the same line.
    """
    if len(reports) == 1:
        figure = _recall_of_one(reports, data)
    else:
        figure = _recall_of_several(reports, data, order or list(reports))
    _save(figure, path)


def plot_average(path: Path, reports: Reports, data: str, order: Sequence[str] = ()) -> None:
    """Write a PNG of AR against the number of proposals, a line for each method.

    The reports should hold many numbers, e.g. 1, 2, 5, 10 .. 1000. order: see ``plot_recall``.
    """
    order = order or list(reports)
    width = 6.2 + _beside(reports)
    figure, (axes,) = _figure(1, width, "Average recall of object masks", reports, data)
    for method, report in reports.items():
        averages = [100 * report.average(count) for count in report.counts]
        axes.plot(report.counts, averages, lw=2, **line(order.index(method)))
    axes.set(xscale="log", xlabel="proposals an image")
    axes.set_xlim(min(report.counts), max(report.counts))
    axes.xaxis.set_major_formatter("{x:,.0f}")
    axes.tick_params(which="minor", length=0)
    ends = (report.average(max(report.counts)) for report in reports.values())
    highest = max(filter(math.isfinite, ends), default=1.0)  # NaN: there are no objects
    axes.set_ylim(0, min(100, 10 * math.ceil(10 * highest + 0.5)))
    _name_lines(figure, axes, list(reports))
    _save(figure, path)


def _recall_of_one(reports: Reports, data: str) -> Figure:
    ((method, report),) = reports.items()
    figure, (axes,) = _figure(1, 6.4, f"Recall of object masks: {method}", reports, data)
    for i, count in enumerate(report.counts):
        label = f"AR {percent(report.average(count))}   {count:,} proposals"
        shade = SHADES(0.4 + 0.6 * (i + 1) / len(report.counts))
        axes.plot(IOUS, 100 * report.at(count), color=shade, label=label, lw=2, clip_on=False)
    axes.set(xlim=(0.5, 1), xlabel="IoU")
    axes.legend(loc="lower left", reverse=True, **LEGEND)
    return figure


def _recall_of_several(reports: Reports, data: str, order: Sequence[str]) -> Figure:
    counts = next(iter(reports.values())).counts
    width = 3.4 * len(counts) + _beside(reports)
    figure, panels = _figure(len(counts), width, "Recall of object masks", reports, data)
    for axes, count in zip(panels, counts, strict=True):
        for method, report in reports.items():
            label = f"AR {percent(report.average(count))}"
            recall = 100 * report.at(count)
            style = line(order.index(method))
            axes.plot(IOUS, recall, label=label, lw=2, clip_on=False, **style)
        axes.set_title(f"{count:,} proposals", loc="left", fontsize=9, color=INK)
        axes.set(xlim=(0.5, 1), xlabel="IoU")
        axes.legend(loc="upper right", **LEGEND)  # recall falls: there is room
    _name_lines(figure, panels[-1], list(reports))
    return figure


def _name_lines(figure: Figure, axes: Axes, names: list[str]) -> None:
    """The methods' names, right of the last panel, where no line is."""
    place = axes.get_position()
    corner = (place.x1 + 0.1 / figure.get_figwidth(), place.y1)
    figure.legend(axes.lines, names, loc="upper left", bbox_to_anchor=corner, **LEGEND)


def _beside(reports: Reports) -> float:
    """Inches right of the last panel, enough for the longest name if there are several."""
    if len(reports) == 1:
        return RIGHT
    points = (TextPath((0, 0), name, SIZE).get_extents().width for name in reports)
    return NAMES + 1.03 * max(0.0, *points) / 72  # letters on whole pixels are a little wider


def _figure(
    panels: int, width: float, title: str, reports: Reports, data: str
) -> tuple[Figure, list[Axes]]:
    """Empty panels side by side under a title and a few words on data and protocol, and room for
    names at the right if there are several methods.
    """
    left, right = LEFT / width, 1 - _beside(reports) / width
    figure = Figure((width, HEIGHT), dpi=150)
    grid = figure.subplots(1, panels, sharey=True, squeeze=False)
    figure.subplots_adjust(left, BOTTOM / HEIGHT, right, 1 - TOP / HEIGHT, wspace=0.12)
    words = f"{describe(next(iter(reports.values())), data)} AR: {DEFINITIONS['coco']}."
    figure.text(left, 1 - 0.32 / HEIGHT, title, fontsize=12, weight="bold", color=INK)
    figure.text(
        left, 1 - 0.42 / HEIGHT, textwrap.fill(words, 96), fontsize=7.5, color=GREY, va="top"
    )
    for axes in grid[0]:
        _style(axes)
    return figure, list(grid[0])


def _style(axes: Axes) -> None:
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.spines["bottom"].set_color(GREY)
    axes.grid(color=LIGHT, linewidth=0.8)
    axes.set_axisbelow(True)
    axes.tick_params(length=0, labelsize=8.5, labelcolor=GREY)
    axes.xaxis.label.set(color=GREY, fontsize=9)
    axes.set_ylim(0, 100)
    axes.yaxis.set_major_formatter("{x:.0f} %")


def line(index: int) -> dict[str, Any]:
    """Colour and style of the line of a method; those of the first 24 are all different."""
    again, colour = divmod(index, len(COLOURS))
    return {"color": COLOURS[colour], "linestyle": STYLES[again % len(STYLES)]}


def _save(figure: Figure, path: Path) -> None:
    with whole_file(path) as file:
        figure.savefig(file, format="png")
