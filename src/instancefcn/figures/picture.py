"""A picture of how score maps separate an image's objects, for people new to score maps."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path

from instancefcn.core.extras import extra
from instancefcn.core.files import whole_file
from instancefcn.figures.page import MARGIN, WORDS, Panel, Section, lay_out, panel_width
from instancefcn.figures.panels import (
    COLOURS,
    HEAT,
    LIMIT,
    SCALE,
    Photo,
    draw_borders,
    draw_boxes,
    draw_cells,
    draw_map,
    draw_masks,
    draw_outline,
    draw_photo,
    look_around,
    look_at,
)
from instancefcn.figures.separation import ScoreMaps, Separation

with extra("plot"):
    from matplotlib.axes import Axes
    from matplotlib.cm import ScalarMappable
    from matplotlib.figure import Figure

WIDEST, NARROWEST = 32 / 3, 8.0  # of the page, inch
GRID, PANEL = 8.0, 4.0  # the height of the grid, and of a panel above it, at most
FLATTEST = 0.25  # of a panel, height to width and width to height, for a panorama's sake
TITLED = 1.7  # how wide a panel is, the page permitting, for its title's sake
SQUARES = 6  # in a row

ROWS = {
    1: ("the whole",),
    2: ("top", "bottom"),
    3: ("top", "middle", "bottom"),
    5: ("top", "upper", "middle", "lower", "bottom"),
}
COLUMNS = {
    1: ("object",),
    2: ("left", "right"),
    3: ("left", "centre", "right"),
    5: ("left", "centre left", "centre", "centre right", "right"),
}


def write_picture(path: Path, separation: Separation, plain: ScoreMaps | None = None) -> None:
    """Write a PNG of what ``draw`` draws."""
    figure = draw(separation, plain)
    with whole_file(path) as file:
        figure.savefig(file, format="png")


def draw(separation: Separation, plain: ScoreMaps | None = None) -> Figure:
    """Photo and windows, the k x k score maps, and what each window copies from them; ``plain``
    is a plain FCN's one map of the same image, to stand beside them.

    Without windows the section on them is left out, and nothing else.
    """
    photo = Photo.of(separation.pixels)
    aspect = min(max(photo.height / photo.width, FLATTEST), 1 / FLATTEST)
    page = min(max(GRID / aspect, NARROWEST), WIDEST)
    sections = [
        _overview(separation, plain, photo, page, aspect),
        _grid(separation, photo, page, aspect),
        _windows(separation, plain, photo, page),
    ]
    figure = lay_out(page, [section for section in sections if section.panels])
    draw_scale(figure)
    return figure


def part_name(i: int, j: int, k: int) -> str:
    """What the part (i, j) of k x k is called, e.g. "top left"."""
    row = ROWS[k][i] if k in ROWS else f"row {i + 1},"
    return f"{row} {COLUMNS[k][j] if k in COLUMNS else f'column {j + 1}'}"


def _overview(
    separation: Separation, plain: ScoreMaps | None, photo: Photo, page: float, aspect: float
) -> Section:
    windows = separation.proposals.windows

    def squares(axes: Axes) -> None:
        draw_photo(axes, photo)
        draw_boxes(axes, windows, 2)
        look_around(axes, photo, windows)

    def one_map(axes: Axes, maps: ScoreMaps) -> None:
        draw_map(axes, photo, maps)
        draw_outline(axes, maps.logits[0, 0], (0, 0, *maps.size), "white")
        draw_boxes(axes, windows, 1)

    panels = [Panel("photo and windows", squares)]
    if plain:
        panels.append(Panel("the plain FCN's score map", partial(one_map, maps=plain)))
    masks = partial(draw_masks, photo=photo, proposals=separation.proposals)
    panels.append(Panel("masks of these windows", masks))
    words = _about_windows(separation) + (
        " A plain FCN has one score map for all objects. Where two touch, a pixel belongs to one "
        "and not to the other. One map cannot say both. White lines: its logit is 0."
        if plain
        else ""
    )
    size = _fit(panel_width(page, len(panels)), PANEL, aspect)
    return Section("Objects and windows", words, panels, len(panels), *size)


def _fit(widest: float, tallest: float, aspect: float) -> tuple[float, float]:
    """Width and height of panels for photos of an aspect, with room for titles above them."""
    width = min(widest, max(tallest / aspect, TITLED))
    return width, min(width * aspect, tallest)


def _about_windows(separation: Separation) -> str:
    size = separation.m * separation.maps.cell[0]
    level = f"level {separation.number} of {separation.count}"
    if not len(separation.proposals):
        return f"No object was found in the windows of {size:.0f} pixels ({level})."
    return (
        f"Each square is a window of {separation.m} x {separation.m} cells, here {size:.0f} "
        f"pixels wide ({level}). These few have the best masks; neighbours come first."
    )


def _grid(separation: Separation, photo: Photo, page: float, aspect: float) -> Section:
    maps, k = separation.maps, separation.maps.k
    boxes = separation.part_boxes()

    def part(axes: Axes, i: int, j: int) -> None:
        draw_map(axes, photo, maps, i, j)
        draw_boxes(axes, boxes[i, j], 1.2)

    panels = [
        Panel(part_name(i, j, k), partial(part, i=i, j=j)) for i in range(k) for j in range(k)
    ]
    words = (
        "Each map answers one question at every pixel: is this that part of an object whose name "
        "stands above the map? The outlines show what each window copies from it."
    )
    heading = f"Instance-sensitive score maps, {k} x {k}"
    size = _fit(panel_width(page, k), min(GRID / k, PANEL), aspect)
    return Section(heading, words, panels, k, *size)


def _windows(separation: Separation, plain: ScoreMaps | None, photo: Photo, page: float) -> Section:
    panels = list(_squares(separation, plain, photo))
    words = (
        "The copied parts, put together, are the mask of one object: its neighbours have other "
        "parts at these places. White lines show where the parts meet, the coloured line where the "
        "logit is 0. The number is the score that ranks the masks."
    ) + (
        " The plain FCN's map is the same for all windows, so it cannot tell neighbours apart."
        if plain
        else ""
    )
    width = panel_width(page, SQUARES)
    return Section("What each window assembles", words, panels, SQUARES, width, width)


def _squares(separation: Separation, plain: ScoreMaps | None, photo: Photo) -> Iterator[Panel]:
    """Of each window: the photo, the assembled mask, and the plain FCN's map."""
    found, boxes = separation.proposals, separation.part_boxes()

    def cut(axes: Axes, index: int) -> None:
        draw_photo(axes, photo)
        look_at(axes, found.windows[index], COLOURS[index])

    def assembled(axes: Axes, index: int) -> None:
        logits, window = found.logits[index], found.windows[index]
        draw_cells(axes, logits, window.tolist())
        draw_borders(axes, boxes[:, :, index])
        draw_outline(axes, logits, window.tolist(), COLOURS[index])
        look_at(axes, found.windows[index], COLOURS[index])

    def one_map(axes: Axes, index: int, maps: ScoreMaps) -> None:
        draw_cells(axes, maps.logits[0, 0], (0, 0, *maps.size))
        draw_outline(axes, maps.logits[0, 0], (0, 0, *maps.size), "white")
        look_at(axes, found.windows[index], COLOURS[index])

    for index, score in enumerate(found.scores.tolist()):
        yield Panel("photo", partial(cut, index=index))
        yield Panel(f"assembled: {score:.2f}", partial(assembled, index=index))
        if plain:
            yield Panel("plain FCN", partial(one_map, index=index, maps=plain))


def draw_scale(figure: Figure) -> None:
    """What the colours mean, at the top right."""
    width, height = figure.get_size_inches()
    length = 1.8
    left = (width - MARGIN - length - 0.2) / width
    axes = figure.add_axes((left, 1 - MARGIN / height, length / width, 0.1 / height))
    bar = figure.colorbar(ScalarMappable(SCALE, HEAT), axes, orientation="horizontal")
    bar.set_ticks([-LIMIT, 0, LIMIT], labels=[f"no, -{LIMIT}", "undecided, 0", f"yes, {LIMIT}"])
    bar.outline.set_visible(False)
    axes.tick_params(length=0, labelsize=7.5, labelcolor=WORDS, pad=2)
