"""The predictor: any kind of image, one ranking; a click finds the best mask under it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import ExifTags, Image

from builders import predictor_of, small_network
from instancefcn.core.candidates import Candidates
from instancefcn.core.drawing import paste
from instancefcn.core.errors import UserError
from instancefcn.core.proposals import Proposals
from instancefcn.core.rle import decode
from instancefcn.inference.engines import open_engine
from instancefcn.inference.predictor import Predictor, to_pixels
from instancefcn.inference.ranking import Selection
from instancefcn.inference.sampling import Sampling, sample
from instancefcn.inference.settings import Inference
from instancefcn.inference.torch_engine import TorchEngine
from instancefcn.network.models import Model, build, load_model

HEIGHT, WIDTH = 60, 90


@pytest.fixture(scope="module")
def predictor() -> Predictor:
    """Of random weights, whose masks are as good as any to be told apart."""
    return predictor_of(
        small_network(), sides=[64], selection=Selection(windows_per_side=200, top=50)
    )


@pytest.fixture(scope="module")
def image() -> NDArray[np.uint8]:
    return np.random.default_rng(0).integers(0, 256, (HEIGHT, WIDTH, 3), np.uint8)


@pytest.fixture(scope="module")
def proposals(predictor: Predictor, image: NDArray[np.uint8]) -> Proposals:
    return predictor(image)


def assert_same(one: Proposals, other: Proposals) -> None:
    assert (one.height, one.width) == (other.height, other.width)
    for name in ("scores", "boxes", "windows", "logits"):
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name))


# --- proposals


def test_path_image_and_array_give_the_same(
    predictor: Predictor, image: NDArray[np.uint8], proposals: Proposals, tmp_path: Path
) -> None:
    path = tmp_path / "image.png"
    Image.fromarray(image).save(path)
    assert len(proposals) == 50
    for same in (path, str(path), Image.fromarray(image), image, np.asfortranarray(image)):
        assert_same(predictor(same), proposals)
    with path.open("rb") as file:
        for found in predictor.stream([path.read_bytes(), file, file]):
            assert_same(found, proposals)
        assert_same(predictor.at(file, 40, 30), proposals.at(40, 30))


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


def test_what_several_sides_show_is_ranked_together(image: NDArray[np.uint8]) -> None:
    """Each side has its windows and levels; without suppression all of both stay."""
    selection = Selection(windows_per_side=30, overlap=1.0)
    network = small_network()
    one, other = (predictor_of(network, [side], selection)(image) for side in (64, 96))
    both = predictor_of(network, [64, 96], selection)(image)
    scores = np.concatenate((one.scores, other.scores))
    order = np.argsort(-scores, kind="stable")
    windows = np.concatenate((one.windows, other.windows))
    np.testing.assert_array_equal(both.scores, scores[order])
    np.testing.assert_array_equal(both.windows, windows[order])
    np.testing.assert_array_equal(both.level, np.concatenate((one.level, other.level + 3))[order])


class OfParts(Predictor):
    """Looks at each half of an image at 64 pixels, and at all of a tall one at 96."""

    def samplings(self, pixels: NDArray[np.uint8]) -> list[Sampling]:
        height, width = pixels.shape[:2]
        if height > width:
            return [sample(pixels, 96, 240)]
        half = width // 2
        return [replace(sample(pixels[:, x : x + half], 64, 160), origin=(x, 0)) for x in (0, half)]


def test_images_may_have_any_number_of_samplings(image: NDArray[np.uint8]) -> None:
    """Parts of images among whole ones: each image finds what it finds alone."""
    tall = np.ascontiguousarray(image.transpose(1, 0, 2))
    settings = Inference((64,), Selection(overlap=1.0))
    predictor = OfParts(TorchEngine(small_network()), settings, batch=3)
    images = [image, tall, image[::-1].copy()]
    for found, each in zip(predictor.propose(images), images, strict=True):
        (alone,) = predictor.propose([each])
        np.testing.assert_allclose(found.scores, alone.scores, rtol=1e-4, atol=1e-5)
        assert (found.height, found.width) == each.shape[:2]


def test_what_a_part_shows_lies_where_the_part_lies(image: NDArray[np.uint8]) -> None:
    """To the bit what the halves show as images of their own, the right one's moved."""
    selection = Selection(overlap=1.0)
    network = small_network()
    both = OfParts(TorchEngine(network), Inference((64,), selection))(image)
    whole = predictor_of(network, [64], selection)
    left, right = (whole(np.ascontiguousarray(image[:, x : x + 45])) for x in (0, 45))
    scores = np.concatenate((left.scores, right.scores))
    order = np.argsort(-scores, kind="stable")[:1000]
    moved = np.concatenate((left.windows, right.windows + np.array([45, 0, 45, 0], np.float32)))
    np.testing.assert_array_equal(both.scores, scores[order])
    np.testing.assert_array_equal(both.windows, moved[order])
    np.testing.assert_array_equal(both.level, np.concatenate((left.level, right.level + 3))[order])


def test_a_stream_gives_what_each_image_alone_gives(image: NDArray[np.uint8]) -> None:
    """Of like and unlike sizes, decoded or not, more than fit into a batch."""
    tall = np.ascontiguousarray(image.transpose(1, 0, 2))
    images = [image, image[:, ::-1].copy(), tall, image[::-1].copy(), tall[::-1].copy()]
    for batch in (1, 2, 3, 8):
        predictor = predictor_of(small_network(), [64, 96], Selection(top=20), batch=batch)
        streamed = list(predictor.stream(iter(images)))
        assert len(streamed) == len(images)
        for found, each in zip(streamed, images, strict=True):
            alone = predictor(each)
            assert (found.height, found.width) == each.shape[:2]
            np.testing.assert_allclose(found.scores, alone.scores, rtol=1e-4, atol=1e-5)
    assert list(predictor.stream([])) == []


def test_a_stream_loses_nothing_before_a_broken_image(
    predictor: Predictor, image: NDArray[np.uint8], tmp_path: Path
) -> None:
    (tmp_path / "broken.png").write_bytes(b"no image")
    stream = predictor_of(small_network(), [64], batch=4).stream(
        [image, image, tmp_path / "broken.png", image]
    )
    assert [len(next(stream)) > 0, len(next(stream)) > 0] == [True, True]
    with pytest.raises(UserError, match=r"broken\.png"):
        next(stream)


def test_a_device_that_is_not_there_is_told_in_one_line() -> None:
    with pytest.raises(UserError, match="device 'nowhere': not on this machine") as error:
        TorchEngine(small_network(), "nowhere")
    assert "\n" not in str(error.value)


def test_a_changed_selection_leaves_the_predictor_as_it_was(predictor: Predictor) -> None:
    other = predictor.with_selection(top=3)
    selection = replace(predictor.settings.selection, top=3)
    assert other.settings == replace(predictor.settings, selection=selection)
    assert other.engine is predictor.engine
    assert predictor.settings.selection.top == 50


def test_a_broken_pil_image_and_no_image_are_told_in_one_line(
    predictor: Predictor, image: NDArray[np.uint8], tmp_path: Path
) -> None:
    path = tmp_path / "image.png"
    Image.fromarray(image).save(path)
    path.write_bytes(path.read_bytes()[:-200])
    with Image.open(path) as broken, pytest.raises(ValueError, match="whose file is broken"):
        predictor(broken)
    with pytest.raises(ValueError, match=r"an image is .*, got list"):
        predictor(image.tolist())


def test_a_sampling_knows_its_way_back(predictor: Predictor, image: NDArray[np.uint8]) -> None:
    # The shorter side of 60 pixels becomes 64: a cell of 4 pixels is one of 3.75 in the image.
    (sampling,) = predictor.samplings(image)
    assert isinstance(predictor.engine, TorchEngine)
    assert [level.grid.cell for level in predictor.engine.levels(sampling)] == [
        (4 * 60 / 64, 4 * 60 / 64),
        (4 * 60 / 64, 4 * 60 / 64),
        (8 * 60 / 64, 8 * 60 / 64),
    ]


def test_the_longer_side_is_bounded() -> None:
    wide = np.zeros((10, 200, 3), np.uint8)
    (sampling,) = predictor_of(small_network(), [32], longest=2.0).samplings(wide)
    assert sampling.pixels.shape == sample(wide, 32, 64).pixels.shape == (3, 64, 3)
    assert sampling.input_size(32) == (32, 64)


@pytest.mark.parametrize("size", [(1, 1), (1, 50), (50, 1), (3, 400)])
def test_the_smallest_images_are_seen(predictor: Predictor, size: tuple[int, int]) -> None:
    proposals = predictor(np.full((*size, 3), 200, np.uint8))
    assert (proposals.height, proposals.width) == size


def test_a_second_network_can_learn_from_proposals(proposals: Proposals) -> None:
    """Torch takes their arrays as they are, without a copy or a warning."""
    weight = torch.ones(1, requires_grad=True)
    logits, boxes = torch.from_numpy(proposals.logits), torch.from_numpy(proposals.boxes)
    (logits * weight * boxes.sum()).sum().backward()  # type: ignore[no-untyped-call]
    assert weight.grad is not None
    assert logits.data_ptr() == proposals.logits.ctypes.data


# --- masks


def test_boxes_are_tight_around_the_masks_as_drawn(proposals: Proposals) -> None:
    for index, (x0, y0, x1, y1) in enumerate(proposals.boxes.astype(int).tolist()):
        mask = proposals.mask(index)
        assert mask.sum() == mask[y0:y1, x0:x1].sum()
        if mask.any():
            assert mask[y0].any()
            assert mask[y1 - 1].any()
            assert mask[:, x0].any()
            assert mask[:, x1 - 1].any()


def test_masks_are_those_that_paste_draws(proposals: Proposals) -> None:
    assert len(proposals.masks()) == len(proposals)
    for index in (0, 7, 49):
        one = paste(proposals.logits[index], proposals.windows[index], HEIGHT, WIDTH)
        np.testing.assert_array_equal(proposals.mask(index), one)
        np.testing.assert_array_equal(decode(proposals[index].masks()[0]), one)


# --- clicks


def test_a_click_finds_the_best_mask_that_covers_it(proposals: Proposals) -> None:
    """On a grid of points, against every mask of the whole image."""
    masks = np.stack([proposals.mask(index) for index in range(len(proposals))])
    found = 0
    for y in range(0, HEIGHT, 5):
        for x in range(0, WIDTH, 7):
            covering = np.flatnonzero(masks[:, y, x])
            expected = proposals[int(covering[0])] if len(covering) else proposals[:0]
            assert_same(proposals.at(x + 0.5, y + 0.9), expected)
            found += len(covering) > 0
    assert found > 20


def test_a_second_click_on_an_image_runs_no_network(image: NDArray[np.uint8]) -> None:
    class Counting(TorchEngine):
        passes = 0

        def candidates(self, *args: Any) -> list[Candidates]:
            self.passes += 1
            return super().candidates(*args)

    engine = Counting(small_network())
    predictor = Predictor(engine, Inference((64,)))
    for x in (10, 40, 70):
        assert_same(predictor.at(image, x, 30), predictor(image).at(x, 30))
    assert engine.passes == 1 + 3
    predictor.at(image[::-1], 10, 30)
    assert engine.passes == 5


def test_where_no_mask_is_a_click_finds_none(image: NDArray[np.uint8]) -> None:
    predictor = predictor_of(small_network(), [64], Selection(min_score=0.9999))
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
    description = {
        "class_path": "instancefcn.network.presets.OneLevelNetwork",
        "init_args": {"encoder": "mobilenetv3_small_100", "channels": 8, "k": 3, "m": 11},
    }
    path = tmp_path_factory.mktemp("model") / "model.safetensors"
    inference = {"sides": [48, 64], "selection": {"top": 7}}
    Model(build(description, "here"), description, inference, card={"step": 3}).save(path)
    return path


def test_a_model_file_brings_its_settings(model_file: Path, image: NDArray[np.uint8]) -> None:
    predictor = Predictor.from_pretrained(model_file)
    assert predictor.settings.sides == (48, 64)
    assert predictor.settings.selection == Selection(top=7)
    assert len(predictor(image)) == 7


def test_a_model_file_says_where_it_comes_from(model_file: Path, predictor: Predictor) -> None:
    """What runs the file says it, so that nobody opens the file again, of whatever kind it is."""
    found = Predictor.from_pretrained(model_file)
    assert found.card == open_engine(model_file).card == {"step": 3}
    assert found.with_selection(top=1).card == {"step": 3}
    assert predictor.card == {}


def test_settings_given_take_the_place_of_the_files(model_file: Path) -> None:
    predictor = Predictor.from_pretrained(str(model_file), [32], Selection(windows_per_side=9))
    assert predictor.settings.sides == (32,)
    assert predictor.settings.selection == Selection(windows_per_side=9)


@pytest.mark.parametrize(
    "inference",
    [{}, {"sides": [64], "selection": {"unknown": 1}}, {"sides": [64], "selection": None}],
)
def test_settings_of_another_version_are_told_in_one_line(
    model_file: Path, tmp_path: Path, inference: dict[str, object]
) -> None:
    replace(load_model(model_file), inference=inference).save(tmp_path / "other")
    with pytest.raises(ValueError, match="other: its settings for inference") as error:
        Predictor.from_pretrained(tmp_path / "other")
    assert "\n" not in str(error.value)
