"""~DeepMask's head: a window alone gives what it gives among others, and the paper's sizes."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from builders import make_grid, random_maps
from instancefcn.baselines.deepmask import CHUNK, SlidingHead
from instancefcn.core.grid import Grid, Windows
from instancefcn.network.heads import ScoreMapHead


@pytest.fixture(scope="module")
def head() -> SlidingHead:
    torch.manual_seed(0)
    return SlidingHead(channels=3, hidden=5, size=4, mask=8)


@pytest.fixture(scope="module")
def maps(head: SlidingHead) -> Tensor:
    maps: Tensor = head(random_maps((2, 3, 12, 10)))
    return maps.detach()


def windows_at(*places: tuple[int, int, int]) -> Windows:
    image, y, x = torch.tensor(places, dtype=torch.int64).reshape(-1, 3).unbind(1)
    return Windows(image, y, x)


def grid_of(m: int) -> Grid:
    return make_grid(12, 10, m=m)


def by_hand(head: SlidingHead, crop: Tensor, m: int) -> Tensor:
    """The layers applied to a crop (C, size * r, size * r) whose cells are averaged r x r."""
    cells = F.adaptive_avg_pool2d(crop, head.size)
    logits = cells.flatten() @ head.encode.weight.T + head.encode.bias
    masks = (logits @ head.draw.weight.T + head.draw.bias).view(1, 1, head.mask, head.mask)
    return F.interpolate(masks, (m, m), mode="bilinear", antialias=True)[0, 0]


def test_no_window_has_no_mask(head: SlidingHead, maps: Tensor) -> None:
    assert head.decode(maps, windows_at(), grid_of(5)).shape == (0, 5, 5)


def test_a_windows_mask_is_its_layers_applied_to_its_crop() -> None:
    """Of 9 x 9 cells as 9 x 9 features: each cell of the crop is sampled at its own centre."""
    torch.manual_seed(1)
    head = SlidingHead(channels=3, hidden=5, size=9, mask=9)
    maps = random_maps((2, 3, 12, 13))
    logits = head.decode(maps, windows_at((1, 5, 6), (0, 4, 4)), grid_of(9))
    torch.testing.assert_close(logits[0], by_hand(head, maps[1, :, 1:10, 2:11], 9))
    torch.testing.assert_close(logits[1], by_hand(head, maps[0, :, 0:9, 0:9], 9))


def test_beyond_the_level_features_are_zero() -> None:
    torch.manual_seed(1)
    head = SlidingHead(channels=3, hidden=5, size=5, mask=5)
    maps = random_maps((1, 3, 6, 6))
    inside = head.decode(F.pad(maps, (9, 9, 9, 9)), windows_at((0, 9, 9)), grid_of(5))
    # Features between the outermost centres and the level's border hold on; a cell farther is zero.
    away = head.decode(maps, windows_at((0, -20, -20)), grid_of(5))
    nothing = head.decode(torch.zeros_like(maps), windows_at((0, 3, 3)), grid_of(5))
    torch.testing.assert_close(away, nothing)
    assert not torch.equal(inside, nothing)


def test_many_windows_are_filled_as_one_by_one(head: SlidingHead, maps: Tensor) -> None:
    places = [(i % 2, i % 12, i % 10) for i in range(CHUNK + 3)]
    together = head.decode(maps, windows_at(*places), grid_of(7))
    assert together.shape == (CHUNK + 3, 7, 7)
    for i in (0, 1, CHUNK - 1, CHUNK, CHUNK + 2):
        alone = head.decode(maps, windows_at(places[i]), grid_of(7))[0]
        torch.testing.assert_close(together[i], alone)


def test_every_parameter_gets_a_gradient(head: SlidingHead) -> None:
    maps = head(random_maps((1, 3, 12, 10)))
    torch.autograd.backward(head.decode(maps, windows_at((0, 6, 5)), grid_of(5)).square().sum())
    for name, parameter in head.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.abs().sum() > 0, name


def test_the_papers_comparison_of_sizes() -> None:
    """Section 3.2: 53 M weights in DeepMask's two layers, 0.1 M in the layer of score maps."""
    sliding, score_maps = SlidingHead(channels=512), ScoreMapHead(512, hidden=512, k=5)
    layers = sliding.encode.weight.numel() + sliding.draw.weight.numel()
    assert layers == 512 * 14 * 14 * 512 + 512 * 56 * 56 == 52_985_856
    assert score_maps.score.weight.numel() == 115_200
    assert layers / score_maps.score.weight.numel() == pytest.approx(460, abs=0.1)
