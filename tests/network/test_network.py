"""The network: levels agree with its strides, its images do not meet, all of it learns."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
import torch
from torch import Tensor

from builders import make_sample, small_network
from instancefcn.network.backbones import FeaturePyramid, Vgg16
from instancefcn.network.fcn import Branch, InstanceFCN
from instancefcn.network.heads import ObjectnessHead, ScoreMapHead
from instancefcn.training.losses import Loss, PaperLoss, QualityLoss
from instancefcn.training.targets import Matching, Sampling, make_targets

HEIGHT, WIDTH = 64, 96
SAMPLES = [
    make_sample(HEIGHT, WIDTH, [(8, 8, 40, 36), (50, 20, 80, 55)], seed=1),
    make_sample(HEIGHT, WIDTH, [(10, 4, 90, 60)], void=[(0, 0, 8, 64)], seed=2),
]


@pytest.fixture(scope="module")
def network() -> InstanceFCN:
    return small_network()


@pytest.fixture(scope="module")
def images() -> Tensor:
    return torch.stack([sample.image for sample in SAMPLES]).float() / 255


def test_levels_agree_with_strides_and_steps(network: InstanceFCN, images: Tensor) -> None:
    levels = network(images)
    assert [(level.m, level.cell, level.step) for level in levels] == [
        (11, (4, 4), 2),
        (21, (4, 4), 4),
        (21, (8, 8), 4),
    ]
    for level in levels:
        batch, _, rows, columns = level.maps.shape
        assert (batch, rows * level.cell[1], columns * level.cell[0]) == (2, HEIGHT, WIDTH)
        assert level.objectness.shape == (2, rows // level.step, columns // level.step)
        assert level.maps.dtype == level.objectness.dtype == torch.float32


def test_the_papers_network_is_one_level_at_stride_8() -> None:
    network = InstanceFCN(
        Vgg16(), [Branch(21, ScoreMapHead(512, 512, k=5), ObjectnessHead(512, 512))]
    )
    with torch.no_grad():
        (level,) = network(torch.rand(1, 3, HEIGHT, WIDTH))
    assert level.maps.shape == (1, 25, 8, 12)
    assert level.objectness.shape == (1, 8, 12)
    assert (level.m, level.cell, level.step) == (21, (8, 8), 1)


@torch.no_grad()
def test_a_batch_of_two_is_two_batches_of_one(network: InstanceFCN, images: Tensor) -> None:
    both = network(images)
    alone = [network(image[None]) for image in images]
    for level, *parts in zip(both, *alone, strict=True):
        for name in ("maps", "objectness"):
            single = torch.cat([getattr(part, name) for part in parts])
            torch.testing.assert_close(getattr(level, name), single, rtol=1e-4, atol=1e-5)


@torch.no_grad()
def test_levels_are_float32_under_autocast(network: InstanceFCN, images: Tensor) -> None:
    with torch.autocast("cpu", torch.bfloat16):
        levels = network(images)
    assert {t.dtype for level in levels for t in (level.maps, level.objectness)} == {torch.float32}


@pytest.mark.parametrize("loss", [PaperLoss(), QualityLoss()])
def test_every_trained_parameter_gets_a_gradient(
    loss: Loss, network: InstanceFCN, images: Tensor
) -> None:
    network.zero_grad()
    levels = network(images)
    targets = make_targets(levels, SAMPLES, Matching(), Sampling())
    assert all(len(target.windows) for target in targets)
    losses = loss(levels, targets)
    losses.total.backward()  # type: ignore[no-untyped-call]
    trained = {name: p.grad for name, p in network.named_parameters() if p.requires_grad}
    idle = [name for name, gradient in trained.items() if gradient is None or not gradient.any()]
    assert idle == []


@pytest.mark.parametrize(
    ("m", "maps", "centres"), [(20, [0], [0]), (21, [0, 1], [1]), (21, [0], [])]
)
def test_branches_that_cannot_be_are_refused(
    m: int, maps: Sequence[int], centres: Sequence[int]
) -> None:
    with pytest.raises(ValueError, match="expected an odd m") as error:
        Branch(m, ScoreMapHead(8, 8, k=3), ObjectnessHead(8, 8), maps, centres)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(("maps", "centres"), [([0], [4]), ([2], [1]), ([-1], [0])])
def test_a_branch_that_its_backbone_cannot_serve_is_refused(
    maps: list[int], centres: list[int]
) -> None:
    branch = Branch(5, ScoreMapHead(8, hidden=8, k=3), ObjectnessHead(8, hidden=8), maps, centres)
    with pytest.raises(ValueError, match=r"strides \[4, 8, 16, 32\]"):
        InstanceFCN(FeaturePyramid("test_efficientnet", 8), [branch])
