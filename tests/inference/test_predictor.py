"""The predictor: any kind of image, one ranking; a click finds the best mask under it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import ExifTags, Image

from builders import small_network
from instancefcn.core.geometry import paste
from instancefcn.core.types import Proposals
from instancefcn.inference.predictor import Predictor, to_pixels
from instancefcn.inference.ranking import Selection, propose
from instancefcn.inference.sampling import sample
from instancefcn.network.models import Model, build, load_model

HEIGHT, WIDTH = 60, 90


@pytest.fixture(scope="module")
def predictor() -> Predictor:
    """Of random weights, whose masks are as good as any to be told apart."""
    return Predictor(small_network(), sides=[64], selection=Selection(windows=200, top=50))


@pytest.fixture(scope="module")
def image() -> NDArray[np.uint8]:
    return np.random.default_rng(0).integers(0, 256, (HEIGHT, WIDTH, 3), np.uint8)


@pytest.fixture(scope="module")
def proposals(predictor: Predictor, image: NDArray[np.uint8]) -> Proposals:
    return predictor(image)


def assert_same(one: Proposals, other: Proposals) -> None:
    assert (one.height, one.width) == (other.height, other.width)
    for name in ("scores", "boxes", "windows", "logits"):
        assert torch.equal(getattr(one, name), getattr(other, name))


# --- proposals


def test_path_image_and_array_give_the_same(
    predictor: Predictor, image: NDArray[np.uint8], proposals: Proposals, tmp_path: Path
) -> None:
    path = tmp_path / "image.png"
    Image.fromarray(image).save(path)
    assert len(proposals) == 50
    for same in (path, str(path), Image.fromarray(image), image, np.asfortranarray(image)):
        assert_same(predictor(same), proposals)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_pil_image_is_turned_upright_as_its_file(
    image: NDArray[np.uint8], orientation: int, tmp_path: Path
) -> None:
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = orientation
    path = tmp_path / "image.png"
    Image.fromarray(image).save(path, exif=exif)
    with Image.open(path) as opened:
        np.testing.assert_array_equal(to_pixels(opened), to_pixels(path))
    assert to_pixels(path).shape == ((HEIGHT, WIDTH, 3) if orientation < 5 else (WIDTH, HEIGHT, 3))


def test_proposals_lie_on_the_image(proposals: Proposals) -> None:
    assert (proposals.height, proposals.width) == (HEIGHT, WIDTH)
    x0, y0, x1, y1 = proposals.boxes.T
    assert ((x0 >= 0) & (y0 >= 0) & (x1 <= WIDTH) & (y1 <= HEIGHT)).all()
    assert ((x1 > x0) & (y1 > y0)).all()


def test_several_sides_are_the_levels_of_each(image: NDArray[np.uint8]) -> None:
    network = small_network()
    both = Predictor(network, sides=[64, 96])
    one, other = (Predictor(network, sides=[side]).levels(image) for side in (64, 96))
    levels = both.levels(image)
    assert [level.cell for level in levels] == [level.cell for level in (*one, *other)]
    assert_same(both(image), both.propose([*one, *other], HEIGHT, WIDTH))


def test_a_changed_selection_leaves_the_predictor_as_it_was(predictor: Predictor) -> None:
    other = predictor.with_selection(top=3)
    assert (other.selection, other.sides) == (replace(predictor.selection, top=3), predictor.sides)
    assert other.network is predictor.network
    assert predictor.selection.top == 50


def test_a_broken_pil_image_and_no_image_are_told_in_one_line(
    predictor: Predictor, image: NDArray[np.uint8], tmp_path: Path
) -> None:
    path = tmp_path / "image.png"
    Image.fromarray(image).save(path)
    path.write_bytes(path.read_bytes()[:-200])
    with Image.open(path) as broken, pytest.raises(ValueError, match="whose file is broken"):
        predictor(broken)
    with pytest.raises(ValueError, match=r"an image is .*, got a list"):
        predictor(image.tolist())


def test_each_side_adds_as_many_windows(image: NDArray[np.uint8]) -> None:
    selection = Selection(windows=3, overlap=1.0)
    for sides in ([64], [64, 96], [64, 96, 128]):
        predictor = Predictor(small_network(), sides, selection)
        expected = propose(
            predictor.levels(image), HEIGHT, WIDTH, replace(selection, windows=3 * len(sides))
        )
        assert_same(predictor(image), expected)


def test_cells_are_in_pixels_of_the_image(predictor: Predictor, image: NDArray[np.uint8]) -> None:
    # The shorter side of 60 pixels becomes 64: a cell of 4 pixels is one of 3.75 in the image.
    assert [level.cell for level in predictor.levels(image)] == [
        (4 * 60 / 64, 4 * 60 / 64),
        (4 * 60 / 64, 4 * 60 / 64),
        (8 * 60 / 64, 8 * 60 / 64),
    ]


def test_the_longer_side_is_bounded() -> None:
    network = small_network()
    wide = np.zeros((10, 200, 3), np.uint8)
    (level, *_) = Predictor(network, sides=[32], longest=2.0).levels(wide)
    assert sample(wide, 32, 64).pixels.shape == (3, 64, 3)
    assert level.maps.shape[2:] == (8, 16)


@pytest.mark.parametrize("size", [(1, 1), (1, 50), (50, 1), (3, 400)])
def test_the_smallest_images_are_seen(predictor: Predictor, size: tuple[int, int]) -> None:
    proposals = predictor(np.full((*size, 3), 200, np.uint8))
    assert (proposals.height, proposals.width) == size


def test_no_gradient_is_kept(proposals: Proposals) -> None:
    assert not proposals.logits.requires_grad
    assert not proposals.scores.requires_grad


# --- clicks


@pytest.mark.parametrize("point", [(45.0, 30.0), (0.0, 0.0), (89.9, 59.9), (10.5, 50.2)])
def test_a_click_finds_the_best_mask_that_covers_it(
    predictor: Predictor,
    image: NDArray[np.uint8],
    proposals: Proposals,
    point: tuple[float, float],
) -> None:
    x, y = point
    found = predictor.at(image, x, y)
    covering = [
        i
        for i in range(len(proposals))
        if paste(proposals.logits[i], proposals.windows[i], HEIGHT, WIDTH)[int(y), int(x)]
    ]
    best = slice(covering[0], covering[0] + 1) if covering else slice(0, 0)
    assert_same(found, proposals[best])


def test_some_click_of_those_is_covered_and_its_box_too(
    predictor: Predictor, image: NDArray[np.uint8]
) -> None:
    found = predictor.at(image, 45, 30)
    assert len(found) == 1
    x0, y0, x1, y1 = found.boxes[0].tolist()
    assert x0 <= 45 < x1
    assert y0 <= 30 < y1


def test_where_no_mask_is_a_click_finds_none(image: NDArray[np.uint8]) -> None:
    predictor = Predictor(small_network(), [64], Selection(min_score=0.9999))
    found = predictor.at(image, 45, 30)
    assert len(found) == 0
    assert (found.height, found.width) == (HEIGHT, WIDTH)


@pytest.mark.parametrize(
    ("x", "y"), [(-1, 5), (5, -0.1), (WIDTH, 5), (5, HEIGHT), (1e9, 1e9), (float("nan"), 5)]
)
def test_a_click_outside_is_told_in_one_line(
    predictor: Predictor, image: NDArray[np.uint8], x: float, y: float
) -> None:
    with pytest.raises(ValueError, match=r"a click at .* on an image of 90 x 60 pixels") as error:
        predictor.at(image, x, y)
    assert "\n" not in str(error.value)


# --- model files


@pytest.fixture(scope="module")
def model_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    arguments = {"channels": 8, "hidden": 8}
    description = {
        "backbone": {
            "class_path": "instancefcn.network.backbones.FeaturePyramid",
            "init_args": {"encoder": "mobilenetv3_small_100", "channels": 8},
        },
        "branches": [
            {
                "m": 11,
                "mask_head": {
                    "class_path": "instancefcn.network.heads.ScoreMapHead",
                    "init_args": {**arguments, "k": 3},
                },
                "objectness_head": arguments,
            }
        ],
    }
    path = tmp_path_factory.mktemp("model") / "model.safetensors"
    inference = {"sides": [48, 64], "selection": {"top": 7}}
    Model(build(description, "here"), description, inference, card={}).save(path)
    return path


def test_a_model_file_brings_its_settings(model_file: Path, image: NDArray[np.uint8]) -> None:
    predictor = Predictor.from_pretrained(model_file)
    assert predictor.sides == (48, 64)
    assert predictor.selection == Selection(top=7)
    assert len(predictor(image)) == 7
    assert not predictor.network.training


def test_settings_given_take_the_place_of_the_files(model_file: Path) -> None:
    predictor = Predictor.from_pretrained(str(model_file), [32], Selection(windows=9))
    assert predictor.sides == (32,)
    assert predictor.selection == Selection(windows=9)


@pytest.mark.parametrize("inference", [{}, {"sides": [64], "selection": {"unknown": 1}}])
def test_settings_of_another_version_are_told_in_one_line(
    model_file: Path, tmp_path: Path, inference: dict[str, object]
) -> None:
    replace(load_model(model_file), inference=inference).save(tmp_path / "other")
    with pytest.raises(ValueError, match="other: its settings for inference") as error:
        Predictor.from_pretrained(tmp_path / "other")
    assert "\n" not in str(error.value)
