"""Small levels, samples, networks and figures for tests."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import numpy as np
import torch
from torch import Tensor

from instancefcn.assembling import assemble
from instancefcn.backbones import FeaturePyramid
from instancefcn.evaluation.recall import AREAS, IOUS, MISSED, Matches
from instancefcn.heads import ObjectnessHead, ScoreMapHead
from instancefcn.network import Branch, InstanceFCN
from instancefcn.types import Level, Sample
from measuring import Measured

Box = tuple[int, int, int, int]


def make_level(
    maps: Tensor,
    objectness: Tensor,
    *,
    cell: tuple[float, float] = (4, 4),
    m: int = 5,
    step: int = 1,
    k: int = 1,
) -> Level:
    """A level as the score-map head makes it: maps (B, k * k, H, W), objectness (B, h, w)."""
    return Level(maps, objectness, cell, m, step, partial(assemble, k=k))


def blank_level(height: int, width: int, *, batch: int = 1, m: int = 5, step: int = 1) -> Level:
    """A level of height x width cells of 4 x 4 pixels that says nothing."""
    return make_level(
        torch.zeros(batch, 1, height, width),
        torch.zeros(batch, height // step, width // step),
        m=m,
        step=step,
    )


def rectangles(height: int, width: int, boxes: Sequence[Box]) -> Tensor:
    """Masks (n, height, width) bool of boxes (x0, y0, x1, y1)."""
    masks = torch.zeros(len(boxes), height, width, dtype=torch.bool)
    for mask, (x0, y0, x1, y1) in zip(masks, boxes, strict=True):
        mask[y0:y1, x0:x1] = True
    return masks


def make_sample(
    height: int,
    width: int,
    objects: Sequence[Box] = (),
    *,
    crowds: Sequence[Box] = (),
    void: Sequence[Box] = (),
    seed: int = 0,
) -> Sample:
    """A sample of noise with rectangular objects, after them the crowds, and void."""
    generator = torch.Generator().manual_seed(seed)
    return Sample(
        image=torch.randint(256, (3, height, width), dtype=torch.uint8, generator=generator),
        masks=rectangles(height, width, [*objects, *crowds]),
        crowds=torch.tensor([False] * len(objects) + [True] * len(crowds), dtype=torch.bool),
        void=rectangles(height, width, void).any(0),
        seed=seed,
    )


def random_maps(shape: Sequence[int], seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def small_network(seed: int = 0) -> InstanceFCN:
    """``general`` in small: two branches, over one and over two levels of a pyramid."""
    torch.manual_seed(seed)
    channels = 8
    return InstanceFCN(
        FeaturePyramid("mobilenetv3_small_100", channels),
        [
            Branch(
                m,
                ScoreMapHead(channels, hidden=8, k=3),
                ObjectnessHead(channels, hidden=8),
                maps,
                centres,
            )
            for m, maps, centres in ((11, [0], [1]), (21, [0, 1], [2, 3]))
        ],
    )


def measured_of(found: float, touching: bool = True) -> Measured:
    """Of 50 images with 20 objects each: this share of them is found by the first 10 masks at every
    IoU, half by 100 and more, and a quarter of 4 that touch.
    """

    def matches(objects: int, first: float, later: float) -> Matches:
        ranks = np.full((len(AREAS), len(IOUS), objects), MISSED, np.int32)
        ranks[..., : round(objects * later)] = 50
        ranks[..., : round(objects * first)] = 5
        return Matches(ranks, np.ones((len(AREAS), objects), np.bool_), void=False)

    close = matches(4 if touching else 0, 0.25, 0.25)
    return Measured((matches(20, found, 0.5),) * 50, (close,) * 50, np.full(50, 700), "abc")
