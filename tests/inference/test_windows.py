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
