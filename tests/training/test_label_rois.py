"""What a labeller learns from, by hand: which masks show which objects, and which take part."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest
import torch

from builders import Box, make_sample, random_rois, rectangles
from instancefcn.core.errors import UserError
from instancefcn.inference.windows import Filled
from instancefcn.labelling.rois import CELLS, Rois, mask_cells
from instancefcn.network.head import Term
from instancefcn.training.rois import (
    BACKGROUND,
    IGNORED,
    PIXELS,
    Objects,
    RoiSampling,
    drawn_rois,
    labels_of,
    mined,
    objects_of,
)

SIDE = 36
M = SIDE // PIXELS
"""Of the tests' windows: the whole image, a cell of theirs a cell of the grid."""

PLACES = {1: 10, 2: 20, 3: 30}


def found_masks(boxes: Sequence[Box]) -> Filled:
    """Windows whose masks are these boxes, in cells of the grid."""
    n = len(boxes)
    corners = torch.tensor(boxes, dtype=torch.float32).reshape(n, 4)
    return Filled(
        scores=torch.linspace(1, 0.5, n),
        windows=torch.tensor([[0.0, 0, SIDE, SIDE]]).expand(n, -1),
        logits=rectangles(M, M, boxes).float() * 2 - 1,
        boxes=corners * PIXELS,
        level=torch.zeros(n, dtype=torch.int64),
        answers={},
    )


def pixels(boxes: Sequence[Box]) -> list[Box]:
    return [(x0 * PIXELS, y0 * PIXELS, x1 * PIXELS, y1 * PIXELS) for x0, y0, x1, y1 in boxes]


def objects(
    boxes: Sequence[Box], *, void: Sequence[Box] = (), crowds: Sequence[Box] = ()
) -> Objects:
    """Objects on cells of the grid, of the labels 10, 20, 30."""
    kinds = {"void": pixels(void), "crowds": pixels(crowds)}
    return objects_of(make_sample(SIDE, SIDE, pixels(boxes), seed=5, **kinds), PLACES)


# --- objects


def test_objects_of_a_sample_by_hand() -> None:
    """On cells of 4 x 4 pixels: a cell is an object's from half of it on."""
    sample = make_sample(
        *(12, 16), [(0, 0, 8, 4), (4, 4, 10, 12)], crowds=[(0, 8, 4, 12)], void=[(12, 0, 14, 4)],
        seed=9,
    )  # fmt: skip
    found = objects_of(sample, PLACES)
    assert found.labels.tolist() == [10, 20]
    assert found.boxes.tolist() == [[0, 0, 8, 4], [4, 4, 10, 12]]
    assert found.masks.tolist() == [
        [[1, 1, 0, 0], [0, 0, 0, 0], [0, 0, 0, 0]],
        [[0, 0, 0, 0], [0, 1, 1, 0], [0, 1, 1, 0]],
    ]
    assert found.judged.tolist() == [[1, 1, 1, 0], [1, 1, 1, 1], [0, 1, 1, 1]]
    assert torch.equal(found.cells, torch.ones(2, CELLS, CELLS))
    assert found.seed == 9


def test_cells_of_an_object_are_its_mask_cut_out_by_its_box() -> None:
    """An L of 28 x 28 pixels: two a cell, the upper right quarter is free."""
    sample = make_sample(40, 40, [(6, 6, 34, 34)])
    sample.masks[0, 6:20, 20:34] = False
    (cells,) = objects_of(sample, PLACES).cells
    expected = torch.ones(CELLS, CELLS)
    expected[:7, 7:] = 0
    assert torch.equal(cells, expected)


@pytest.mark.parametrize("size", [(12, 16), (13, 18)])
def test_a_sample_without_objects(size: tuple[int, int]) -> None:
    """Sides that are no multiple of a cell are made up; a crowd is no object."""
    found = objects_of(make_sample(*size, crowds=[(0, 0, 4, 4)]), PLACES)
    rows, columns = (-(-side // PIXELS) for side in size)
    assert found.masks.shape == (0, rows, columns)
    assert found.judged.sum() == rows * columns - 1
    assert (len(found.labels), len(found.boxes), len(found.cells)) == (0, 0, 0)


# --- what a mask shows


@pytest.mark.parametrize(
    ("mask", "label"),
    [
        ((0, 0, 4, 4), 10),
        ((0, 0, 4, 2), 10),  # 8 / 16
        ((0, 0, 7, 1), BACKGROUND),  # 4 / 19
        ((0, 0, 3, 2), BACKGROUND),  # 6 / 16
        ((0, 0, 8, 4), 10),  # 16 / 32
        ((0, 0, 9, 4), BACKGROUND),  # 16 / 36
        ((5, 5, 9, 9), 20),
        ((0, 4, 1, 5), BACKGROUND),
    ],
)
def test_a_mask_shows_an_object_from_half_their_union_on(mask: Box, label: int) -> None:
    two = objects([(0, 0, 4, 4), (5, 5, 9, 9)])
    assert labels_of(found_masks([mask]), two, 0.5).tolist() == [label]


def test_a_mask_shows_the_object_that_it_overlaps_most() -> None:
    """Of two that overlap: 12 / 16 and 12 / 20 with the first two masks, and the other way."""
    two = objects([(0, 0, 4, 4), (1, 0, 6, 4)])
    assert labels_of(found_masks([(1, 0, 4, 4), (1, 0, 5, 4)]), two, 0.5).tolist() == [10, 20]


@pytest.mark.parametrize("kind", ["void", "crowds"])
@pytest.mark.parametrize(
    ("mask", "label"),
    [((6, 0, 9, 3), IGNORED), ((5, 0, 7, 2), IGNORED), ((4, 0, 7, 2), BACKGROUND)],
)
def test_what_nobody_judged_for_the_half_is_ignored(mask: Box, label: int, kind: str) -> None:
    """Columns from 6 on are void, or a crowd."""
    unjudged = {kind: [(6, 0, 9, 9)]}
    assert labels_of(found_masks([mask]), objects([], **unjudged), 0.5).tolist() == [label]


def test_masks_and_objects_are_compared_where_they_are_judged() -> None:
    """An object of 8 x 4 cells, half of it void: a mask of the other half shows all of it."""
    one = objects([(0, 0, 8, 4)], void=[(4, 0, 9, 9)])
    assert labels_of(found_masks([(0, 0, 4, 4), (0, 0, 2, 3)]), one, 0.9).tolist() == [10, 0]


def test_no_mask_and_no_object() -> None:
    assert labels_of(found_masks([]), objects([(0, 0, 4, 4)]), 0.5).tolist() == []
    assert labels_of(found_masks([(0, 0, 1, 1)]), objects([]), 0.5).tolist() == [BACKGROUND]


# --- which take part

OBJECTS: list[Box] = [(0, 0, 4, 4), (5, 5, 9, 9)]
EMPTY: list[Box] = [(x, 7, x + 1, 9) for x in range(4)] * 10
SAMPLING = RoiSampling(per_image=8, foreground=0.25, mined=2)


@pytest.mark.parametrize(
    ("masks", "shown", "empty"),
    [
        (EMPTY, 2, 12),  # the objects themselves
        (EMPTY + OBJECTS * 5, 2, 12),
        (EMPTY[:3], 2, 3),
        ([], 2, 0),
    ],
)
def test_one_in_four_shows_an_object(masks: list[Box], shown: int, empty: int) -> None:
    """Of 8, 2 at most; of the 6 that are left twice as many, for the hardest to be taken."""
    rois, labels = drawn_rois(found_masks(masks), objects(OBJECTS), SAMPLING, image=3)
    assert (int((labels > 0).sum()), int((labels == BACKGROUND).sum())) == (shown, empty)
    assert rois.image.tolist() == [3] * (shown + empty)


def test_without_an_object_all_are_background() -> None:
    _, labels = drawn_rois(found_masks(EMPTY), objects([]), SAMPLING, image=0)
    assert labels.tolist() == [BACKGROUND] * 16


def test_what_is_ignored_takes_no_part() -> None:
    nothing = objects([], void=[(0, 0, 9, 9)])
    rois, labels = drawn_rois(found_masks(EMPTY), nothing, SAMPLING, image=0)
    assert (len(rois), len(labels)) == (0, 0)


def test_each_roi_has_its_own_box_and_mask() -> None:
    """All of them take part: those found as they were found, then the objects as drawn."""
    found, wanted = found_masks([(0, 0, 4, 3), (4, 0, 5, 2), (5, 5, 9, 8)]), objects(OBJECTS)
    sampling = RoiSampling(per_image=16, foreground=0.5)
    rois, labels = drawn_rois(found, wanted, sampling, image=0)
    order = torch.tensor([0, 2, 3, 4, 1])
    boxes = torch.cat((found.boxes, wanted.boxes))[order]
    cells = mask_cells(found.logits, found.windows, found.boxes)
    masks = torch.cat((cells, wanted.cells))[order]
    place = {tuple(box): i for i, box in enumerate(boxes.tolist())}
    drawn = [place[tuple(box)] for box in rois.boxes.tolist()]
    assert sorted(drawn) == list(range(5))
    assert torch.equal(rois.masks, masks[drawn])
    assert torch.equal(labels, torch.tensor([10, 20, 10, 20, 0])[drawn])


def test_what_is_drawn_follows_from_the_samples_seed() -> None:
    found, wanted = found_masks(EMPTY + OBJECTS * 5), objects(OBJECTS)
    one, again, other = (
        drawn_rois(found, each, SAMPLING, 0)[0].boxes
        for each in (wanted, wanted, replace(wanted, seed=6))
    )
    assert torch.equal(one, again)
    assert not torch.equal(one, other)


# --- which of them count


def mined_of(losses: Sequence[float], labels: Sequence[int], image: Sequence[int]) -> Term:
    rois: Rois = random_rois(image, 20, 20)
    per_image = RoiSampling(per_image=3)
    return mined(torch.tensor(losses), rois, torch.tensor(labels), per_image, 2)


def test_the_hardest_of_the_background_counts() -> None:
    """3 an image: of the first its object and the two hardest, of the second all it has."""
    losses = [0.1, 5.0, 0.4, 0.3, 0.9, 0.2, 7.0]
    labels = [20, 0, 0, 0, 0, 10, IGNORED]
    image = [0, 0, 0, 0, 1, 1, 1]
    counted = mined_of(losses, labels, image)
    torch.testing.assert_close(counted.total, torch.tensor([5.5, 1.1]))
    assert counted.count.tolist() == [3, 2]


def test_nothing_to_count() -> None:
    assert mined_of([], [], []).count.tolist() == [0, 0]
    assert mined_of([3.0], [IGNORED], [1]).mean() == 0


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *[("foreground", 0.0), ("foreground", 1.1), ("overlap", 0.0), ("overlap", float("nan"))],
        *[("per_image", 0), ("mined", 0)],
    ],
)
def test_values_out_of_range_are_told_in_one_line(name: str, value: float) -> None:
    with pytest.raises(UserError, match=rf"^rois\.{name}: {value}; give ") as error:
        RoiSampling(**{name: value})  # type: ignore[arg-type]
    assert "\n" not in str(error.value)
