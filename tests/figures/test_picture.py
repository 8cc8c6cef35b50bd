"""The picture: what lies where in it, and that no photo is too odd for one."""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.typing import ColorType
from numpy.typing import NDArray
from PIL import Image

from builders import random_maps, rectangles
from instancefcn.core.grid import Grid, Windows
from instancefcn.core.proposals import Proposals
from instancefcn.core.types import Floats
from instancefcn.figures.page import MARGIN, Panel, Section, lay_out, panel_width
from instancefcn.figures.panels import COLOURS, FINEST, HEAT, SCALE, Photo, brightened
from instancefcn.figures.picture import draw, part_name, write_picture
from instancefcn.figures.separation import ScoreMaps, Separation

HEIGHT, WIDTH, CELL, M, K = 80, 120, (4.0, 5.0), 9, 3
CENTRES = torch.tensor(
    [[5, 6], [10, 22], [2, 28]]
)  # cells (y, x); the last window leaves the photo
GREY = np.full((HEIGHT, WIDTH, 3), 128, np.uint8)
PLAIN = ScoreMaps(random_maps((1, 1, 16, 30), 3).numpy(), CELL)


def spans(n: int) -> Floats:
    """Of the first n windows."""
    y, x = CENTRES[:n].T
    return Grid(16, 30, CELL, M, 1).spans(Windows(torch.zeros_like(y), y, x)).numpy()


def separation(n: int = 3, k: int = K, pixels: NDArray[np.uint8] = GREY) -> Separation:
    """Maps of noise; each window's mask is the 3 x 5 cells amid it."""
    height, width = pixels.shape[:2]
    logits = (rectangles(M, M, [(2, 3, 7, 6)] * n).float() * 8 - 4).numpy()
    scores = np.linspace(0.9, 0.5, 3, dtype=np.float32)[:n]
    found = Proposals(scores, spans(n), logits, np.zeros(n, np.int64), height, width)
    return Separation(pixels, 1, 2, M, ScoreMaps(random_maps((k, k, 16, 30)).numpy(), CELL), found)


def rendered(figure: Figure) -> NDArray[np.uint8]:
    file = io.BytesIO()
    figure.savefig(file, format="png")
    return np.asarray(Image.open(file).convert("RGB"))


def at(picture: NDArray[np.uint8], axes: Axes, x: float, y: float) -> NDArray[np.float64]:
    """The picture's colours, 0..1, in the 5 x 5 pixels around a pixel (x, y) of the image."""
    column, row = axes.transData.transform((x, y)).round().astype(int)
    row = len(picture) - 1 - row
    return picture[row - 2 : row + 3, column - 2 : column + 3].reshape(-1, 3) / 255


def shows(colours: NDArray[np.float64], colour: ColorType) -> bool:
    return bool((np.abs(colours - np.array(to_rgb(colour))).max(1) < 0.1).any())


def titled(figure: Figure, title: str) -> list[Axes]:
    return [axes for axes in figure.axes if axes.get_title("left") == title]


# What lies where.


def test_windows_lie_where_their_cells_do() -> None:
    figure = draw(separation())
    picture = rendered(figure)
    (photo,) = titled(figure, "photo and windows")
    boxes = spans(len(CENTRES)).tolist()
    for (x0, y0, x1, y1), colour in zip(boxes, COLOURS, strict=False):
        # Near the corners, since on their way the sides may pass under another window's.
        for x, y in ((x0 + 2, y0), (x0, y0 + 2), (x1 - 2, y1), (x1, y1 - 2)):
            assert shows(at(picture, photo, x, y), colour)
        assert not shows(at(picture, photo, (x0 + x1) / 2 + 3, (y0 + y1) / 2), colour)


@pytest.mark.parametrize(("i", "j"), [(0, 0), (1, 1), (2, 0)])
def test_a_part_is_outlined_over_its_own_map(i: int, j: int) -> None:
    shown = separation(1)
    figure = draw(shown)
    picture = rendered(figure)
    (panel,) = titled(figure, part_name(i, j, K))
    x0, y0 = CELL[0] * (2 + 3 * j), CELL[1] * (1 + 3 * i)
    for x, y in ((x0, y0 + 3), (x0 + 3, y0), (x0 + 12, y0 + 12), (x0 + 9, y0 + 15)):
        assert shows(at(picture, panel, x, y), COLOURS[0])
    cell = float(shown.maps.logits[i, j, 12, 20])
    share = 0.1 + 0.85 * float(SCALE(cell))
    expected = share * np.array(HEAT(SCALE(cell))[:3]) + (1 - share) * 0.45 * 128 / 255
    found = at(picture, panel, 20.5 * CELL[0], 12.5 * CELL[1])
    np.testing.assert_allclose(found.mean(0), expected, atol=0.02)


def test_each_window_has_its_assembled_mask_and_the_plain_map() -> None:
    shown = separation()
    figure = draw(shown, PLAIN)
    picture = rendered(figure)
    squares = [axes for axes in figure.axes if axes.get_title("left").startswith("assembled")]
    crops = titled(figure, "plain FCN")
    assert [axes.get_title("left")[-4:] for axes in squares] == ["0.90", "0.70", "0.50"]
    assert len(crops) == 3
    for square, crop, (y, x), window in zip(
        squares, crops, CENTRES.tolist(), shown.proposals.windows.tolist(), strict=True
    ):
        centre = (x + 0.5) * CELL[0], (y + 0.5) * CELL[1]
        assert shows(at(picture, square, *centre), HEAT(SCALE(4)))
        assert shows(at(picture, square, centre[0], centre[1] + 2.5 * CELL[1]), HEAT(SCALE(-4)))
        assert shows(at(picture, crop, *centre), HEAT(SCALE(float(PLAIN.logits[0, 0, y, x]))))
        for axes in (square, crop):
            assert (*axes.get_xlim(), *axes.get_ylim()) == (window[0], window[2], *window[:0:-2])


def test_masks_are_drawn_on_the_photo() -> None:
    figure = draw(separation())
    picture = rendered(figure)
    (panel,) = titled(figure, "masks of these windows")
    for (y, x), colour in zip(CENTRES.tolist(), COLOURS, strict=False):
        inside = at(picture, panel, (x + 0.5) * CELL[0], (y + 0.5) * CELL[1]).mean(0)
        expected = 0.4 * np.array(to_rgb(colour)) + 0.6 * 128 / 255
        np.testing.assert_allclose(inside, expected, atol=0.02)
        outside = at(picture, panel, (x + 0.5) * CELL[0], (y + 3.5) * CELL[1]).mean(0)
        np.testing.assert_allclose(outside, 128 / 255, atol=0.02)


# No photo is too odd.


@pytest.mark.parametrize("k", [1, 2, 5, 7])
def test_every_part_has_a_map_with_a_name_of_its_own(k: int) -> None:
    names = {part_name(i, j, k) for i in range(k) for j in range(k)}
    assert len(names) == k * k
    titles = [axes.get_title("left") for axes in draw(separation(k=k)).axes]
    assert [title for title in titles if title in names] == [
        part_name(i, j, k) for i in range(k) for j in range(k)
    ]


def test_corners_are_called_so() -> None:
    assert [part_name(i, j, 5) for i, j in ((0, 0), (0, 4), (4, 0), (4, 4))] == [
        *("top left", "top right", "bottom left", "bottom right")
    ]


def test_without_windows_the_maps_are_still_drawn() -> None:
    figure = draw(separation(0), PLAIN)
    assert len(rendered(figure)) > 600
    titles = {axes.get_title("left") for axes in figure.axes}
    assert {"top left", "bottom right", "the plain FCN's score map"} <= titles
    assert not any(title.startswith("assembled") for title in titles)


@pytest.mark.parametrize("size", [(1, 1), (1, 500), (500, 1), (300, 200), (90, 1700)])
def test_every_shape_of_photo_gives_a_picture(size: tuple[int, int]) -> None:
    picture = rendered(draw(separation(pixels=np.full((*size, 3), 90, np.uint8)), PLAIN))
    assert 1100 < picture.shape[1] <= 1600
    assert picture.shape[0] < 3500


def test_masks_that_are_all_inside_or_lost_in_shrinking_are_drawn() -> None:
    """Neither makes a line to draw, of which matplotlib warns."""
    shown = separation(1)
    everything = replace(shown.proposals, logits=np.full((1, M, M), 4, np.float32))
    rendered(draw(replace(shown, proposals=everything)))
    photo = np.full((2, 9 * FINEST, 3), 128, np.uint8)
    tiny = np.array([[0, 0, 2, 2]], np.float32)
    lost = replace(shown.proposals, windows=tiny, height=2, width=9 * FINEST)
    rendered(draw(replace(shown, pixels=photo, proposals=lost)))


def test_a_large_photo_is_shrunk_and_keeps_its_coordinates() -> None:
    photo = Photo.of(np.zeros((3 * FINEST, 2 * FINEST, 3), np.uint8))
    assert photo.pixels.shape == (FINEST, round(FINEST * 2 / 3), 3)
    assert (photo.width, photo.height) == (2 * FINEST, 3 * FINEST)
    assert Photo.of(GREY).pixels.shape == GREY.shape


def test_a_dark_photo_is_brightened() -> None:
    """Up to white, black as it was; one with bright places is left as it is."""
    dark = GREY // 4
    dark[0] = 0
    lit = brightened(dark)
    assert set(np.unique(lit)) == {0, 255}
    assert np.array_equal(Photo.of(dark).pixels, lit)
    dark[:2] = 200
    assert brightened(dark) is dark
    assert not brightened(np.zeros_like(GREY)).any()


def test_two_runs_write_the_same_bytes(tmp_path: Path) -> None:
    for name in ("a", "b"):
        write_picture(tmp_path / "new" / name, separation(), PLAIN)
    assert (tmp_path / "new" / "a").read_bytes() == (tmp_path / "new" / "b").read_bytes()


# Layout.


def test_panels_of_a_page_neither_overlap_nor_leave_it() -> None:
    panels = [Panel(str(i), lambda axes: None) for i in range(7)]
    width = panel_width(9, 3)
    sections = [
        Section("one", "few words", panels, 3, width, 1),
        Section("two", "", panels, 4, 1, 2),
    ]
    figure = lay_out(9, sections)
    places = [axes.get_position() for axes in figure.axes]
    assert len(places) == 14
    for i, place in enumerate(places):
        assert 0 < place.x0 < place.x1 < 1
        assert 0 < place.y0 < place.y1 < 1
        assert not any(place.overlaps(other) for other in places[:i])
    assert places[0].x0 * 9 == pytest.approx(MARGIN)
    assert places[2].x1 * 9 == pytest.approx(9 - MARGIN)
