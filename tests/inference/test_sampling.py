"""Samplings: sizes, what fills them up, and the exact way back to the image."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from numpy.typing import NDArray

from builders import Box, make_level, propose
from instancefcn.core.level import Level
from instancefcn.core.types import GREY
from instancefcn.inference.ranking import Selection
from instancefcn.inference.sampling import PAPER_SIDES, Sampling, sample
from instancefcn.inference.windows import filled


def noise(height: int, width: int) -> NDArray[np.uint8]:
    return np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)


def test_the_papers_pyramid_by_hand() -> None:
    # 600 / 1.5^4 = 118.5, 600 / 1.5^3 = 177.8, 600 / 1.5^2 = 266.7
    assert PAPER_SIDES == (119, 178, 267, 400, 600, 900)


# --- sizes


@pytest.mark.parametrize(
    ("size", "side", "longest", "expected"),
    [
        ((100, 200), 50, 1000, (50, 100)),
        ((200, 100), 50, 1000, (100, 50)),
        ((100, 200), 150, 1000, (150, 300)),
        ((100, 200), 150, 200, (100, 200)),
        ((100, 200), 150, 100, (50, 100)),
        ((375, 500), 400, 1000, (400, 533)),
        ((1, 1), 30, 75, (30, 30)),
        ((1, 1000), 30, 75, (1, 75)),
        ((1000, 1), 30, 75, (75, 1)),
        ((1, 2), 30, 75, (30, 60)),
        ((1, 5000), 30, 75, (1, 75)),
        ((2, 5000), 30, 30_000, (12, 30_000)),
    ],
)
def test_sizes_and_scales(
    size: tuple[int, int], side: int, longest: int, expected: tuple[int, int]
) -> None:
    sampling = sample(noise(*size), side, longest)
    assert sampling.pixels.shape == (*expected, 3)
    assert sampling.pixels.dtype == np.uint8
    assert sampling.scale == (size[1] / expected[1], size[0] / expected[0])


def test_a_sampling_at_its_own_size_is_the_image() -> None:
    image = noise(20, 31)
    sampling = sample(image, 20, 100)
    np.testing.assert_array_equal(sampling.pixels, image)
    assert sampling.scale == (1, 1)


def test_shrinking_averages_areas() -> None:
    image = noise(20, 40)
    blocks = image.reshape(10, 2, 20, 2, 3).mean((1, 3))
    np.testing.assert_allclose(sample(image, 10, 100).pixels, blocks, atol=0.5)


# --- what the network takes


@pytest.mark.parametrize(
    ("size", "padded"),
    [((64, 96), (64, 96)), ((63, 97), (64, 128)), ((1, 75), (32, 96)), ((1, 1), (32, 32))],
)
def test_inputs_are_made_up_to_a_multiple_with_grey(
    size: tuple[int, int], padded: tuple[int, int]
) -> None:
    pixels = noise(*size)
    image = Sampling(pixels, (1, 1), *size).to_input(32)
    assert image.shape == (1, 3, *padded)
    assert Sampling(pixels, (1, 1), *size).input_size(32) == padded
    assert image.dtype == np.float32
    height, width = size
    inside = image[0, :, :height, :width].transpose(1, 2, 0) * 255
    np.testing.assert_allclose(inside, pixels, atol=1e-4)
    image[:, :, :height, :width] = GREY / 255
    np.testing.assert_array_equal(image, np.float32(GREY / 255))
    assert torch.from_numpy(image).is_contiguous(memory_format=torch.channels_last)


# --- the way back


def draw(height: int, width: int, box: Box) -> NDArray[np.uint8]:
    """A white box on black."""
    image = np.zeros((height, width, 3), np.uint8)
    image[box[1] : box[3], box[0] : box[2]] = 255
    return image


def seen(sampling: Sampling, m: int, cell: int = 4) -> Level:
    """A level whose one map says which cells of the input are white, grey being background."""
    brightness = F.avg_pool2d(torch.from_numpy(sampling.to_input(32))[:, :1], cell)
    return make_level(brightness - 0.6, torch.zeros_like(brightness[:, 0]), cell=(cell, cell), m=m)


def recovered(image: NDArray[np.uint8], side: int, longest: int = 1000) -> list[float]:
    """The box of the one object, through resizing, a level whose windows see all, and back."""
    sampling = sample(image, side, longest)
    m = 2 * (max(sampling.pixels.shape) // 4) + 1
    level = seen(sampling, m).rescaled(sampling.scale)
    windows = filled([level], sampling.height, sampling.width, Selection(windows_per_side=1))
    assert len(windows) == 1
    box: list[float] = windows.boxes[0].tolist()
    return box


@pytest.mark.parametrize("side", [48, 96, 192])
@pytest.mark.parametrize("box", [(16, 32, 80, 64), (0, 0, 8, 8), (120, 80, 128, 96)])
def test_a_box_on_cells_comes_back_exactly(side: int, box: Box) -> None:
    # From half to twice the size, a cell of 4 pixels is 8 to 2 pixels of the image.
    assert recovered(draw(96, 128, box), side) == list(box)


@pytest.mark.parametrize(("height", "width"), [(97, 131), (60, 200), (200, 60)])
@pytest.mark.parametrize("side", [50, 77, 150])
def test_any_box_comes_back_within_a_cell(height: int, width: int, side: int) -> None:
    box = (width // 5, height // 4, 4 * width // 5, 3 * height // 4)
    cell = 4 * min(height, width) / side
    assert recovered(draw(height, width, box), side) == pytest.approx(box, abs=cell)


@pytest.mark.parametrize(
    ("height", "width", "box"),
    [(1, 30, (10, 0, 20, 1)), (30, 1, (0, 10, 1, 20)), (1, 1, (0, 0, 1, 1))],
)
def test_a_box_on_an_image_one_pixel_wide_comes_back(height: int, width: int, box: Box) -> None:
    # A pixel is drawn 16 pixels wide, two blurred into each other along the image.
    assert recovered(draw(height, width, box), side=16) == pytest.approx(box, abs=4 / 16)


def test_what_is_thinner_than_half_a_cell_is_seen_by_the_first_windows() -> None:
    image = draw(1, 400, (100, 0, 300, 1))
    sampling = sample(image, 32, 200)  # 1 x 200 pixels, a cell is 4 x 4
    level = seen(sampling, m=101).rescaled(sampling.scale)
    assert len(propose([level], 1, 400, Selection())) == 1
    windows = filled([level], 1, 400, Selection())
    best = windows.boxes[windows.scores.argmax()].tolist()
    assert best == pytest.approx([100, 0, 300, 1], abs=8)  # a cell of 4 x 4 is 8 pixels wide there


def test_cells_stretch_by_what_rounding_changed() -> None:
    sampling = sample(noise(33, 100), 16, 1000)  # 16 x 48 pixels: 48.48 are rounded
    level = seen(sampling, m=3)
    back = level.rescaled(sampling.scale)
    assert back.grid.cell == (4 * 100 / 48, 4 * 33 / 16)
    assert back.maps is level.maps
