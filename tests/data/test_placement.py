"""What lands on a canvas, against the whole picture resized and then cut."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from instancefcn.core.rle import encode
from instancefcn.data.placement import Placement, place_image, place_mask

HEIGHT, WIDTH = 150, 200
SIZE = 48
NOISE = np.random.default_rng(0).integers(0, 256, (HEIGHT, WIDTH, 3), dtype=np.uint8)
SMOOTH = cv2.normalize(cv2.GaussianBlur(NOISE, (0, 0), 2), None, 0, 255, cv2.NORM_MINMAX)  # type: ignore[call-overload]
ELLIPSE = np.hypot((np.mgrid[:HEIGHT, :WIDTH][0] - 70) / 40, np.mgrid[:HEIGHT, :WIDTH][1] / 60 - 2)
MASK: NDArray[np.bool_] = ELLIPSE < 1


def resized_whole(picture: NDArray[np.uint8], p: Placement, fill: int) -> NDArray[np.uint8]:
    method = cv2.INTER_AREA if p.width < WIDTH else cv2.INTER_LINEAR
    resized = cv2.resize(picture, (p.width, p.height), interpolation=method)
    if p.mirrored:
        resized = resized[:, ::-1]
    canvas = np.full((SIZE, SIZE, *picture.shape[2:]), fill, np.uint8)
    for y in range(max(0, p.y), min(SIZE, p.y + p.height)):
        for x in range(max(0, p.x), min(SIZE, p.x + p.width)):
            canvas[y, x] = resized[y - p.y, x - p.x]
    return canvas


def drawn(seed: int, least: float, most: float) -> Placement:
    draw = np.random.default_rng(seed)
    scale = np.exp(draw.uniform(np.log(least), np.log(most)))
    width = max(1, round(WIDTH * scale * draw.uniform(0.9, 1.1)))
    height = max(1, round(HEIGHT * scale))
    x, y = (
        int(draw.integers(min(0, SIZE - side) - 9, max(0, SIZE - side) + 10))
        for side in (width, height)
    )
    return Placement(width, height, x, y, mirrored=bool(seed % 2))


@pytest.mark.parametrize("scale", [0.25, 0.5, 1, 2, 3])
@pytest.mark.parametrize("seed", range(6))
def test_factors_that_are_whole_give_the_very_pixels(scale: float, seed: int) -> None:
    place = drawn(seed, scale, scale)
    p = Placement(round(WIDTH * scale), HEIGHT * 2 // round(2 / scale), place.x, place.y, seed > 2)
    np.testing.assert_array_equal(place_image(NOISE, p, SIZE, SIZE, 7), resized_whole(NOISE, p, 7))
    whole = resized_whole(MASK.astype(np.uint8) * np.uint8(255), p, 0) > 127
    np.testing.assert_array_equal(place_mask(encode(MASK), p, SIZE, SIZE), whole)


@pytest.mark.parametrize("seed", range(20))
def test_a_picture_seen_as_a_whole_has_the_very_pixels(seed: int) -> None:
    p = drawn(seed, 0.02, 0.2)
    inside = Placement(p.width, p.height, max(p.x, 0), max(p.y, 0), p.mirrored)
    np.testing.assert_array_equal(
        place_image(NOISE, inside, SIZE, SIZE, 7), resized_whole(NOISE, inside, 7)
    )


def test_other_factors_shift_a_picture_by_less_than_a_twentieth_of_its_pixel() -> None:
    """On average by one of 255, at steep places by more; a mask only at its outline."""
    for seed in range(150):
        p = drawn(seed, 0.1, 4)
        found, whole = place_image(SMOOTH, p, SIZE, SIZE, 7), resized_whole(SMOOTH, p, 7)
        assert np.abs(found.astype(float) - whole).mean() < 1, p
        mask = place_mask(encode(MASK), p, SIZE, SIZE)
        ours = resized_whole(MASK.astype(np.uint8) * np.uint8(255), p, 0)
        assert (mask != (ours > 127)).mean() < 0.02, p
        outline = cv2.dilate(ours, np.ones((5, 5))) != cv2.erode(ours, np.ones((5, 5)))
        assert (mask == (ours > 127))[~outline].all(), p


def test_only_what_lands_is_resized() -> None:
    """The resized picture would have 3 * 10^8 pixels."""
    p = Placement(WIDTH * 100, HEIGHT * 100, -10_000, -7_000, mirrored=False)
    found = place_image(NOISE, p, SIZE, SIZE, 7)
    assert np.abs(found.astype(int) - NOISE[70, 100]).max() <= np.ptp(NOISE[69:71, 99:101])
    assert place_mask(encode(MASK), p, SIZE, SIZE).all()


def test_masks_without_a_pixel_and_masks_beyond_the_canvas_leave_it_empty() -> None:
    p = Placement(WIDTH, HEIGHT, 0, 0, mirrored=False)
    assert not place_mask(encode(np.zeros_like(MASK)), p, SIZE, SIZE).any()
    beyond = Placement(WIDTH, HEIGHT, 500, 0, mirrored=False)
    assert not place_mask(encode(MASK), beyond, SIZE, SIZE).any()
    assert (place_image(NOISE, beyond, SIZE, SIZE, 7) == 7).all()
