"""What is shown against the level's own maps, ``assemble`` and the grid's spans."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from builders import make_level, predictor_of, propose, random_maps, small_network
from instancefcn.core.drawing import paste
from instancefcn.core.grid import Grid, Windows
from instancefcn.core.level import Level
from instancefcn.core.proposals import Proposals
from instancefcn.core.types import BACKGROUND
from instancefcn.figures.separation import (
    LEADERS,
    MOST,
    ScoreMaps,
    Separation,
    busiest,
    choose,
    levels_of,
    parts_of_levels,
    plain_map,
    require_plain,
    separate,
)
from instancefcn.formats.overlay import OVERLAP, WEAKEST
from instancefcn.inference.predictor import Predictor
from instancefcn.inference.ranking import Selection
from instancefcn.network.backbones import FeaturePyramid
from instancefcn.network.fcn import Branch, InstanceFCN
from instancefcn.network.heads import MaskHead, ObjectnessHead, ScoreMapHead

HEIGHT, WIDTH = 60, 90
PIXELS = np.random.default_rng(0).integers(0, 256, (HEIGHT, WIDTH, 3), np.uint8)


@pytest.fixture(scope="module")
def predictor() -> Predictor:
    """Of levels with windows of 11, 21 and 21 cells, at each of two sides."""
    return predictor_of(small_network(), [64, 96], Selection(windows_per_side=200))


def plain_network(*, channels: int = 8) -> InstanceFCN:
    """One branch of k = 1, its cells and windows those of the small network's first."""
    torch.manual_seed(1)
    head = ScoreMapHead(channels, hidden=8, k=1)
    branch = Branch(11, head, ObjectnessHead(channels, hidden=8), [0, 1], [1, 1])
    return InstanceFCN(FeaturePyramid("mobilenetv3_small_100", channels), [branch])


def proposals_of(boxes: list[list[float]], scores: list[float]) -> Proposals:
    """Masks that fill their windows, which are their boxes, on an image of 90 x 60 pixels."""
    spans = np.array(boxes, np.float32).reshape(-1, 4)
    logits = np.ones((len(boxes), 3, 3), np.float32)
    level = np.zeros(len(boxes), np.int64)
    return Proposals(np.array(scores, np.float32), spans, logits, level, HEIGHT, WIDTH)


# The gathered data.


@pytest.mark.parametrize("number", range(1, 7))
def test_maps_and_masks_are_the_levels_own(predictor: Predictor, number: int) -> None:
    separation = separate(predictor, [3] * 6, PIXELS, number)
    level = levels_of(predictor, PIXELS)[number - 1]
    maps = separation.maps.logits.reshape(level.maps.shape[1:])
    np.testing.assert_array_equal(maps, level.maps[0])
    assert (separation.maps.cell, separation.m) == (level.grid.cell, level.grid.m)
    assert (separation.number, separation.count) == (number, 6)
    assert len(separation.proposals) > 0
    corners = torch.from_numpy(separation.proposals.windows[:, :2])
    x, y = (corners / torch.tensor(level.grid.cell) + level.grid.m // 2).round().long().T
    windows = Windows(torch.zeros_like(x), y, x)
    np.testing.assert_array_equal(separation.proposals.logits, level.logits(windows))
    np.testing.assert_allclose(separation.proposals.windows, level.grid.spans(windows), atol=1e-5)


@pytest.mark.parametrize("number", [1, 2, 6])
def test_an_outlined_part_of_a_map_is_that_part_of_the_mask(
    predictor: Predictor, number: int
) -> None:
    """Put together cell by cell, from the outlines alone."""
    separation = separate(predictor, [3] * 6, PIXELS, number)
    maps, found = separation.maps, separation.proposals
    _, _, height, width = maps.logits.shape
    cell = np.array(maps.cell * 2)
    for n in range(len(found)):
        mask = np.full_like(found.logits[n], BACKGROUND)
        left, top = (found.windows[n] / cell).round().astype(int)[:2].tolist()
        for i in range(3):
            for j in range(3):
                span = (separation.part_boxes()[i, j, n] / cell).round().astype(int).tolist()
                for y in range(max(span[1], 0), min(span[3], height)):
                    for x in range(max(span[0], 0), min(span[2], width)):
                        mask[y - top, x - left] = maps.logits[i, j, y, x]
        np.testing.assert_array_equal(mask, found.logits[n])


def test_part_boxes_by_hand() -> None:
    # A window of 3 cells, 6 pixels wide and 9 high; with k = 2 its parts hold 2 cells and 1.
    separation = Separation(PIXELS, 1, 1, 3, ScoreMaps(np.zeros((2, 2, 4, 4)), (2, 3)), WINDOW)
    assert separation.part_boxes()[:, :, 0].tolist() == [
        [[-2, 3, 2, 9], [2, 3, 4, 9]],
        [[-2, 9, 2, 12], [2, 9, 4, 12]],
    ]


WINDOW = proposals_of([[-2, 3, 4, 12]], [0.5])


@pytest.mark.parametrize(("m", "k"), [(21, 5), (9, 3), (7, 1), (3, 5)])
def test_part_boxes_tile_the_window(m: int, k: int) -> None:
    maps = ScoreMaps(np.zeros((k, k, 4, 4)), (2, 3))
    boxes = Separation(PIXELS, 1, 1, m, maps, WINDOW).part_boxes()
    sizes = boxes[..., 2:] - boxes[..., :2]
    assert (sizes >= 0).all()
    assert sizes.prod(3).sum().item() == pytest.approx(6 * 9)
    assert boxes[..., :2].min((0, 1, 2)).tolist() == [-2, 3]
    assert boxes[..., 2:].max((0, 1, 2)).tolist() == [4, 12]


# The level.


def noisy_levels() -> list[Level]:
    """Two with the same cells but other windows, one with larger cells and a coarser grid."""
    shapes = ((9, 8, 12), (4, 8, 12), (1, 4, 6))
    maps = [random_maps((1, *shape), seed) for seed, shape in enumerate(shapes)]
    return [
        make_level(maps[0], random_maps((1, 8, 12), 3), m=5, k=3),
        make_level(maps[1], random_maps((1, 4, 6), 4), m=7, k=2, step=2),
        make_level(maps[2], random_maps((1, 2, 3), 5), cell=(8, 8), m=3, step=2),
    ]


def test_each_proposal_knows_its_level() -> None:
    """Its logits are those of that level's window at its place."""
    levels = noisy_levels()
    together = propose(levels, HEIGHT, WIDTH, Selection(overlap=1))
    for index, level in enumerate(levels):
        alone = propose([level], HEIGHT, WIDTH, Selection(overlap=1))
        assert (together.level == index).sum() == len(alone) > 0


def test_the_busiest_level_has_most_of_the_best_proposals() -> None:
    proposals = propose(noisy_levels(), HEIGHT, WIDTH, Selection())
    best = proposals.scores[:LEADERS] >= proposals.scores[0] * WEAKEST
    counts = np.bincount(proposals.level[:LEADERS][best], minlength=3)
    assert counts[busiest(proposals)] == counts.max()
    assert busiest(proposals[:1]) == int(proposals.level[0])
    assert busiest(proposals[:0]) == 0


def test_by_default_the_busiest_level_is_shown(predictor: Predictor) -> None:
    expected = busiest(predictor(PIXELS))
    assert separate(predictor, [3] * 6, PIXELS).number == expected + 1


def test_nothing_found_still_has_maps() -> None:
    predictor = predictor_of(small_network(), [64], Selection(min_score=0.9999))
    separation = separate(predictor, [3] * 3, PIXELS)
    assert separation.number == 1
    assert len(separation.proposals) == 0
    assert separation.part_boxes().shape == (3, 3, 0, 4)
    assert separation.maps.logits.shape[:2] == (3, 3)


# The windows.


def test_chosen_by_hand() -> None:
    boxes: list[list[float]] = [
        [0, 0, 20, 20],
        [5, 0, 25, 20],  # three quarters of it in the first
        [15, 0, 35, 20],  # a quarter
        [14, 4, 18, 8],  # within the first
        [40, 0, 60, 20],
        [70, 0, 90, 20],
        [40, 30, 60, 50],
    ]
    scores = [0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3]
    assert choose(proposals_of(boxes, scores)).scores.tolist() == pytest.approx(
        [0.9, 0.7, 0.5, 0.4]
    )


def test_those_that_touch_are_shown_first() -> None:
    alone: list[list[float]] = [[0, 0, 9, 9], [0, 40, 9, 49], [0, 80, 9, 89]]
    row: list[list[float]] = [[60, 0, 69, 9], [69, 0, 78, 9], [78, 5, 87, 14]]
    boxes = [alone[0], row[2], alone[1], row[0], alone[2], row[1]]
    chosen = choose(proposals_of(boxes, [0.9, 0.8, 0.7, 0.6, 0.5, 0.4]))
    assert chosen.scores.tolist() == pytest.approx([0.9, 0.8, 0.6, 0.4])


def test_without_any_that_touch_the_best_are_shown() -> None:
    boxes: list[list[float]] = [[20.0 * i, 0, 20.0 * i + 9, 9] for i in range(6)]
    chosen = choose(proposals_of(boxes, [0.9, 0.8, 0.7, 0.6, 0.5, 0.4]))
    assert chosen.scores.tolist() == pytest.approx([0.9, 0.8, 0.7, 0.6])


def test_weak_ones_and_those_without_pixels_are_left_out() -> None:
    boxes: list[list[float]] = [[0, 0, 9, 9], [20.6, 0, 21.4, 9], [40, 0, 60, 20], [70, 0, 90, 20]]
    chosen = choose(proposals_of(boxes, [0.9, 0.8, 0.31, 0.29]))
    assert chosen.scores.tolist() == pytest.approx([0.9, 0.31])
    assert len(choose(chosen[:0])) == 0


def test_chosen_ones_hardly_overlap(predictor: Predictor) -> None:
    chosen = choose(predictor(PIXELS))
    assert 1 < len(chosen) <= MOST
    masks = [
        paste(logits, window, HEIGHT, WIDTH)
        for logits, window in zip(chosen.logits, chosen.windows, strict=True)
    ]
    for i, mask in enumerate(masks):
        assert mask.any()
        for other in masks[:i]:
            assert (mask & other).sum() <= OVERLAP * min(mask.sum(), other.sum())


def test_a_stray_blob_hides_no_neighbour() -> None:
    """The first mask's tight box covers the second, which it does not touch."""
    both = proposals_of([[0, 0, 60, 30], [22, 0, 38, 16]], [0.9, 0.8])
    both.logits[0, :, 1] = -1
    assert len(choose(both)) == 2


# The plain FCN.


@pytest.mark.parametrize(("number", "like"), [(1, 0), (3, 1), (4, 2), (6, 3)])
def test_the_plain_map_is_of_the_level_most_alike(
    predictor: Predictor, number: int, like: int
) -> None:
    fcn = predictor_of(plain_network(), predictor.settings.sides)
    separation = separate(predictor, [3] * 6, PIXELS, number)
    plain = plain_map(fcn, PIXELS, separation)
    level = levels_of(fcn, PIXELS)[like]
    assert plain.k == 1
    assert plain.cell == level.grid.cell == separation.maps.cell
    np.testing.assert_array_equal(plain.logits[0], level.maps[0])
    height, width = level.maps.shape[2:]
    assert plain.size == (width * level.grid.cell[0], height * level.grid.cell[1])


def test_of_equal_cells_the_more_similar_window_decides() -> None:
    separation = separate(predictor_of(small_network(), [64]), [3] * 3, PIXELS, 2)
    network = small_network()
    fcn = predictor_of(network, [64])
    for branch in network.branches:
        assert isinstance(branch, Branch)
        branch.mask_head = ScoreMapHead(8, hidden=8, k=1)
    plain = plain_map(fcn, PIXELS, separation)
    np.testing.assert_array_equal(plain.logits[0], levels_of(fcn, PIXELS)[1].maps[0])


# Models.


class OneLayer(MaskHead):
    """A head that has no maps to show."""

    def forward(self, features: Tensor) -> Tensor:
        return features

    def decode(self, answer: Tensor, windows: Windows, grid: Grid) -> Tensor:
        return answer.new_zeros(len(windows), grid.m, grid.m)


def test_every_level_has_its_k(predictor: Predictor) -> None:
    assert parts_of_levels(predictor, "x") == [3] * len(levels_of(predictor, PIXELS))


def test_a_head_without_score_maps_is_told_in_one_line() -> None:
    network = small_network()
    branch = network.branches[1]
    assert isinstance(branch, Branch)
    branch.mask_head = OneLayer()
    with pytest.raises(
        ValueError, match=r"^mine: its OneLayer has no k x k score maps.*;"
    ) as error:
        parts_of_levels(predictor_of(network, [64]), "mine")
    assert "\n" not in str(error.value)


def test_a_plain_fcn_has_one_map() -> None:
    require_plain([1, 1], "mine")
    with pytest.raises(ValueError, match=r"^mine: k = 5, .*; give a model .* k: 1"):
        require_plain([1, 5], "mine")
