"""Masks as drawn, against a naive loop and cases worked out by hand."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from instancefcn.core.drawing import CHUNK, draw, mask_rle, paste
from instancefcn.core.rle import decode, encode
from instancefcn.core.types import Floats, Rle

# --- Pasting


def array(values: Any) -> Floats:
    return np.asarray(values, np.float32)


def naive_logits(logits: Floats, window: Floats, height: int, width: int) -> NDArray[np.float64]:
    """The logit of each pixel (H, W), one by one; -inf outside the window."""
    m, cells = len(logits), logits.tolist()
    (x0, y0, x1, y1), cw, ch = window.tolist(), 0.0, 0.0
    cw, ch = (x1 - x0) / m, (y1 - y0) / m
    columns = [j for j in range(m) if 0 <= x0 + (j + 0.5) * cw <= width]
    rows = [i for i in range(m) if 0 <= y0 + (i + 0.5) * ch <= height]
    values = np.full((height, width), -np.inf)
    for y in range(height):
        for x in range(width):
            if not (x0 <= x + 0.5 < x1 and y0 <= y + 0.5 < y1 and columns and rows):
                continue
            u = min(max((x + 0.5 - x0) / cw - 0.5, columns[0]), columns[-1])
            v = min(max((y + 0.5 - y0) / ch - 0.5, rows[0]), rows[-1])
            j, i = math.floor(u), math.floor(v)
            j1, i1 = min(j + 1, m - 1), min(i + 1, m - 1)
            s, t = u - j, v - i
            values[y, x] = (1 - t) * ((1 - s) * cells[i][j] + s * cells[i][j1])
            values[y, x] += t * ((1 - s) * cells[i1][j] + s * cells[i1][j1])
    return values


def check_pasting(logits: Floats, corners: Sequence[float], height: int, width: int) -> None:
    window = array(corners)
    values = naive_logits(logits, window, height, width)
    mask = paste(logits, window, height, width)
    assert mask.shape == (height, width)
    clear = np.abs(values) > 1e-5 * np.abs(logits).max()  # float32 may round others either way
    np.testing.assert_array_equal(mask[clear], values[clear] > 0)
    assert mask_rle(logits, window, height, width) == encode(mask)


WINDOWS = {
    "inside": (10.0, 5.0, 31.0, 26.0),
    "over the left border": (-9.3, 5.2, 11.7, 26.2),
    "over the right border": (31.0, 5.0, 52.0, 26.0),
    "over the top border": (10.0, -15.5, 31.0, 5.5),
    "over the bottom border": (10.0, 20.0, 31.0, 41.0),
    "over all borders": (-30.0, -30.0, 75.0, 75.0),
    "off the image": (50.0, 40.0, 71.0, 61.0),
    "one corner on the image": (-20.4, -20.4, 0.6, 0.6),
    "cells smaller than pixels": (3.25, 4.5, 8.5, 9.75),
    "smaller than a pixel": (3.1, 4.1, 3.4, 4.4),
    "cells not square": (2.0, 3.0, 44.0, 13.5),
}


@pytest.mark.parametrize("m", [1, 3, 21])
@pytest.mark.parametrize("window", WINDOWS.values(), ids=WINDOWS.keys())
def test_paste_equals_the_naive_loop(window: tuple[float, ...], m: int) -> None:
    generator = np.random.default_rng(m)
    for _ in range(3):
        check_pasting(generator.standard_normal((m, m), np.float32), window, 32, 45)


@pytest.mark.parametrize("shape", [(1, 1), (1, 9), (9, 1)])
@pytest.mark.parametrize(
    "window", [(-4.0, -4.0, 5.0, 5.0), (0.0, 0.0, 1.0, 1.0), (-50, -50, 60, 60)]
)
def test_images_of_one_pixel(shape: tuple[int, int], window: tuple[float, ...]) -> None:
    generator = np.random.default_rng(1)
    for m in (1, 3, 9):
        check_pasting(generator.standard_normal((m, m), np.float32), window, *shape)
        check_pasting(np.ones((m, m), np.float32), window, *shape)


def test_values_at_the_limits_draw_no_stripes() -> None:
    # Were two neighbours to round a tiny logit differently, a run would never end.
    generator = np.random.default_rng(2)
    values = array([-16.0, -1e-30, -0.0, 0.0, 1e-30, 6e-8, 16.0])
    window = array([5, 6, 23, 24])
    for _ in range(50):
        mask = paste(generator.choice(values, (9, 9)), window, 30, 30)
        assert not mask[:6].any()
        assert not mask[24:].any()
        assert not mask[:, :5].any()
        assert not mask[:, 23:].any()
    assert not paste(-np.ones((9, 9), np.float32), window, 30, 30).any()


def test_paste_by_hand() -> None:
    # Cells of 4 pixels. Between the centre cell's centre (6) and its neighbours' (2, 10) the logit
    # falls from 1 to -1: it is 0 at 4 and 8, midway. The pixels' centres are 4.5 .. 7.5; diagonally
    # (1 - s)(1 - t) * 2 > 1 must hold, which the pixels (4, 4), s = t = 3 / 8, miss.
    logits = -np.ones((3, 3), np.float32)
    logits[1, 1] = 1
    expected = np.zeros((12, 12), np.bool_)
    expected[4:8, 5:7] = expected[5:7, 4:8] = True
    np.testing.assert_array_equal(paste(logits, array([0, 0, 12, 12]), 12, 12), expected)


def test_a_pixel_at_zero_is_background_and_windows_are_half_open() -> None:
    # Cells of 3 pixels with their centres at 2, 5 and 8: the logit is 0 at 3.5 and 6.5. The first
    # pixel's centre is on the window's left border, the last one's on its right.
    logits = array([[1, -1, 1]] * 3)
    row = paste(logits, array([0.5, 0, 9.5, 9]), 9, 10)[4]
    assert row.tolist() == [True, True, True, False, False, False, False, True, True, False]
    column = paste(logits.T, array([0, 0.5, 9, 9.5]), 10, 9)[:, 4]
    assert column.tolist() == row.tolist()


def test_what_the_border_cuts_is_drawn_up_to_the_border() -> None:
    # Off the image the cells are background; the object must not shrink from the border for that.
    logits = np.full((5, 5), -16, np.float32)
    logits[:3, :3] = 16.0  # the cells whose centres lie on a 22 x 22 image
    window = array([0, 0, 40, 40])
    assert paste(logits, window, 22, 22).all()
    assert paste(logits[::-1, ::-1], array([-18, -18, 22, 22]), 22, 22).all()
    assert not paste(logits, window, 40, 40).all()


def test_pasting_commutes_with_transposing() -> None:
    generator = np.random.default_rng(3)
    for _ in range(10):
        logits = generator.standard_normal((7, 7), np.float32)
        x0, y0 = generator.random(2) * 30 - 10
        mask = paste(logits, array([x0, y0, x0 + 28, y0 + 21]), 25, 35)
        across = paste(logits.T, array([y0, x0, y0 + 21, x0 + 28]), 35, 25)
        np.testing.assert_array_equal(mask, across.T)


@pytest.mark.parametrize("n", [0, 1, CHUNK, 2 * CHUNK + 5])
@pytest.mark.parametrize("dtype", [np.float32, np.float16])
def test_masks_are_drawn_as_each_alone(n: int, dtype: type[np.floating[Any]]) -> None:
    generator = np.random.default_rng(n)
    logits = generator.standard_normal((n, 11, 11)).astype(dtype)
    corner = generator.random((n, 2)) * 90 - 30
    side = 11 * (1 + 11 * generator.random((n, 1)))
    windows = array(np.concatenate((corner, corner + side), 1))
    alone: list[Rle] = [
        mask_rle(one, window, 60, 80) for one, window in zip(logits, windows, strict=True)
    ]
    assert list(draw(logits, windows, 60, 80)) == alone


def test_neighbours_in_a_chunk_keep_apart() -> None:
    # The last run of one mask ends where the first of the next begins.
    full, empty = np.ones((3, 3)), -np.ones((3, 3))
    logits = array([full, full, empty, full, empty, empty, full])
    windows = array([[0, 0, 6, 6]] * len(logits))
    areas = [int(decode(rle).sum()) for rle in draw(logits, windows, 6, 6)]
    assert areas == [36, 36, 0, 36, 0, 0, 36]


def test_a_logit_of_zero_is_background() -> None:
    assert not paste(array(np.zeros((3, 3))), array([0, 0, 6, 6]), 6, 6).any()
