"""Where a labeller looks: masks cut out by their boxes, and features pooled under them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor
from torchvision.ops import roi_align

from builders import random_maps, random_rois
from instancefcn.core.errors import UserError
from instancefcn.core.look import Look
from instancefcn.core.proposals import Proposals
from instancefcn.labelling.rois import (
    CELLS,
    Neck,
    Rois,
    between,
    joined,
    mask_cells,
    rois_of,
    sampled,
)

STRIDE, ROWS, COLUMNS = 4, 9, 13


def torchvisions(features: Tensor, rois: Rois) -> Tensor:
    boxes = torch.cat((rois.image[:, None].float(), rois.boxes), 1)
    pooled: Tensor = roi_align(features, boxes, CELLS, 1 / STRIDE, sampling_ratio=1, aligned=True)
    return pooled


# --- pooling


@pytest.mark.parametrize("image", [[], [1], [2, 0, 2, 2, 0]])
def test_pooling_equals_torchvisions_roi_align(image: list[int]) -> None:
    """Values and gradients; the second of three images has a roi, or none."""
    rois = random_rois(image, ROWS * STRIDE, COLUMNS * STRIDE)
    weights = random_maps((len(image), 2, CELLS, CELLS), seed=1)
    features = random_maps((3, 2, ROWS, COLUMNS)).requires_grad_()
    ours, theirs = rois.pooled(features, STRIDE), torchvisions(features, rois)
    assert ours.shape == (len(image), 2, CELLS, CELLS)
    torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-5)
    one, other = (torch.autograd.grad((x * weights).sum(), features)[0] for x in (ours, theirs))
    torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-5)


def test_pooling_a_ramp_gives_the_places_of_the_cells() -> None:
    """A map whose value is its column, in pixels: what is pooled is the cells' x."""
    x = (torch.arange(COLUMNS) + 0.5) * STRIDE
    ramp = x.expand(1, 1, ROWS, COLUMNS)
    boxes = torch.tensor([[6.0, 4, 34, 20]])
    rois = Rois(torch.zeros(1, dtype=torch.int64), boxes, torch.ones(1, CELLS, CELLS))
    expected = (6 + 2 * (torch.arange(CELLS) + 0.5)).expand(1, 1, CELLS, CELLS)
    torch.testing.assert_close(rois.pooled(ramp, STRIDE), expected)


def test_places_between_values_by_hand() -> None:
    """What lies beyond the ends has the end's value."""
    weights = between(torch.tensor([[0, 1.25, -3, 9]]), 4)
    assert weights.tolist() == [[[1, 0, 0, 0], [0, 0.75, 0.25, 0], [1, 0, 0, 0], [0, 0, 0, 1]]]


# --- masks


def test_maps_are_sampled_between_centres_and_empty_outside() -> None:
    """Two columns at centres, one between, one on the border, one beyond; one row at a centre."""
    maps = torch.tensor([[[1.0, 3], [5, 9]]])
    across = torch.tensor([[-0.5, 0.5, 0, 1, 2]])
    down = torch.tensor([[0.5]])
    torch.testing.assert_close(sampled(maps, across, down), torch.tensor([[[5, 9, 7, 4.5, 0]]]))


def test_rows_and_columns_of_each_map_are_its_own() -> None:
    maps = random_maps((3, 5, 5))
    centres = (torch.arange(5) + 0.5) / 5 * 2 - 1
    across = torch.stack([centres, centres.flip(0), centres])
    down = torch.stack([centres, centres, centres.flip(0)])[:, :4]
    expected = torch.stack([maps[0, :4], maps[1, :4].flip(1), maps[2].flip(0)[:4]])
    torch.testing.assert_close(sampled(maps, across, down), expected)
    assert sampled(maps[:0], across[:0], down[:0]).shape == (0, 4, 5)


def test_cells_of_a_mask_by_hand() -> None:
    """Boxes whose cells lie on the window's own, half-way between two of them, and beyond it."""
    logits = random_maps((1, 15, 15)).expand(3, -1, -1)
    windows = torch.tensor([[10.0, 20, 25, 35]]).expand(3, -1)
    boxes = torch.tensor([[10.0, 20, 24, 34], [10.5, 21, 24.5, 35], [40, 20, 54, 34]])
    cells = mask_cells(logits, windows, boxes)
    probability = logits[0].sigmoid()
    torch.testing.assert_close(cells[0], probability[:14, :14])
    torch.testing.assert_close(cells[1], (probability[1:, :14] + probability[1:, 1:]) / 2)
    assert not cells[2].any()
    assert mask_cells(logits[:0], windows[:0], boxes[:0]).shape == (0, CELLS, CELLS)


# --- rois


@pytest.fixture
def proposals() -> Proposals:
    """One, of cells of 2 pixels: 6 x 3 of them are above 0, from (14, 26) to (26, 32)."""
    logits = np.full((1, 11, 11), -1, np.float32)
    logits[0, 3:6, 2:8] = 2
    scores, windows = np.ones(1, np.float32), np.array([[10, 20, 32, 42]], np.float32)
    return Proposals(scores, windows, logits, np.zeros(1, np.int64), 50, 60)


def test_rois_lie_where_a_look_shows_the_masks(proposals: Proposals) -> None:
    """By hand: from the image's pixels to those of the input, by its origin and scale."""
    looks = (Look(1), Look(1, scale=(2, 0.5)).moved(10, 20))
    plain, scaled = (rois_of(proposals, look) for look in looks)
    assert plain.boxes.tolist() == [[14, 26, 26, 32]]
    assert scaled.boxes.tolist() == [[2, 12, 8, 24]]
    for rois in (plain, scaled):
        assert rois.image.tolist() == [0]
        assert torch.equal(rois.masks, plain.masks)
    inner = plain.masks[0, 2:-2, 2:-2]
    torch.testing.assert_close(inner, torch.full_like(inner, 2).sigmoid())


def test_no_proposal_is_no_roi(proposals: Proposals) -> None:
    assert len(rois_of(proposals[:0], Look(1))) == 0


def test_rois_are_joined_in_order() -> None:
    rois = random_rois([0, 1, 1], 20, 20)
    again = joined([rois[torch.tensor(index, dtype=torch.int64)] for index in ([0], [], [1, 2])])
    for name, values in vars(rois).items():
        assert torch.equal(vars(again)[name], values)


# --- the map that labellers pool from

CHANNELS, STRIDES = (3, 5, 7), (4, 8, 16)


def encoded(batch: int = 2) -> list[Tensor]:
    sizes = [(batch, c, 64 // s, 96 // s) for c, s in zip(CHANNELS, STRIDES, strict=True)]
    return [random_maps(size, seed) for seed, size in enumerate(sizes)]


def test_a_neck_joins_maps_at_the_finest_ones_stride() -> None:
    """In whatever order they are named; all of it is learnt."""
    torch.manual_seed(0)
    neck = Neck(CHANNELS, STRIDES, reads=(-1, -2), width=6)
    joint = neck(encoded())
    assert (neck.stride, neck.channels) == (8, 6)
    assert joint.shape == (2, 6, 8, 12)
    joint.square().sum().backward()
    assert all(p.grad is not None and p.grad.any() for p in neck.parameters())
    torch.manual_seed(0)
    assert torch.equal(Neck(CHANNELS, STRIDES, (1, 2), 6)(encoded()), joint)


def test_without_a_width_the_one_map_stays_as_it_is() -> None:
    neck = Neck(CHANNELS, STRIDES, reads=[1], width=None)
    maps = encoded()
    assert neck(maps) is maps[1]
    assert (neck.stride, neck.channels, list(neck.parameters())) == (8, 5, [])


@pytest.mark.parametrize(
    ("reads", "width"), [([], 8), ([3], 8), ([-4], 8), ([0, 3], 8), ([0, 1], None), ([], None)]
)
def test_maps_that_cannot_be_joined_are_told_in_one_line(
    reads: list[int], width: int | None
) -> None:
    with pytest.raises(UserError, match=r"reads the maps .* of an encoder with 3 maps; ") as error:
        Neck(CHANNELS, STRIDES, reads, width)
    assert "\n" not in str(error.value)


def test_rois_check_their_shapes() -> None:
    rois = random_rois([0, 1], 20, 20)
    with pytest.raises(AssertionError):
        replace(rois, boxes=rois.boxes[:1])
    with pytest.raises(AssertionError):
        replace(rois, masks=rois.masks[:, 1:])
