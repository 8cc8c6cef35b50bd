"""The picture of the whole system: what lies where in it, and of which model it can be drawn."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray
from PIL import Image

from builders import CATEGORIES, labelled_network, predictor_of, small_network
from instancefcn.core.proposals import Proposals
from instancefcn.core.types import Floats
from instancefcn.figures.panels import Photo
from instancefcn.figures.system import (
    SHOWN,
    System,
    draw_system,
    level_to_show,
    look_through,
    write_system,
)
from instancefcn.inference.predictor import Predictor

HEIGHT, WIDTH = 96, 128
PIXELS = np.random.default_rng(0).integers(0, 256, (HEIGHT, WIDTH, 3), np.uint8)


@pytest.fixture(scope="module")
def predictor() -> Predictor:
    return predictor_of(labelled_network(), [64, 96])


@pytest.fixture(scope="module")
def system(predictor: Predictor) -> System:
    return look_through(predictor, "x", PIXELS)


@pytest.fixture(scope="module")
def figure(system: System) -> Figure:
    return draw_system(system)


def steps(figure: Figure) -> dict[str, Axes]:
    """The panels by the number that their title begins with."""
    return {of.get_title("left")[0]: of for of in figure.axes if of.get_title("left")}


def small_axes(axes: Axes) -> list[Axes]:
    """Those within a panel."""
    return [small for small in axes.child_axes if isinstance(small, Axes)]


def shown(axes: Axes) -> NDArray[np.generic]:
    """The first picture in axes."""
    return np.asarray(axes.images[0].get_array())


def test_each_step_is_the_predictors_own(predictor: Predictor, system: System) -> None:
    labelled, alone = predictor(PIXELS), predictor_of(small_network(), [64, 96])(PIXELS)
    np.testing.assert_array_equal(system.labelled.scores, labelled.scores)
    assert system.labelled.names == labelled.names
    assert system.labelled.categories == CATEGORIES
    np.testing.assert_array_equal(system.proposals.scores, alone.scores)
    np.testing.assert_array_equal(system.proposals.windows, alone.windows)
    assert system.separation.number == level_to_show(labelled)


def test_four_steps_in_order(figure: Figure) -> None:
    panels = steps(figure)
    assert list(panels) == ["1", "2", "3", "4"]
    first, second, third, fourth = (axes.get_position() for axes in panels.values())
    assert first.x1 < second.x0
    assert third.x1 < fourth.x0
    assert first.y0 > third.y1
    assert np.array_equal(shown(panels["1"]), Photo.of(PIXELS).pixels)


def test_every_score_map_has_its_place(figure: Figure, system: System) -> None:
    """Rows first, from the top; each with the windows' parts."""
    k = system.separation.maps.k
    small = small_axes(steps(figure)["2"])
    assert len(small) == k * k
    places = [(-round(axes.get_position().y0, 3), axes.get_position().x0) for axes in small]
    assert places == sorted(places)
    for axes in small:
        assert len(axes.images) == 2, "the photo and the map over it"
        assert len(axes.patches) == len(system.separation.proposals)


def test_proposals_are_lit_in_their_order(figure: Figure, system: System) -> None:
    small = small_axes(steps(figure)["3"])
    assert len(small) == SHOWN**2
    photo = Photo.of(PIXELS)
    for index, axes in enumerate(small):
        mask = system.proposals.mask(index)
        assert np.array_equal(shown(axes)[mask], photo.pixels[mask])
        assert np.array_equal(shown(axes)[~mask], photo.dim().pixels[~mask])
        assert [text.get_text() for text in axes.texts] == [f"{system.proposals.scores[index]:.2f}"]


def proposals_at(windows: Floats) -> Proposals:
    n = len(windows)
    scores, logits = np.linspace(1, 0.5, n, dtype=np.float32), np.ones((n, 3, 3), np.float32)
    return Proposals(scores, windows, logits, np.arange(n), HEIGHT, WIDTH)


def test_the_level_is_that_of_the_best_window_within_the_photo() -> None:
    """By hand: the photo is 96 pixels high."""
    windows = np.array([[0, 0, 97, 97], [-9, 0, 87, 96], [0, 0, 9, 9]], np.float32)
    assert level_to_show(proposals_at(windows)) == 2
    assert level_to_show(proposals_at(windows[:1])) is None
    assert level_to_show(proposals_at(windows[:0])) is None


def test_nothing_found_still_makes_a_picture(predictor: Predictor, tmp_path: Path) -> None:
    nothing = predictor.with_selection(min_score=0.9999)
    system = look_through(nothing, "x", PIXELS)
    assert len(system.proposals) == len(system.labelled) == 0
    write_system(tmp_path / "system.png", system)
    with Image.open(tmp_path / "system.png") as picture:
        assert picture.size[0] == 1600
        assert picture.size[1] < 2000


def test_a_panorama_makes_no_strip(predictor: Predictor) -> None:
    """Neither does an upright one make a tower."""
    for pixels in (PIXELS[:16], PIXELS[:, :24]):
        width, height = draw_system(look_through(predictor, "x", pixels)).get_size_inches()
        assert width / 3 < height < 1.5 * width


def test_a_model_that_does_not_label_is_told_in_one_line() -> None:
    with pytest.raises(ValueError, match=r"^mine: it has no labeller; give a model that labels"):
        look_through(predictor_of(small_network(), [64]), "mine", PIXELS)
