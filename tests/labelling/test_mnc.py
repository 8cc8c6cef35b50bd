"""MNC's classifier: what it computes, how large it is."""

from __future__ import annotations

from dataclasses import replace

import torch
import torch.nn.functional as F
from torchvision.ops import roi_align

from builders import random_maps, random_rois
from instancefcn.labelling.mnc import MncLabeller
from instancefcn.labelling.rois import CELLS


def size(labeller: MncLabeller) -> int:
    return sum(parameter.numel() for parameter in labeller.parameters())


@torch.no_grad()
def test_it_is_two_paths_over_torchvisions_pooling() -> None:
    """The paper's stage by other means, on one map as it is."""
    torch.manual_seed(0)
    labeller = MncLabeller([3], [8], 2, reads=[0], width=None, hidden=6).eval()
    features = random_maps((2, 3, 8, 12))
    rois = random_rois([1, 0, 1], 64, 96)
    boxes = torch.cat((rois.image[:, None].float(), rois.boxes), 1)
    pooled = roi_align(features, boxes, CELLS, 1 / 8, 1, aligned=True)
    box, mask = (F.max_pool2d(x, 2).flatten(1) for x in (pooled, pooled * rois.masks[:, None]))
    both = torch.cat((labeller.box_path(box), labeller.mask_path(mask)), 1)
    torch.testing.assert_close(
        labeller([features], rois), labeller.score(both), rtol=1e-4, atol=1e-5
    )


@torch.no_grad()
def test_a_mask_of_ones_leaves_the_features_as_they_are() -> None:
    """Two equal paths then say the same, and their difference is 0."""
    torch.manual_seed(0)
    labeller = MncLabeller([3], [8], 1, reads=[0], width=None, hidden=4).eval()
    labeller.mask_path.load_state_dict(labeller.box_path.state_dict())
    labeller.score.weight[:, 4:] = -labeller.score.weight[:, :4]
    rois = random_rois([0, 0], 64, 96)
    maps = [random_maps((1, 3, 8, 12))]
    bias = labeller.score.bias.expand(2, -1)
    ones = labeller(maps, replace(rois, masks=torch.ones_like(rois.masks)))
    torch.testing.assert_close(ones, bias, rtol=0, atol=1e-6)
    assert not torch.allclose(labeller(maps, rois), bias, rtol=0, atol=1e-3)


def test_its_size_by_hand() -> None:
    lateral = (3 * 4 + 4) + (5 * 4 + 4)
    context = 4 * 4 * 9 + 4
    path = (4 * 49 * 6 + 6) + (6 * 6 + 6)
    score = 12 * 3 + 3
    labeller = MncLabeller([3, 5], [4, 8], 2, width=4, hidden=6)
    assert size(labeller) == lateral + context + 2 * path + score


def test_the_papers_size_by_hand() -> None:
    """4096 units on VGG-16's 512 channels; without memory for them."""
    with torch.device("meta"):
        labeller = MncLabeller([512], [8], 20, reads=[0], width=None, hidden=4096)
    path = (512 * 49 * 4096 + 4096) + (4096 * 4096 + 4096)
    assert size(labeller) == 2 * path + 8192 * 21 + 21


def test_units_are_left_out_while_it_learns_only() -> None:
    torch.manual_seed(0)
    labeller = MncLabeller([3], [8], 1, reads=[0], hidden=64, width=4, dropout=0.5)
    maps, rois = [random_maps((1, 3, 8, 12))], random_rois([0, 0], 64, 96)
    one, other = labeller(maps, rois), labeller(maps, rois)
    assert not torch.equal(one, other)
    labeller.eval()
    assert torch.equal(labeller(maps, rois), labeller(maps, rois))
