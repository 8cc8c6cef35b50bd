"""R-FCN's classifier: parts of a roi read maps of their own."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import Tensor
from torchvision.ops import ps_roi_align, roi_align

from builders import random_maps, random_rois
from instancefcn.core.errors import UserError
from instancefcn.labelling.rfcn import RfcnLabeller, position_sensitive
from instancefcn.labelling.rois import CELLS, Rois

STRIDE, HEIGHT, WIDTH = 4, 32, 48


def maps(channels: int, k: int) -> Tensor:
    return random_maps((2, channels * k * k, HEIGHT // STRIDE, WIDTH // STRIDE))


def with_image(rois: Rois) -> Tensor:
    return torch.cat((rois.image[:, None].float(), rois.boxes), 1)


# --- position-sensitive pooling


@pytest.mark.parametrize("k", [1, 2, 7, 14])
def test_each_cell_reads_the_map_of_its_part(k: int) -> None:
    """Against a loop over the cells, each of which chooses among all maps."""
    scores, rois = maps(3, k), random_rois([1, 0, 1], HEIGHT, WIDTH)
    every = roi_align(scores, with_image(rois), CELLS, 1 / STRIDE, 1, aligned=True)
    every = every.view(len(rois), 3, k, k, CELLS, CELLS)
    expected = torch.empty(len(rois), 3, CELLS, CELLS)
    for i in range(CELLS):
        for j in range(CELLS):
            expected[:, :, i, j] = every[:, :, i * k // CELLS, j * k // CELLS, i, j]
    found = position_sensitive(scores, rois, STRIDE, k)
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)


def test_the_mean_of_a_part_is_torchvisions_with_its_cells_as_samples() -> None:
    """7 x 7 parts of 2 x 2 cells: the paper's own pooling."""
    scores, rois = maps(3, 7), random_rois([0, 1, 1], HEIGHT, WIDTH)
    expected = ps_roi_align(scores, with_image(rois), 7, 1 / STRIDE, 2)
    cells = position_sensitive(scores, rois, STRIDE, 7)
    means = torch.nn.functional.avg_pool2d(cells, 2)
    torch.testing.assert_close(means, expected, rtol=1e-4, atol=1e-5)


def test_no_roi_reads_nothing() -> None:
    assert position_sensitive(maps(3, 2), random_rois([], 1, 1), STRIDE, 2).shape == (0, 3, 14, 14)


# --- what is averaged


def scored(maps: Tensor, rois: Rois, over: str) -> Tensor:
    """A labeller whose score maps are these: (1, 2 * 2 * 2, h, w), of background and one category.

    Its features are the maps themselves, its layer the identity.
    """
    channels = maps.shape[1]
    labeller = RfcnLabeller([channels], [STRIDE], 1, reads=[0], width=None, k=2, over=over)  # type: ignore[arg-type]
    with torch.no_grad():
        labeller.score.weight.copy_(torch.eye(channels)[:, :, None, None])
        labeller.score.bias.zero_()  # type: ignore[union-attr]
        logits: Tensor = labeller([maps], rois)
    return logits


def quarter(rows: slice, columns: slice) -> Tensor:
    mask = torch.zeros(1, CELLS, CELLS)
    mask[0, rows, columns] = 1
    return mask


FIRST, LAST = slice(0, 7), slice(7, None)


@pytest.mark.parametrize(
    ("over", "mask", "expected"),
    [
        ("box", quarter(FIRST, FIRST), 3 / 4),
        ("box", quarter(LAST, LAST), 3 / 4),
        ("mask", quarter(FIRST, LAST), 3),
        ("mask", quarter(FIRST, FIRST), 0),
        ("mask", quarter(slice(None), LAST), 3 / 2),
        ("mask", quarter(FIRST, LAST) / 2, 3),
        ("mask", quarter(slice(0), slice(0)), 0),
    ],
)
def test_a_map_by_hand(over: str, mask: Tensor, expected: float) -> None:
    """The category's upper right part says 3 everywhere; the other seven maps are 0."""
    scores = torch.zeros(1, 8, HEIGHT // STRIDE, WIDTH // STRIDE)
    scores[0, 4 + 1] = 3
    rois = Rois(torch.zeros(1, dtype=torch.int64), torch.tensor([[4.0, 6, 40, 30]]), mask)
    torch.testing.assert_close(scored(scores, rois, over), torch.tensor([[0.0, expected]]))


@torch.no_grad()
def test_over_a_mask_of_ones_is_over_the_box() -> None:
    rois = random_rois([0, 1, 1], HEIGHT, WIDTH)
    rois = replace(rois, masks=torch.ones_like(rois.masks))
    scores = maps(2, 2)
    assert torch.equal(scored(scores, rois, "mask"), scored(scores, rois, "box"))


# --- its parts


@pytest.mark.parametrize("k", [1, 2, 7, 14])
def test_its_size_by_hand(k: int) -> None:
    neck = (3 * 4 + 4) + (5 * 4 + 4) + (4 * 4 * 9 + 4)
    score = 3 * k * k * (4 + 1)
    labeller = RfcnLabeller([3, 5], [4, 8], 2, width=4, k=k)
    assert sum(parameter.numel() for parameter in labeller.parameters()) == neck + score


@pytest.mark.parametrize("k", [-7, 0, 3, 28])
def test_a_number_of_parts_that_cells_do_not_make_is_told_in_one_line(k: int) -> None:
    with pytest.raises(UserError, match=rf"^k: {k} parts along a box; .* 1, 2, 7 or 14$"):
        RfcnLabeller([3], [4], 2, reads=[0], k=k)
