"""The whole system in one picture: a photo, score maps, proposals, labelled instances."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from instancefcn.core.drawing import paste
from instancefcn.core.errors import UserError
from instancefcn.core.extras import extra
from instancefcn.core.files import whole_file
from instancefcn.core.proposals import Proposals
from instancefcn.figures.page import Panel, Section, lay_out, panel_width
from instancefcn.figures.panels import (
    Photo,
    draw_boxes,
    draw_edge,
    draw_map,
    draw_photo,
    look_around,
)
from instancefcn.figures.picture import draw_scale
from instancefcn.figures.separation import Separation, parts_of_levels, separate
from instancefcn.formats.overlay import draw as draw_labels
from instancefcn.formats.overlay import resized
from instancefcn.inference.predictor import Predictor

with extra("plot"):
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.patheffects import withStroke

PAGE = 32 / 3  # inch
"""Wide, as the pictures of score maps at most are."""

FLATTEST, TALLEST = 0.25, 1.0  # a panel, height to width
SHOWN = 3  # x 3 proposals
GUTTER = 0.012  # between small pictures, of a panel

WORDS = (
    "Each score map answers at every pixel whether this is its part of an object. A window copies "
    "each part from its own map: together they are the mask of one object. The best masks are the "
    "proposals. A labeller looks at the features under each of them, which are computed already, "
    "and says what the mask shows, or that it shows nothing."
)


@dataclass(frozen=True)
class System:
    """What a model does with one photo (H, W, 3) uint8 RGB.

    separation: score maps of one level, and a few of its windows. proposals: the ranked masks as
    they are labelled, not labelled yet. labelled: the same with labels.
    """

    pixels: NDArray[np.uint8]
    separation: Separation
    proposals: Proposals
    labelled: Proposals


def look_through(predictor: Predictor, name: str, pixels: NDArray[np.uint8]) -> System:
    """All steps of a predictor with a labeller; ``name`` is for messages.

    Raises UserError if it has no labeller, or if its masks are not assembled from score maps.
    """
    if not predictor.labels:
        raise UserError(f"{name}: it has no labeller; give a model that labels masks, e.g. voc20")
    unlabelled = Predictor(predictor.engine, predictor.settings, labels=False)
    ks, labelled = parts_of_levels(predictor, name), predictor(pixels)
    separation = separate(unlabelled, ks, pixels, level_to_show(labelled))
    return System(pixels, separation, unlabelled(pixels), labelled)


def level_to_show(proposals: Proposals) -> int | None:
    """The level, from 1, of the best mask whose window is no larger than the photo's shorter side,
    so that its parts are seen; None if there is none.
    """
    sides = proposals.windows[:, 2] - proposals.windows[:, 0]
    fitting = proposals.level[sides <= min(proposals.height, proposals.width)]
    return 1 + int(fitting[0]) if len(fitting) else None


def write_system(path: Path, system: System) -> None:
    """Write a PNG of what ``draw_system`` draws."""
    figure = draw_system(system)
    with whole_file(path) as file:
        figure.savefig(file, format="png")


def draw_system(system: System) -> Figure:
    """Four panels, in the order of the work."""
    photo = Photo.of(system.pixels)
    k = system.separation.maps.k
    drawn = {
        "1  photo and a few windows": _windows,
        f"2  {k} x {k} instance-sensitive score maps": _maps,
        "3  proposals, the best first, with their scores": _proposals,
        "4  labelled instances, with their scores": _labelled,
    }
    steps = [Panel(of, partial(draw, system=system, photo=photo)) for of, draw in drawn.items()]
    width = panel_width(PAGE, 2)
    height = width * min(max(photo.height / photo.width, FLATTEST), TALLEST)
    section = Section("From a photo to labelled instances", WORDS, steps, 2, width, height)
    figure = lay_out(PAGE, [section])
    draw_scale(figure)
    return figure


def _windows(axes: Axes, system: System, photo: Photo) -> None:
    windows = system.separation.proposals.windows
    draw_photo(axes, photo)
    draw_boxes(axes, windows, 2)
    look_around(axes, photo, windows)


def _maps(axes: Axes, system: System, photo: Photo) -> None:
    """All maps, each with what the windows copy from it."""
    maps, boxes = system.separation.maps, system.separation.part_boxes()
    for index, small in enumerate(_small(axes, maps.k)):
        i, j = divmod(index, maps.k)
        draw_map(small, photo, maps, i, j)
        draw_boxes(small, boxes[i, j], 0.8)


def _proposals(axes: Axes, system: System, photo: Photo) -> None:
    """The photo lit where the mask is, with the score."""
    height, width = photo.pixels.shape[:2]
    shown = resized(system.proposals[: SHOWN**2], width, height)
    dim = photo.dim()
    for small, logits, window, score in zip(
        _small(axes, SHOWN), shown.logits, shown.windows, shown.scores.tolist(), strict=False
    ):
        mask = paste(logits, window, height, width)
        lit = np.where(np.asarray(mask)[..., None], photo.pixels, dim.pixels)
        draw_photo(small, Photo(lit, photo.width, photo.height))
        draw_edge(small, photo, np.asarray(mask), "white", 0.8)
        _write(small, f"{score:.2f}")


def _labelled(axes: Axes, system: System, photo: Photo) -> None:
    picture = draw_labels(system.pixels, system.labelled)
    draw_photo(axes, Photo(picture, photo.width, photo.height))


def _small(axes: Axes, count: int) -> Iterator[Axes]:
    """Small axes in count x count, rows first, that fill the panel's."""
    axes.set(facecolor="none")
    side = (1 + GUTTER) / count - GUTTER
    for index in range(count**2):
        row, column = divmod(index, count)
        x, y = column * (side + GUTTER), 1 - side - row * (side + GUTTER)
        small = axes.inset_axes((x, y, side, side))
        small.set(xticks=[], yticks=[])
        small.spines[:].set_visible(False)
        yield small


def _write(axes: Axes, text: str) -> None:
    """Into the lower left corner, set off by a shadow."""
    words = axes.text(0.03, 0.04, text, size=7, color="white", transform=axes.transAxes)
    words.set_path_effects([withStroke(linewidth=2, foreground="black")])
