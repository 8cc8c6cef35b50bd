"""Colour spaces, texture and histograms against cases worked out by hand and naive loops."""

from __future__ import annotations

import math

import numpy as np
import pytest
from PIL import Image
from scipy.ndimage import gaussian_filter
from skimage.color import rgb2hsv, rgb2lab

from instancefcn.baselines.features import (
    COLOUR_BINS,
    COLOUR_SPACES,
    ORIENTATIONS,
    SIGMA,
    STEEPEST,
    TEXTURE_BINS,
    Pixels,
    colour_bins,
    histograms,
    texture_bins,
    to_colour_space,
)


def noise(height: int, width: int) -> Pixels:
    return np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)


@pytest.mark.parametrize("name", COLOUR_SPACES)
@pytest.mark.parametrize("shape", [(1, 1), (9, 1), (1, 9), (20, 30)])
def test_three_channels_from_0_to_1(name: str, shape: tuple[int, int]) -> None:
    channels = to_colour_space(noise(*shape), name)
    assert channels.shape == (*shape, 3)
    assert channels.dtype == np.float64
    assert channels.min() >= 0
    assert channels.max() <= 1


def test_hsv_and_hue_are_skimages() -> None:
    image = noise(20, 30)
    expected = rgb2hsv(image)
    found = to_colour_space(image, "HSV")
    turn = np.abs(found[..., 0] - expected[..., 0])
    assert np.minimum(turn, 1 - turn).max() < 2.5 / 255
    np.testing.assert_allclose(found[..., 1:], expected[..., 1:], atol=1.5 / 255)
    hue = to_colour_space(image, "H")
    np.testing.assert_array_equal(hue, np.repeat(found[..., :1], 3, axis=2))


def test_lab_is_skimages() -> None:
    image = noise(20, 30)
    found = to_colour_space(image, "Lab") * 255
    expected = rgb2lab(image) * [255 / 100, 1, 1] + [0, 128, 128]
    np.testing.assert_allclose(found, expected, atol=2)


def test_intensity_is_pillows_grey() -> None:
    image = noise(20, 30)
    grey = to_colour_space(image, "I")
    expected = np.asarray(Image.fromarray(image).convert("L")) / 255
    np.testing.assert_allclose(grey[..., 0], expected, atol=1.5 / 255)
    assert (grey == grey[..., :1]).all()


def test_rgi_by_hand() -> None:
    image = np.array([[[0, 0, 0], [10, 30, 60], [255, 255, 255]]], np.uint8)
    found = to_colour_space(image, "rgI")[0]
    third = 1 / 3
    np.testing.assert_allclose(found[:, :2], [[third, third], [0.1, 0.3], [third, third]])
    np.testing.assert_allclose(found[:, 2], [0, 27 / 255, 1])  # 0.3 * 10 + 0.59 * 30 + 0.11 * 60


def test_a_grey_image_has_no_colour() -> None:
    image = np.repeat(noise(8, 9)[..., :1], 3, axis=2)
    assert not to_colour_space(image, "HSV")[..., :2].any()
    np.testing.assert_allclose(to_colour_space(image, "rgI")[..., :2], 1 / 3)


def test_colour_bins_by_hand() -> None:
    channels = np.array([[[0, 0.039, 0.041], [0.5, 0.999, 1]]])
    bins = colour_bins(channels)
    assert bins.shape == (3, 1, 2)
    np.testing.assert_array_equal(bins[:, 0].T, [[0, 0, 1], [12, 24, 24]])


def test_a_flat_image_has_no_texture() -> None:
    assert not texture_bins(np.full((7, 1, 3), 0.3)).any()


@pytest.mark.parametrize("orientation", [0, 2, 4, 6])
def test_texture_of_a_step(orientation: int) -> None:
    """Full response along the gradient, cos 45 of it beside that, none from 90 degrees on."""
    step = np.zeros((21, 21, 1))
    step[:, 11:] = 1
    step = np.rot90(step, -orientation // 2)  # rot90 turns from y to x, orientations from x to y
    bins = texture_bins(step)
    assert bins.shape == (ORIENTATIONS, 21, 21)
    largest = bins.max((1, 2))
    # Beside the step: the sum of k times the Gaussian at k = 1, 2 ..., of the largest that can be.
    height = sum(k * math.exp(-k * k / 2) for k in range(1, 5))
    full, beside = (int(TEXTURE_BINS * share * height) for share in (1, math.sqrt(0.5)))
    expected = np.zeros(ORIENTATIONS, np.intp)
    expected[[orientation - 1, orientation, (orientation + 1) % ORIENTATIONS]] = (
        beside,
        full,
        beside,
    )
    np.testing.assert_array_equal(largest, expected)


@pytest.mark.parametrize("angle", [0, 0.2, 0.5, np.pi / 4])
def test_a_step_of_any_angle_is_among_the_highest_bins_but_not_beyond(angle: float) -> None:
    y, x = np.mgrid[-20:21, -20:21]
    step = (np.cos(angle) * x + np.sin(angle) * y > 0.5)[..., None].astype(np.float64)
    dy, dx = (gaussian_filter(step, (SIGMA, SIGMA, 0), o) for o in ((1, 0, 0), (0, 1, 0)))
    assert 0.85 < np.hypot(dx, dy).max() / STEEPEST <= 1
    assert texture_bins(step).max() >= TEXTURE_BINS - 2


def test_texture_has_all_channels() -> None:
    channels = np.zeros((9, 9, 3))
    channels[:, 5:, 1] = 1
    bins = texture_bins(channels).reshape(ORIENTATIONS, 3, 9, 9)
    assert bins[:, 1].any()
    assert not bins[:, [0, 2]].any()


def test_histograms_by_hand() -> None:
    labels = np.array([[0, 0, 1], [0, 0, 1]])
    bins = np.array([[[0, 0, 2], [1, 2, 2]], [[1, 1, 0], [1, 1, 1]]])
    np.testing.assert_allclose(
        histograms(labels, bins, 3),
        np.array([[2, 1, 1, 0, 4, 0], [0, 0, 4, 2, 2, 0]]) / 8,
    )


def test_histograms_are_those_of_a_loop() -> None:
    rng = np.random.default_rng(1)
    labels = rng.integers(0, 5, (12, 13))
    bins = colour_bins(rng.random((12, 13, 3)))
    expected = np.zeros((5, 3, COLOUR_BINS))
    for channel, plane in enumerate(bins):
        for label, b in zip(labels.ravel(), plane.ravel(), strict=True):
            expected[label, channel, b] += 1
    rows = expected.reshape(5, -1)
    found = histograms(labels, bins, COLOUR_BINS)
    np.testing.assert_allclose(found, rows / rows.sum(1, keepdims=True))
    np.testing.assert_allclose(found.sum(1), 1)
