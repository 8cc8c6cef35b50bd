"""The contract of labellers, each kind checked alike."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial

import pytest
import torch
from torch import Tensor

from builders import random_maps, random_rois
from instancefcn.labelling.labeller import Labeller
from instancefcn.labelling.mnc import MncLabeller
from instancefcn.labelling.rfcn import RfcnLabeller

CHANNELS, STRIDES, NUM_CATEGORIES = (3, 5), (4, 8), 2
IMAGES, HEIGHT, WIDTH = 3, 64, 96

MAKERS: dict[str, Callable[..., Labeller]] = {
    "mnc": partial(MncLabeller, width=4, hidden=6),
    "mnc, one map as it is": partial(MncLabeller, reads=[0], width=None, hidden=6),
    "rfcn over boxes": partial(RfcnLabeller, width=4, over="box"),
    "rfcn over masks": partial(RfcnLabeller, width=4, k=2),
    "rfcn, one map as it is": partial(RfcnLabeller, reads=[-1], width=None),
}
SEES_MASKS = [name for name in MAKERS if name != "rfcn over boxes"]


def make(name: str) -> Labeller:
    torch.manual_seed(0)
    return MAKERS[name](CHANNELS, STRIDES, NUM_CATEGORIES).eval()


def encoded() -> list[Tensor]:
    sizes = zip(CHANNELS, STRIDES, strict=True)
    return [random_maps((IMAGES, c, HEIGHT // s, WIDTH // s), seed=c) for c, s in sizes]


@torch.no_grad()
@pytest.mark.parametrize("name", MAKERS)
@pytest.mark.parametrize("image", [[], [0], [2, 0, 2, 0]])
def test_each_roi_has_a_logit_for_background_and_each_category(name: str, image: list[int]) -> None:
    logits = make(name)(encoded(), random_rois(image, HEIGHT, WIDTH))
    assert logits.shape == (len(image), 1 + NUM_CATEGORIES)
    assert logits.dtype == torch.float32
    assert logits.isfinite().all()


@torch.no_grad()
@pytest.mark.parametrize("name", MAKERS)
def test_a_roi_has_the_same_logits_alone(name: str) -> None:
    """Alone among rois, and its image alone in the batch."""
    labeller, maps = make(name), encoded()
    rois = random_rois([1, 0, 1, 2], HEIGHT, WIDTH)
    together = labeller(maps, rois)
    for index in range(len(rois)):
        image = int(rois.image[index])
        own = replace(rois[torch.tensor([index])], image=torch.zeros(1, dtype=torch.int64))
        alone = labeller([each[image : image + 1] for each in maps], own)
        torch.testing.assert_close(together[index], alone[0], rtol=1e-4, atol=1e-5)
    assert not torch.allclose(together[0], together[2]), "two rois of one image differ"


@torch.no_grad()
@pytest.mark.parametrize("name", MAKERS)
def test_the_mask_counts_where_it_is_said_to(name: str) -> None:
    rois = random_rois([0, 1], HEIGHT, WIDTH)
    one, other = (
        make(name)(encoded(), replace(rois, masks=m)) for m in (rois.masks, 0 * rois.masks)
    )
    assert torch.equal(one, other) == (name not in SEES_MASKS)
    assert other.isfinite().all()


@pytest.mark.parametrize("name", MAKERS)
def test_every_parameter_learns(name: str) -> None:
    labeller = make(name)
    labeller(encoded(), random_rois([0, 1, 2, 2], HEIGHT, WIDTH)).square().sum().backward()
    assert all(p.grad is not None and p.grad.any() for p in labeller.parameters())
