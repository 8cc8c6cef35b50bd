"""Candidates: boxes of cells against a naive loop. Merging is tested where candidates are made."""

from __future__ import annotations

import numpy as np

from instancefcn.core.candidates import Candidates, cell_boxes, widen
from instancefcn.core.look import Look
from instancefcn.core.types import BACKGROUND, Floats


def test_no_masks_have_no_boxes() -> None:
    none = np.zeros((0, 4), np.float32)
    assert cell_boxes(np.zeros((0, 3, 3), np.float32), none, 9, 9).shape == (0, 4)


def naive_box(logits: Floats, window: Floats, height: int, width: int) -> list[float]:
    m = len(logits)
    x0, y0, x1, y1 = window.tolist()
    values = logits.tolist()
    cells = [(i, j) for i in range(m) for j in range(m) if values[i][j] > 0]
    if not cells:
        return [0, 0, 0, 0]
    rows, columns = [i for i, _ in cells], [j for _, j in cells]
    cw, ch = (x1 - x0) / m, (y1 - y0) / m
    box = [x0 + min(columns) * cw, y0 + min(rows) * ch]
    box += [x0 + (max(columns) + 1) * cw, y0 + (max(rows) + 1) * ch]
    return [min(max(v, 0), end) for v, end in zip(box, [width, height] * 2, strict=True)]


def test_cell_boxes_equal_the_naive_loop() -> None:
    generator = np.random.default_rng(0)
    logits = generator.standard_normal((60, 7, 7)) - np.linspace(0, 4, 60)[:, None, None]
    corner = generator.random((60, 2)) * 60 - 20
    windows = np.concatenate((corner, corner + 5 + generator.random((60, 2)) * 40), 1)
    logits, windows = logits.astype(np.float32), windows.astype(np.float32)
    expected = [naive_box(a, w, 37, 50) for a, w in zip(logits, windows, strict=True)]
    boxes = cell_boxes(logits, windows, 37, 50)
    np.testing.assert_allclose(boxes, expected, rtol=1e-5)
    assert boxes.dtype == np.float32
    assert [0, 0, 0, 0] in expected


def test_a_logit_of_zero_is_background() -> None:
    window = np.array([[0, 0, 6, 6]], np.float32)
    assert cell_boxes(np.zeros((1, 3, 3), np.float32), window, 6, 6).tolist() == [[0, 0, 0, 0]]


def test_moved_candidates_keep_all_but_their_place() -> None:
    windows, logits = np.array([[-3, 2, 9, 14]], np.float32), np.ones((1, 3, 3), np.float32)
    one = Candidates(
        scores=np.array([0.5], np.float32),
        windows=windows,
        logits=logits,
        boxes=cell_boxes(logits, windows, 20, 20),
        level=np.array([1]),
        looks=(Look(2),),
        answers={"category": np.array([7])},
    )
    moved = one.moved(100, 30)
    assert moved.windows.tolist() == [[97, 32, 109, 44]]
    assert moved.boxes.tolist() == [[100, 32, 109, 44]]  # cut where the part ended
    assert moved.scores is one.scores
    assert moved.logits is one.logits
    assert (moved.level, moved.answers) == (one.level, one.answers)
    assert moved.looks == (Look(2, origin=(100, 30)),)
    np.testing.assert_array_equal(one.moved(0, 0).windows, windows)


def test_a_mask_stays_in_its_place_amid_a_wider_window() -> None:
    """Of 3 cells of 2 pixels, amid 7 cells: two more on each side."""
    windows, logits = np.array([[4, 6, 10, 12]], np.float32), np.ones((1, 3, 3), np.float32)
    wider, amid = widen(windows, logits, 7)
    assert wider.tolist() == [[0, 2, 14, 16]]
    np.testing.assert_array_equal(amid[0, 2:5, 2:5], logits[0])
    assert (amid == BACKGROUND).sum() == 49 - 9
    np.testing.assert_array_equal(
        cell_boxes(amid, wider, 20, 20), cell_boxes(logits, windows, 20, 20)
    )
