"""Heads: shapes, fields of view, and the paper's sizes."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from builders import make_grid, random_maps
from instancefcn.core.assembling import assemble
from instancefcn.core.grid import Windows
from instancefcn.network.heads import ObjectnessHead, ScoreMapHead


@pytest.fixture(scope="module")
def features() -> Tensor:
    return random_maps((2, 6, 7, 9))


def seen_from(scores: Tensor, features: Tensor) -> list[list[int]]:
    """The cells [y, x] of the first image's features on which a score depends."""
    (gradient,) = torch.autograd.grad(scores, features)
    assert not gradient[1].any()
    return gradient[0].abs().sum(0).nonzero().tolist()


AROUND = [[y, x] for y in (2, 3, 4) for x in (4, 5, 6)]  # of the cell (3, 5)


@pytest.mark.parametrize("k", [1, 3, 5])
def test_score_maps_keep_cells_and_number_k_squared(k: int, features: Tensor) -> None:
    assert ScoreMapHead(6, hidden=4, k=k)(features).shape == (2, k * k, 7, 9)


def test_a_score_sees_three_by_three_cells() -> None:
    torch.manual_seed(0)
    features = random_maps((2, 6, 7, 9)).requires_grad_()
    maps = ScoreMapHead(6, hidden=16, k=2)(features)
    assert seen_from(maps[0, :, 3, 5].sum(), features) == AROUND


def test_objectness_sees_three_by_three_cells() -> None:
    torch.manual_seed(0)
    features = random_maps((2, 6, 7, 9)).requires_grad_()
    objectness = ObjectnessHead(6, hidden=16)(features)
    assert objectness.shape == (2, 7, 9)
    assert seen_from(objectness[0, 3, 5], features) == AROUND


@pytest.mark.parametrize("m", [3, 7])
def test_score_maps_are_assembled_for_any_m(m: int, features: Tensor) -> None:
    head = ScoreMapHead(6, hidden=4, k=3)
    maps = head(features)
    windows = Windows(torch.tensor([0, 1]), torch.tensor([0, 5]), torch.tensor([4, 8]))
    assert torch.equal(
        head.decode(maps, windows, make_grid(7, 9, m=m)), assemble(maps, windows, m, k=3)
    )


@pytest.mark.parametrize("prior", [0.01, 0.5, 0.9])
def test_objectness_starts_from_its_prior(prior: float) -> None:
    head = ObjectnessHead(6, hidden=4, prior=prior)
    nn.init.zeros_(head.score.weight)
    probability = head(torch.zeros(1, 6, 2, 3)).sigmoid()
    torch.testing.assert_close(probability, torch.full((1, 2, 3), prior))


def test_the_papers_score_map_layer_has_a_tenth_of_a_million_weights() -> None:
    # Section 3.2 of the paper: 512 channels, 3 x 3, k = 5.
    head = ScoreMapHead(channels=512, hidden=512, k=5)
    assert head.score.weight.numel() == 512 * 3 * 3 * 25 == 115_200
    assert head.hidden.weight.shape == (512, 512, 1, 1)


def test_an_answer_that_is_one_a_window_is_read_at_the_windows_places() -> None:
    """Of two images; a window starts at every second cell."""
    grid = make_grid(6, 8, m=3, step=2)
    answer = random_maps((2, 3, 4))
    image, y, x = torch.tensor([0, 1, 1]), torch.tensor([2, 0, 1]), torch.tensor([3, 3, 0])
    said = ObjectnessHead(6, hidden=4).decode(answer, grid.windows(image, y, x), grid)
    assert said.tolist() == [answer[0, 2, 3], answer[1, 0, 3], answer[1, 1, 0]]
