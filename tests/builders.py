"""Small levels, samples, networks and figures for tests."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial

import torch
from torch import Tensor

from instancefcn.core.assembling import assemble
from instancefcn.core.grid import Grid, Windows
from instancefcn.core.level import Level
from instancefcn.core.look import Look
from instancefcn.core.proposals import Proposals
from instancefcn.core.sample import Sample
from instancefcn.inference.predictor import Predictor
from instancefcn.inference.ranking import Selection, ranked
from instancefcn.inference.settings import Inference
from instancefcn.inference.torch_engine import TorchEngine
from instancefcn.inference.windows import filled
from instancefcn.labelling.mnc import MncLabeller
from instancefcn.labelling.network import LabelledNetwork, MakeLabeller
from instancefcn.labelling.rois import CELLS, Rois
from instancefcn.network.backbones import FeaturePyramid
from instancefcn.network.fcn import Branch, InstanceFCN
from instancefcn.network.heads import ObjectnessHead, ScoreMapHead

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

    def fill(maps: Tensor, windows: Windows, grid: Grid) -> Tensor:
        return assemble(maps, windows, grid.m, k)

    grid = Grid(objectness.shape[1], objectness.shape[2], cell, m, step)
    return Level(grid, maps, objectness, fill)


def make_grid(height: int, width: int, *, m: int = 5, step: int = 1) -> Grid:
    """The grid over height x width cells of 4 x 4 pixels."""
    return Grid(height // step, width // step, (4, 4), m, step)


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
        categories=torch.arange(len(objects) + len(crowds)) + 1,
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


CATEGORIES = {3: "cat", 7: "dog"}


def labelled_network(
    labeller: MakeLabeller | None = None, categories: Mapping[int, str] = CATEGORIES, seed: int = 0
) -> LabelledNetwork:
    """``small_network`` with a small labeller, by default MNC's."""
    network = small_network(seed)
    labeller = labeller or partial(MncLabeller, width=8, hidden=16)
    return LabelledNetwork(network, labeller, categories)


def random_rois(image: Sequence[int], height: int, width: int, seed: int = 0) -> Rois:
    """A roi of each of these images, within height x width pixels, its mask random."""
    generator = torch.Generator().manual_seed(seed)
    ends = torch.rand(len(image), 2, 2, generator=generator).sort(1).values
    boxes = (ends * torch.tensor([width, height])).flatten(1)
    masks = torch.rand(len(image), CELLS, CELLS, generator=generator)
    return Rois(torch.tensor(image, dtype=torch.int64), boxes, masks)


def propose(
    levels: Sequence[Level], height: int, width: int, selection: Selection, image: int = 0
) -> Proposals:
    """From levels to proposals, without an engine."""
    windows = filled(levels, height, width, selection, image)
    return ranked(windows.candidates(Look(len(levels))), height, width, selection)


def predictor_of(
    network: InstanceFCN,
    sides: Sequence[int],
    selection: Selection | None = None,
    *,
    longest: float = 2.5,
    batch: int = 1,
) -> Predictor:
    settings = Inference(tuple(sides), selection or Selection(), longest)
    return Predictor(TorchEngine(network), settings, batch)
