"""The network: levels agree with its strides, its images do not meet, all of it learns."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from builders import make_sample, predictor_of, small_network
from instancefcn.core.grid import Grid, Windows
from instancefcn.core.level import Level
from instancefcn.core.sample import Sample
from instancefcn.figures.separation import levels_of
from instancefcn.formats.saving import load_proposals
from instancefcn.network.backbones import FeaturePyramid
from instancefcn.network.fcn import Branch, InstanceFCN
from instancefcn.network.head import Head, Targets, Term, per_image
from instancefcn.network.heads import ObjectnessHead, ScoreMapHead
from instancefcn.network.losses import Logistic, LogisticDice, Quality, Sampled
from instancefcn.network.presets import PaperNetwork
from instancefcn.training.batches import Collate
from instancefcn.training.targets import Matching, WindowSampling

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
    assert [(level.grid.m, level.grid.cell, level.grid.step) for level in levels] == [
        (11, (4, 4), 2),
        (21, (4, 4), 4),
        (21, (8, 8), 4),
    ]
    for level in levels:
        batch, _, rows, columns = level.maps.shape
        grid = level.grid
        assert (batch, rows * grid.cell[1], columns * grid.cell[0]) == (2, HEIGHT, WIDTH)
        assert level.objectness.shape == (2, rows // grid.step, columns // grid.step)
        assert level.maps.dtype == level.objectness.dtype == torch.float32
    assert [layout.over(HEIGHT, WIDTH) for layout in network.layouts()] == [
        level.grid for level in levels
    ]


def test_the_papers_network_is_one_level_at_stride_8() -> None:
    network = PaperNetwork()
    with torch.no_grad():
        (level,) = network(torch.rand(1, 3, HEIGHT, WIDTH))
    assert level.maps.shape == (1, 25, 8, 12)
    assert level.objectness.shape == (1, 8, 12)
    assert (level.grid.m, level.grid.cell, level.grid.step) == (21, (8, 8), 1)


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


@pytest.mark.parametrize("learnt", ["as the paper", "quality"])
def test_every_trained_parameter_gets_a_gradient(
    learnt: str, network: InstanceFCN, images: Tensor
) -> None:
    for mask_head, objectness_head, *_ in network.heads():
        assert isinstance(mask_head, ScoreMapHead)
        assert isinstance(objectness_head, ObjectnessHead)
        mask_head.mask_loss = Logistic() if learnt == "as the paper" else LogisticDice()
        objectness_head.objectness_loss = Sampled() if learnt == "as the paper" else Quality()
    network.zero_grad()
    (batch,) = Collate.of(network, Matching(), WindowSampling())(SAMPLES)
    assert all(len(targets.windows) for targets in batch.targets)
    terms = network.losses(network(images), batch.targets)
    assert list(terms) == network.term_names() == ["mask", "objectness"]
    torch.stack(list(terms.values())).sum().backward()  # type: ignore[no-untyped-call]
    trained = {name: p.grad for name, p in network.named_parameters() if p.requires_grad}
    idle = [name for name, gradient in trained.items() if gradient is None or not gradient.any()]
    assert idle == []


class CategoryHead(Head):
    """A further head, of the kind that a user adds: the category of each window's object."""

    name = "category"
    reads = "centres"

    def __init__(self, channels: int, categories: int) -> None:
        super().__init__()
        self.score = nn.Conv2d(channels, categories, 1)

    @staticmethod
    def make_targets(
        grid: Grid, sample: Sample, windows: Windows, objects: Tensor
    ) -> dict[str, Tensor]:
        return {"category": sample.categories[objects]}

    def forward(self, features: Tensor) -> Tensor:
        scores: Tensor = self.score(features)
        return scores

    def loss(self, level: Level, targets: Targets, drawn: Tensor) -> Term:
        logits = self.decode(level.answers["category"], targets.windows, level.grid)
        losses = cross_entropy(logits, targets.values["category"], reduction="none")
        return per_image(losses, targets.windows, len(level.maps))

    def decode(self, answer: Tensor, windows: Windows, grid: Grid) -> Tensor:
        y, x = grid.places(windows)
        return answer[windows.image, :, y, x]


def test_a_further_head_learns_and_answers_beside_the_others(images: Tensor) -> None:
    """With targets, a loss and an answer of its own; nothing else knows of it."""
    torch.manual_seed(0)
    branch = Branch(
        21,
        ScoreMapHead(8, 8, k=3),
        ObjectnessHead(8, 8),
        [0, 1],
        [2, 2],
        heads=[CategoryHead(8, categories=4)],
    )
    network = InstanceFCN(FeaturePyramid("test_efficientnet", 8), [branch])
    (batch,) = Collate.of(network, Matching(), WindowSampling())(SAMPLES)
    levels = network(images)
    assert levels[0].answers["category"].shape == (2, 4, HEIGHT // 16, WIDTH // 16)
    terms = network.losses(levels, batch.targets)
    assert list(terms) == ["mask", "objectness", "category"]
    assert 0.3 < terms["category"].item() < 4
    terms["category"].backward()  # type: ignore[no-untyped-call]
    assert next(branch.heads.parameters()).grad is not None


def test_what_a_further_head_says_comes_out_with_each_proposal(tmp_path: Path) -> None:
    """Through candidates of two sizes, ranking, a choice among proposals, and a file."""
    torch.manual_seed(0)
    heads = [CategoryHead(8, categories=4)]
    branch = Branch(21, ScoreMapHead(8, 8, k=3), ObjectnessHead(8, 8), [0, 1], [2, 2], heads=heads)
    network = InstanceFCN(FeaturePyramid("test_efficientnet", 8), [branch])
    predictor = predictor_of(network, [64, 96])
    pixels = SAMPLES[0].image.permute(1, 2, 0).numpy()
    found = predictor(pixels)
    levels = levels_of(predictor, pixels)
    for index in range(0, len(found), 40):
        level = levels[int(found.level[index])]
        x, y = ((found.windows[index, :2] + found.windows[index, 2:]) / 2).tolist()
        window = Windows(
            torch.tensor([0]),
            torch.tensor([int(y / level.grid.cell[1])]),
            torch.tensor([int(x / level.grid.cell[0])]),
        )
        expected = heads[0].decode(level.answers["category"], window, level.grid)
        np.testing.assert_allclose(found.answers["category"][index], expected[0])
    some = found[np.array([1, 3])]
    some.save(tmp_path / "x.safetensors")
    again = load_proposals(tmp_path / "x.safetensors")
    np.testing.assert_array_equal(again.answers["category"], found.answers["category"][[1, 3]])


@pytest.mark.parametrize(
    ("m", "maps", "centres"), [(20, [0], [0]), (1001, [0], [0]), (21, [0, 1], [1]), (21, [0], [])]
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
