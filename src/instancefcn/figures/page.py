"""Sections of panels, one below the other, as a figure: layout and nothing else."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from instancefcn.core.extras import extra

with extra("plot"):
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


INK, WORDS = "#222222", "#666666"
DPI = 150
MARGIN, GAP, TITLE, LINE = 0.25, 0.1, 0.22, 0.15  # inch, as all sizes here
HEADING, AFTER = 0.24, 0.22  # a section's heading, and the room after the section
CHARACTERS = 16.5  # of running text, an inch


@dataclass(frozen=True)
class Panel:
    """A title, and what draws into the panel's axes."""

    title: str
    draw: Callable[[Axes], None]


@dataclass(frozen=True)
class Section:
    """Panels of width x height inches in rows of so many columns, under a heading and words."""

    heading: str
    words: str
    panels: Sequence[Panel]
    columns: int
    width: float
    height: float


def panel_width(page: float, columns: int) -> float:
    """Of panels that fill a page, whose width and the result are in inches, margins included."""
    return (page - 2 * MARGIN + GAP) / columns - GAP


def lay_out(width: float, sections: Sequence[Section]) -> Figure:
    """A figure ``width`` inches wide and as high as its sections. Rows are centred."""
    tops, height = [], MARGIN
    for section in sections:
        tops.append(height)
        height += _height(section, width)
    figure = Figure((width, height - AFTER + MARGIN), dpi=DPI)
    for section, top in zip(sections, tops, strict=True):
        _write(figure, section, top)
        for index, panel in enumerate(section.panels):
            axes = figure.add_axes(_place(figure, section, top, index))
            _style(axes, panel.title)
            panel.draw(axes)
    return figure


def _words(section: Section, width: float) -> list[str]:
    return textwrap.wrap(section.words, round((width - 2 * MARGIN) * CHARACTERS))


def _height(section: Section, width: float) -> float:
    rows = -(-len(section.panels) // section.columns)
    return _start(section, width) + rows * (TITLE + section.height + GAP) + AFTER


def _start(section: Section, width: float) -> float:
    """From a section's top to its first row."""
    return HEADING + LINE * len(_words(section, width)) + GAP / 2


def _write(figure: Figure, section: Section, top: float) -> None:
    width, height = figure.get_size_inches()
    x = MARGIN / width
    figure.text(x, 1 - top / height, section.heading, size=11, weight="bold", color=INK, va="top")
    y = 1 - (top + HEADING) / height
    words = "\n".join(_words(section, width))
    figure.text(x, y, words, size=8, color=WORDS, va="top", linespacing=1.3)


def _place(
    figure: Figure, section: Section, top: float, index: int
) -> tuple[float, float, float, float]:
    """Of a panel: left, bottom, width and height as shares of the figure."""
    width, height = figure.get_size_inches()
    row, column = divmod(index, section.columns)
    columns = min(section.columns, len(section.panels))
    first = (width - columns * (section.width + GAP) + GAP) / 2
    left = first + column * (section.width + GAP)
    bottom = top + _start(section, width) + (row + 1) * (TITLE + section.height) + row * GAP
    return left / width, 1 - bottom / height, section.width / width, section.height / height


def _style(axes: Axes, title: str) -> None:
    axes.set_title(title, loc="left", size=8, color=INK, pad=3)
    axes.set(xticks=[], yticks=[], facecolor="#f2f2f2")
    axes.spines[:].set_visible(False)
