"""Losses against their formulas, written out cell by cell."""

from __future__ import annotations

import math
import operator
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial, reduce

import pytest
import torch
from torch import Tensor

from builders import make_level, random_maps
from instancefcn.core.level import Level
from instancefcn.network.head import IGNORED, NEGATIVE, Targets
from instancefcn.network.heads import ObjectnessHead, ScoreMapHead
from instancefcn.network.losses import Logistic, LogisticDice, Quality, Sampled, mask_iou


class Loss:
    """The terms of the two heads, without a network: objectness, mask, and their sum."""

    def __init__(self, paper: bool) -> None:
        self.paper = paper
        self.mask_head = ScoreMapHead(1, 1, k=1, loss=Logistic() if paper else LogisticDice())
        self.objectness_head = ObjectnessHead(1, 1, loss=Sampled() if paper else Quality())

    def __call__(self, levels: Sequence[Level], targets: Sequence[Targets]) -> Losses:
        means = []
        for head in (self.objectness_head, self.mask_head):
            terms = [
                head.loss(level, wanted, level.logits(wanted.windows))
                for level, wanted in zip(levels, targets, strict=True)
            ]
            means.append(reduce(operator.add, terms).mean())
        return Losses(*means)


@dataclass(frozen=True)
class Losses:
    objectness: Tensor
    mask: Tensor

    @property
    def total(self) -> Tensor:
        return self.objectness + self.mask


LOSSES = [Loss(paper=True), Loss(paper=False)]


def make_levels(batch: int = 2) -> list[Level]:
    """A fine level of plain maps, and a coarser one of 2 x 2 score maps."""
    return [
        make_level(random_maps((batch, 1, 6, 6), 1), random_maps((batch, 6, 6), 2), m=3),
        make_level(
            random_maps((batch, 4, 6, 6), 3), random_maps((batch, 3, 3), 4), m=5, k=2, step=2
        ),
    ]


def targets_of(level: Level, labels: Tensor, seed: int) -> Targets:
    """Random masks, some of their cells invalid, for the positive ones among ``labels``."""
    generator = torch.Generator().manual_seed(seed)
    windows = level.grid.windows(*(labels >= 0).nonzero(as_tuple=True))
    size = (len(windows), level.grid.m, level.grid.m)
    return Targets(
        labels=labels,
        windows=windows,
        values={
            "cover": torch.rand(size, generator=generator),
            "valid": torch.rand(size, generator=generator) < 0.8,
        },
    )


def make_targets(levels: list[Level]) -> list[Targets]:
    result = []
    for seed, level in enumerate(levels):
        generator = torch.Generator().manual_seed(seed)
        labels = torch.randint(IGNORED, 2, level.objectness.shape, generator=generator)
        result.append(targets_of(level, labels, seed))
    return result


def part_of(
    levels: list[Level], targets: list[Targets], image: int
) -> tuple[list[Level], list[Targets]]:
    """The batch of this image alone."""
    alone = [
        replace(
            level,
            maps=level.maps[image : image + 1],
            objectness=level.objectness[image : image + 1],
        )
        for level in levels
    ]
    return alone, [
        Targets(
            labels=t.labels[image : image + 1],
            windows=level.grid.windows(*(t.labels[image : image + 1] >= 0).nonzero(as_tuple=True)),
            values={name: value[t.windows.image == image] for name, value in t.values.items()},
        )
        for level, t in zip(alone, targets, strict=True)
    ]


# --- the formulas, naively


def logistic(logit: float, target: float) -> float:
    p = 1 / (1 + math.exp(-logit))
    return -target * math.log(p) - (1 - target) * math.log(1 - p)


Cells = list[tuple[float, float]]
"""Logit and target of a mask's valid cells."""


def cells_of(logits: Tensor, mask: Tensor, valid: Tensor) -> Cells:
    return list(zip(logits[valid].tolist(), mask[valid].tolist(), strict=True))


def paper_mask(cells: Cells) -> float:
    return sum(logistic(z, float(t >= 0.5)) for z, t in cells) / max(1, len(cells))


def quality_mask(cells: Cells) -> float:
    p = [1 / (1 + math.exp(-z)) for z, _ in cells]
    t = [target for _, target in cells]
    product = sum(a * b for a, b in zip(p, t, strict=True))
    squares = sum(a * a for a in p) + sum(b * b for b in t)
    dice = 1 - (2 * product + 1) / (squares + 1)
    return sum(logistic(z, t) for z, t in cells) / max(1, len(cells)) + dice


def iou(cells: Cells) -> float:
    drawn, true = [z > 0 for z, _ in cells], [t >= 0.5 for _, t in cells]
    both = sum(a and b for a, b in zip(drawn, true, strict=True))
    return both / max(1, sum(a or b for a, b in zip(drawn, true, strict=True)))


def naive(loss: Loss, levels: list[Level], targets: list[Targets]) -> tuple[float, float]:
    """Objectness and mask term, image by image and window by window."""
    batch = len(levels[0].maps)
    paper = loss.paper
    objectness_of_images, mask_of_images = [], []
    for image in range(batch):
        objectness, masks, taken = 0.0, [], 0
        for level, target in zip(levels, targets, strict=True):
            logits = iter(level.logits(target.windows)[target.windows.image == image])
            true = iter(target.values["cover"][target.windows.image == image])
            valid = iter(target.values["valid"][target.windows.image == image])
            labels = target.labels[image].flatten().tolist()
            for label, z in zip(labels, level.objectness[image].flatten().tolist(), strict=True):
                if label >= 0:
                    cells = cells_of(next(logits), next(true), next(valid))
                    masks.append(paper_mask(cells) if paper else quality_mask(cells))
                if label == IGNORED:
                    continue
                taken += 1
                if paper:
                    objectness += logistic(z, float(label >= 0))
                else:
                    quality = iou(cells) if label >= 0 else 0.0
                    p = 1 / (1 + math.exp(-z))
                    objectness += logistic(z, quality) * (quality - p) ** 2
        objectness_of_images.append(objectness / max(1, taken if paper else len(masks)))
        mask_of_images.append(sum(masks) / max(1, len(masks)))
    return sum(objectness_of_images) / batch, sum(mask_of_images) / batch


def assert_equals(losses: Losses, expected: tuple[float, float]) -> None:
    assert losses.objectness.item() == pytest.approx(expected[0], rel=1e-5)
    assert losses.mask.item() == pytest.approx(expected[1], rel=1e-5)


@pytest.mark.parametrize("batch", [1, 3])
@pytest.mark.parametrize("loss", LOSSES)
def test_equals_the_formula_written_out(loss: Loss, batch: int) -> None:
    levels = make_levels(batch)
    targets = make_targets(levels)
    losses = loss(levels, targets)
    assert_equals(losses, naive(loss, levels, targets))
    torch.testing.assert_close(losses.total, losses.objectness + losses.mask)


# --- by hand


def one_window(logit: float, target: float, score: float) -> tuple[list[Level], list[Targets]]:
    """A level of one cell with one window of one cell, which is positive."""
    level = make_level(torch.full((1, 1, 1, 1), logit), torch.full((1, 1, 1), score), m=1)
    labels = torch.zeros(1, 1, 1, dtype=torch.int64)
    windows = level.grid.windows(*(labels >= 0).nonzero(as_tuple=True))
    mask = torch.full((1, 1, 1), target)
    values = {"cover": mask, "valid": torch.ones_like(mask).bool()}
    return [level], [Targets(labels, windows, values)]


LOG_2, LOG_3, LOG_4 = math.log(2), math.log(3), math.log(4)


@pytest.mark.parametrize(
    ("logit", "target", "score", "objectness", "mask"),
    [
        (0.0, 1.0, 0.0, LOG_2, LOG_2),
        (LOG_3, 0.7, LOG_3, LOG_4 - LOG_3, LOG_4 - LOG_3),  # sigmoid(log 3) = 3/4; 0.7 is inside
        (LOG_3, 0.3, -LOG_3, LOG_4, LOG_4),  # and 0.3 is outside
    ],
)
def test_paper_loss_by_hand(
    logit: float, target: float, score: float, objectness: float, mask: float
) -> None:
    assert_equals(LOSSES[0](*one_window(logit, target, score)), (objectness, mask))


@pytest.mark.parametrize(
    ("logit", "target", "score", "objectness", "mask"),
    [
        # The mask is right: quality 1. Dice: (2 * 3/4 + 1) / (9/16 + 1 + 1).
        (LOG_3, 1.0, 0.0, LOG_2 / 4, LOG_4 - LOG_3 + 1 - 2.5 / (41 / 16)),
        # The mask is wrong: quality 0. Dice: (0 + 1) / (9/16 + 0 + 1).
        (LOG_3, 0.0, LOG_3, LOG_4 * 9 / 16, LOG_4 + 1 - 1 / (25 / 16)),
    ],
)
def test_quality_loss_by_hand(
    logit: float, target: float, score: float, objectness: float, mask: float
) -> None:
    assert_equals(LOSSES[1](*one_window(logit, target, score)), (objectness, mask))


@pytest.mark.parametrize(
    ("drawn", "true", "valid", "expected"),
    [
        ([1, 1, 0, 0], [1, 0, 1, 0], [1, 1, 1, 1], 1 / 3),
        ([1, 1, 0, 0], [1, 0, 1, 0], [1, 0, 0, 1], 1),
        ([1, 1, 1, 1], [0, 0, 0, 0], [1, 1, 1, 1], 0),
        ([0, 0, 0, 0], [0, 0, 0, 0], [1, 1, 1, 1], 0),
        ([1, 1, 1, 1], [1, 1, 1, 1], [0, 0, 0, 0], 0),
    ],
)
def test_mask_iou_by_hand(
    drawn: list[int], true: list[int], valid: list[int], expected: float
) -> None:
    cover, known = (torch.tensor([each]).view(1, 2, 2) for each in (true, valid))
    logits = torch.tensor([drawn]).view(1, 2, 2) - 0.5
    assert mask_iou(logits, cover.float(), known.bool()).tolist() == pytest.approx([expected])


# --- what must not matter


def with_values(targets: Targets, **changes: Tensor) -> Targets:
    return replace(targets, values={**targets.values, **changes})


@pytest.mark.parametrize("loss", LOSSES)
def test_invalid_cells_have_no_influence(loss: Loss) -> None:
    levels = make_levels()
    targets = make_targets(levels)
    expected = loss(levels, targets)
    changed = [
        with_values(
            t, cover=torch.where(t.values["valid"], t.values["cover"], 1 - t.values["cover"])
        )
        for t in targets
    ]
    assert torch.equal(loss(levels, changed).total, expected.total)

    logits = [
        level.logits(t.windows).requires_grad_() for level, t in zip(levels, targets, strict=True)
    ]
    given = [
        replace(level, fill=partial(_given, logits=z))
        for level, z in zip(levels, logits, strict=True)
    ]
    loss(given, targets).total.backward()  # type: ignore[no-untyped-call]
    for z, t in zip(logits, targets, strict=True):
        assert z.grad is not None
        assert not z.grad[~t.values["valid"]].any()
        assert z.grad[t.values["valid"]].all()


def _given(maps: Tensor, windows: object, grid: object, logits: Tensor) -> Tensor:
    return logits


@pytest.mark.parametrize("loss", LOSSES)
def test_ignored_windows_have_no_influence(loss: Loss) -> None:
    levels = make_levels()
    targets = make_targets(levels)
    scores = [level.objectness.clone().requires_grad_() for level in levels]
    given = [replace(level, objectness=z) for level, z in zip(levels, scores, strict=True)]
    loss(given, targets).total.backward()  # type: ignore[no-untyped-call]
    for z, t in zip(scores, targets, strict=True):
        assert z.grad is not None
        assert not z.grad[t.labels == IGNORED].any()
        assert z.grad[t.labels != IGNORED].all()


@pytest.mark.parametrize("loss", LOSSES)
def test_a_mask_without_a_valid_cell_costs_nothing(loss: Loss) -> None:
    levels, targets = one_window(1.0, 1.0, 0.0)
    blind = [with_values(t, valid=torch.zeros_like(t.values["valid"])) for t in targets]
    assert loss(levels, blind).mask.item() == 0


@pytest.mark.parametrize("label", [NEGATIVE, IGNORED])
@pytest.mark.parametrize("loss", LOSSES)
def test_without_positives_all_stays_finite(loss: Loss, label: int) -> None:
    levels = make_levels()
    for level in levels:
        level.maps.requires_grad_()
        level.objectness.requires_grad_()
    targets = [targets_of(level, torch.full(level.objectness.shape, label), 0) for level in levels]
    losses = loss(levels, targets)
    losses.total.backward()  # type: ignore[no-untyped-call]
    assert losses.mask.item() == 0
    assert losses.objectness.isfinite()
    assert bool(losses.objectness > 0) == (label == NEGATIVE)
    for level in levels:
        assert level.objectness.grad is not None
        assert level.objectness.grad.isfinite().all()


@pytest.mark.parametrize("loss", LOSSES)
def test_quality_is_not_what_masks_learn_from(loss: Loss) -> None:
    levels = make_levels()
    levels[0].maps.requires_grad_()
    objectness = loss(levels, make_targets(levels)).objectness
    assert not objectness.requires_grad


# --- batches


@pytest.mark.parametrize("loss", LOSSES)
def test_the_gradient_of_a_batch_is_the_mean_of_those_of_its_parts(loss: Loss) -> None:
    levels = make_levels(batch=3)
    targets = make_targets(levels)
    without = targets[0].labels[1].clamp(max=NEGATIVE)  # one image has positives on one level only
    targets[0] = targets_of(
        levels[0], torch.stack([*targets[0].labels[:1], without, *targets[0].labels[2:]]), 0
    )
    leaves = [t.requires_grad_() for level in levels for t in (level.maps, level.objectness)]
    whole = torch.autograd.grad(loss(levels, targets).total, leaves)
    parts = [
        torch.autograd.grad(loss(*part_of(levels, targets, image)).total, leaves, allow_unused=True)
        for image in range(3)
    ]
    for gradient, *of_parts in zip(whole, *parts, strict=True):
        mean = torch.stack([torch.zeros_like(gradient) if g is None else g for g in of_parts]).mean(
            0
        )
        torch.testing.assert_close(gradient, mean)
