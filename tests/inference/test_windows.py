"""Windows of a level and their masks, as tensors. What becomes of them: ``test_ranking``."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from builders import make_level, propose, random_maps
from instancefcn.core import candidates
from instancefcn.core.look import Look
from instancefcn.inference.ranking import Selection, ranked
from instancefcn.inference.windows import (
    best_of,
    best_windows,
    cell_boxes,
    confidence,
    cut,
    filled,
)


def test_an_image_narrower_than_a_step_has_its_first_windows() -> None:
    """Cells of 4 pixels, a window at every second one: the first is centred 6 pixels in."""
    level = make_level(torch.ones(1, 1, 8, 8), torch.zeros(1, 4, 4), m=5, step=2)
    ((windows, _),) = best_windows([level], 3, 17, Selection(), 0)
    assert sorted(zip(windows.y.tolist(), windows.x.tolist(), strict=True)) == [(1, 1), (1, 3)]
    proposals = propose([level], 3, 2, Selection())
    assert proposals.boxes.tolist() == [[0, 0, 2, 3]]


def test_boxes_of_cells_are_those_of_candidates() -> None:
    logits = random_maps((60, 7, 7)) - torch.linspace(0, 4, 60)[:, None, None]
    corner = random_maps((60, 2), seed=1) * 20
    windows = torch.cat((corner, corner + 5 + 40 * random_maps((60, 2), seed=2).abs()), 1)
    expected = candidates.cell_boxes(logits.numpy(), windows.numpy(), 37, 50)
    np.testing.assert_array_equal(cell_boxes(logits, windows, 37, 50), expected)
    np.testing.assert_array_equal(cell_boxes(logits.half(), windows, 37, 50), expected)
    assert cell_boxes(logits[:0], windows[:0], 37, 50).shape == (0, 4)


def test_the_best_tensors_are_the_proposals() -> None:
    """What a step learns from is what inference finds."""
    levels = [make_level(random_maps((1, 9, 8, 12)), random_maps((1, 8, 12), seed=1), k=3)]
    selection = Selection(overlap=0.5, repeats=(0.3,), top=9)
    found = filled(levels, 30, 45, selection)
    best, proposals = (
        best_of(found, selection),
        ranked(found.candidates(Look(1)), 30, 45, selection),
    )
    assert len(best) == len(proposals) == 9
    for name in ("scores", "windows", "logits", "level"):
        np.testing.assert_array_equal(getattr(best, name), getattr(proposals, name))


@pytest.mark.parametrize(
    ("logits", "expected"),
    [
        ([0.0, -1.0, -9.0, 0.0], 0.0),
        ([9.0, -1.0, -9.0, 0.0], 1 / (1 + 2.718281828459045**-9)),
        ([1.0986123, 0.8472979, -3.0, -2.0], (0.75 + 0.7) / 2),
    ],
)
def test_confidence_is_the_mean_probability_of_the_foreground(
    logits: list[float], expected: float
) -> None:
    assert confidence(torch.tensor([logits]).view(1, 2, 2)).item() == pytest.approx(expected)


def test_confidence_of_no_masks() -> None:
    assert confidence(torch.zeros(0, 5, 5)).shape == (0,)


def test_a_mask_is_cut_where_it_meets_its_windows_border_inside_the_image() -> None:
    """Windows of 4 x 4 cells of 10 pixels on an image of 100 x 80: amid it, off its left border,
    and at its lower right corner.
    """
    windows = torch.tensor([[20.0, 20, 60, 60], [-5, 20, 35, 60], [60, 40, 100, 80]])
    left, low = torch.full((2, 4, 4), -1.0)
    left[:2, 0] = 1  # half of the left side, and a corner of the upper one
    low[3, :3] = 1  # three quarters of the lower side, and a corner of the left one
    assert cut(torch.maximum(left, low)[None], windows[:1], 80, 100).tolist() == [0.75]
    assert cut(left[None], windows[1:2], 80, 100).tolist() == [0.25]
    assert cut(low[None], windows[2:], 80, 100).tolist() == [0.25]
    assert cut(left[None], windows[2:], 80, 100).tolist() == [0.5]
    assert cut(-torch.ones(1, 4, 4), windows[:1], 80, 100).tolist() == [0.0]
    assert cut(torch.zeros(0, 4, 4), windows[:0], 80, 100).shape == (0,)
