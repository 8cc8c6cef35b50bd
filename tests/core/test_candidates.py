"""Candidates: boxes of cells against a naive loop. Merging is tested where candidates are made."""

from __future__ import annotations

import torch
from torch import Tensor

from instancefcn.core.candidates import Candidates, cell_boxes
from instancefcn.core.look import Look


def test_no_masks_have_no_boxes() -> None:
    assert cell_boxes(torch.zeros(0, 3, 3), torch.zeros(0, 4), 9, 9).shape == (0, 4)


def naive_box(logits: Tensor, window: Tensor, height: int, width: int) -> list[float]:
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
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(60, 7, 7, generator=generator) - torch.linspace(0, 4, 60)[:, None, None]
    corner = torch.rand(60, 2, generator=generator) * 60 - 20
    windows = torch.cat((corner, corner + 5 + torch.rand(60, 2, generator=generator) * 40), 1)
    expected = [naive_box(a, w, 37, 50) for a, w in zip(logits, windows, strict=True)]
    boxes = cell_boxes(logits, windows, 37, 50)
    torch.testing.assert_close(boxes, torch.tensor(expected))
    assert [0, 0, 0, 0] in expected
    torch.testing.assert_close(cell_boxes(logits.half(), windows, 37, 50), boxes)


def test_a_logit_of_zero_is_background() -> None:
    window = torch.tensor([[0.0, 0.0, 6.0, 6.0]])
    assert cell_boxes(torch.zeros(1, 3, 3), window, 6, 6).tolist() == [[0, 0, 0, 0]]


def test_moved_candidates_keep_all_but_their_place() -> None:
    windows = torch.tensor([[-3.0, 2.0, 9.0, 14.0]])
    one = Candidates(
        scores=torch.tensor([0.5]),
        windows=windows,
        logits=torch.ones(1, 3, 3),
        boxes=cell_boxes(torch.ones(1, 3, 3), windows, 20, 20),
        level=torch.tensor([1]),
        looks=(Look(2),),
        answers={"category": torch.tensor([7])},
    )
    moved = one.moved(100, 30)
    assert moved.windows.tolist() == [[97, 32, 109, 44]]
    assert moved.boxes.tolist() == [[100, 32, 109, 44]]  # cut where the part ended
    assert moved.scores is one.scores
    assert moved.logits is one.logits
    assert (moved.level, moved.answers) == (one.level, one.answers)
    assert moved.looks == (Look(2, origin=(100, 30)),)
    assert torch.equal(one.moved(0, 0).windows, windows)
