"""Which windows are positive, drawn on grids by hand; mask targets against a naive average."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor

from builders import Box, make_grid, make_sample, rectangles
from instancefcn.core.grid import Grid
from instancefcn.core.sample import Sample
from instancefcn.network.head import IGNORED, NEGATIVE, Targets
from instancefcn.network.heads import MaskHead, cover_cells
from instancefcn.training import targets as module
from instancefcn.training.targets import Matching, WindowSampling, label_windows, subsample

ALL = WindowSampling(positives_per_image=None, windows_per_image=None)


def make_targets(
    grids: list[Grid], samples: list[Sample], matching: Matching, sampling: WindowSampling
) -> list[Targets]:
    """With a mask head on each grid."""
    makers = [[MaskHead.make_targets]] * len(grids)
    return module.make_targets(grids, samples, makers, matching, sampling)


def picture(labels: Tensor) -> list[str]:
    """A row a string: "." negative, "~" ignored, a digit for an object."""
    names = {NEGATIVE: ".", IGNORED: "~"}
    return ["".join(names.get(v, str(v)) for v in row) for row in labels.tolist()]


def labels_of(sample: Sample, matching: Matching, step: int = 1) -> list[str]:
    """Of windows of 5 cells of 4 pixels: 20 pixels; their centres lie at 2, 6, 10, ..."""
    height, width = sample.image.shape[1:]
    return picture(label_windows(make_grid(height // 4, width // 4, step=step), sample, matching))


def square_of(side: int) -> Box:
    """Centred at (14, 14), the centre of the cell (3, 3)."""
    return (14 - side // 2, 14 - side // 2, 14 + side // 2, 14 + side // 2)


# --- which windows are positive

NOTHING = ["........"] * 8


@pytest.mark.parametrize("boxes", [[], [(5, 5, 5, 9)]])
def test_without_a_pixel_of_an_object_all_is_negative(boxes: list[Box]) -> None:
    assert labels_of(make_sample(32, 32, boxes), Matching()) == NOTHING


def test_a_centred_square_is_positive_in_one_window_only() -> None:
    # Neighbouring windows are off by 4 / 20, farther than 0.08 * 1.5.
    labels = labels_of(make_sample(32, 32, [square_of(12)]), Matching())
    assert labels == [*NOTHING[:3], "...0....", *NOTHING[4:]]


def test_around_the_positives_lies_an_ignored_zone() -> None:
    # Positive up to 5 pixels off, ignored up to 9.5.
    labels = labels_of(make_sample(32, 32, [square_of(12)]), Matching(centre=0.25, margin=1.9))
    assert labels == [
        "........",
        ".~~~~~..",
        ".~000~..",
        ".~000~..",
        ".~000~..",
        ".~~~~~..",
        "........",
        "........",
    ]


@pytest.mark.parametrize(
    ("side", "label"),
    [(4, "."), (6, "~"), (8, "0"), (12, "0"), (18, "0"), (22, "~"), (26, "~"), (28, ".")],
)
def test_what_fits_is_positive_and_what_nearly_fits_is_ignored(side: int, label: str) -> None:
    # Of 20 pixels, 8 to 18 fit, 5.3 to 27 nearly do.
    labels = labels_of(make_sample(32, 32, [square_of(side)]), Matching())
    assert labels == [*NOTHING[:3], f"...{label}....", *NOTHING[4:]]


@pytest.mark.parametrize("box", [(12, 8, 16, 20), (8, 12, 20, 16)])
def test_the_longer_side_counts(box: Box) -> None:
    assert labels_of(make_sample(32, 32, [box]), Matching())[3] == "...0...."


def test_of_several_objects_a_window_takes_the_nearest() -> None:
    # Centred at x = 6 and x = 18, positive up to 9 pixels off in x and in y.
    sample = make_sample(32, 32, [(0, 8, 12, 20), (12, 8, 24, 20)])
    # The larger of both is what counts: 8 pixels off in y make a tie, which the first one wins.
    row, tied = "0001111.", "0000111."
    expected = ["........", tied, row, row, row, tied, "........", "........"]
    assert labels_of(sample, Matching(centre=0.45, margin=1)) == expected


def test_an_object_is_positive_at_the_nearest_of_coarse_positions() -> None:
    # Windows are centred at 10 and 26; the object at (16, 22), off by 0.3.
    labels = labels_of(make_sample(32, 32, [(10, 16, 22, 28)]), Matching(), step=4)
    assert labels == ["..", "0."]


def test_a_crowd_is_ignored_and_never_positive() -> None:
    labels = labels_of(make_sample(32, 32, crowds=[(0, 0, 12, 12)]), Matching())
    assert labels == ["~~~....."] * 3 + NOTHING[3:]


def test_windows_centred_on_void_are_ignored() -> None:
    # The pixel under a centre decides: void from x = 7 on misses the centre at 6.
    labels = labels_of(make_sample(32, 32, void=[(7, 0, 11, 32)]), Matching())
    assert labels == ["..~....."] * 8


def test_an_object_amid_void_stays_positive() -> None:
    labels = labels_of(make_sample(32, 32, [square_of(12)], void=[(0, 0, 32, 32)]), Matching())
    assert labels == [*["~~~~~~~~"] * 3, "~~~0~~~~", *["~~~~~~~~"] * 4]


def test_labels_are_indices_among_all_masks() -> None:
    sample = replace(
        make_sample(32, 32, [(28, 28, 32, 32), square_of(12)]), crowds=torch.tensor([True, False])
    )
    assert labels_of(sample, Matching())[3] == "...1...."


# --- which windows take part


@pytest.fixture
def labels() -> list[Tensor]:
    """Two levels: 30 windows of objects, 60 negative and 10 ignored."""
    values = torch.tensor([0, 1, 2] * 10 + [NEGATIVE] * 60 + [IGNORED] * 10)
    values = values[torch.randperm(100, generator=torch.Generator().manual_seed(0))]
    return [values[:64].view(8, 8), values[64:].view(6, 6)]


def drawn(labels: list[Tensor], sampling: WindowSampling, seed: int = 0) -> list[Tensor]:
    return subsample(labels, sampling, torch.Generator().manual_seed(seed))


@pytest.mark.parametrize(
    ("sampling", "positive", "negative"),
    [
        (WindowSampling(positives_per_image=16, windows_per_image=32), 16, 16),
        (WindowSampling(positives_per_image=50, windows_per_image=80), 30, 50),
        (WindowSampling(positives_per_image=16, windows_per_image=None), 16, 60),
        (WindowSampling(positives_per_image=None, windows_per_image=32), 30, 2),
        (WindowSampling(positives_per_image=0, windows_per_image=8), 0, 8),
        (WindowSampling(), 30, 60),
        (ALL, 30, 60),
    ],
)
def test_negatives_fill_up_what_positives_leave(
    labels: list[Tensor], sampling: WindowSampling, positive: int, negative: int
) -> None:
    result = drawn(labels, sampling)
    assert [each.shape for each in result] == [each.shape for each in labels]
    flat, before = (torch.cat([each.flatten() for each in given]) for given in (result, labels))
    assert int((flat >= 0).sum()) == positive
    assert int((flat == NEGATIVE).sum()) == negative
    assert ((flat == before) | (flat == IGNORED)).all()


def test_the_papers_sampling_is_256_windows_one_to_one() -> None:
    labels = torch.cat([torch.zeros(500), torch.full((5000,), NEGATIVE)]).long().view(55, 100)
    (result,) = drawn([labels], WindowSampling())
    assert int((result >= 0).sum()) == int((result == NEGATIVE).sum()) == 128


def test_the_seed_decides_what_is_drawn(labels: list[Tensor]) -> None:
    sampling = WindowSampling(positives_per_image=16, windows_per_image=32)
    one, again, other = (
        torch.cat([t.flatten() for t in drawn(labels, sampling, s)]) for s in (1, 1, 2)
    )
    assert torch.equal(one, again)
    assert not torch.equal(one, other)


# --- what their masks should be

OBJECTS: list[Box] = [(3, 2, 17, 15), (20, 9, 33, 22), (40, 25, 48, 32)]
MATCHING = Matching(sides=(0.2, 1.2), centre=0.4, margin=1)


GRIDS = [make_grid(8, 12), make_grid(8, 12, m=7, step=2)]


def samples() -> list[Sample]:
    return [
        make_sample(32, 48, OBJECTS, crowds=[(30, 0, 44, 7)], seed=1),
        make_sample(32, 48, seed=2),
        make_sample(32, 48, OBJECTS[1:], void=[(21, 10, 24, 23), (47, 31, 48, 32)], seed=3),
    ]


def naive_masks(
    grid: Grid, targets: Targets, samples: list[Sample]
) -> tuple[list[Tensor], list[Tensor]]:
    """Window by window and cell by cell, from the docstring; cells of 4 pixels."""
    masks, valid = [], []
    for image, sample in enumerate(samples):
        blurred = sample.void | sample.masks[sample.crowds].any(0)
        for y, x in (targets.labels[image] >= 0).nonzero().tolist():
            mask, known = torch.zeros(grid.m, grid.m), torch.zeros(grid.m, grid.m).bool()
            shape = sample.masks[targets.labels[image, y, x]]
            for i in range(grid.m):
                for j in range(grid.m):
                    row = y * grid.step + grid.step // 2 - grid.m // 2 + i
                    column = x * grid.step + grid.step // 2 - grid.m // 2 + j
                    if 0 <= row < 8 and 0 <= column < 12:
                        cell = (slice(4 * row, 4 * row + 4), slice(4 * column, 4 * column + 4))
                        mask[i, j] = shape[cell].float().mean()
                        known[i, j] = not blurred[cell].any()
            masks.append(mask)
            valid.append(known)
    return masks, valid


def test_mask_targets_are_the_covered_parts_of_cells() -> None:
    targets = make_targets(GRIDS, samples(), MATCHING, ALL)
    for grid, target in zip(GRIDS, targets, strict=True):
        masks, valid = naive_masks(grid, target, samples())
        assert len(masks) > 10
        assert torch.equal(target.values["cover"], torch.stack(masks))
        assert torch.equal(target.values["valid"], torch.stack(valid))
        assert not target.values["valid"].all()


def test_windows_are_those_of_the_positive_labels_in_order() -> None:
    for grid, target in zip(GRIDS, make_targets(GRIDS, samples(), MATCHING, ALL), strict=True):
        image, y, x = (target.labels >= 0).nonzero().T
        assert torch.equal(target.windows.image, image)
        assert torch.equal(target.windows.y, y * grid.step + grid.step // 2)
        assert torch.equal(target.windows.x, x * grid.step + grid.step // 2)


def test_cells_beyond_the_image_are_invalid_background() -> None:
    # A window of 20 pixels around (2, 2): its first two rows and columns lie outside.
    sample = make_sample(32, 32, [(0, 0, 8, 8)])
    (target,) = make_targets([make_grid(8, 8)], [sample], Matching(sides=(0.3, 0.9)), ALL)
    at_corner = (target.windows.y == 0) & (target.windows.x == 0)
    ((mask,), (valid,)) = target.values["cover"][at_corner], target.values["valid"][at_corner]
    inside = rectangles(5, 5, [(2, 2, 5, 5)])[0]
    assert torch.equal(valid, inside)
    assert torch.equal(mask.bool(), rectangles(5, 5, [(2, 2, 4, 4)])[0])


def test_without_objects_there_are_no_masks() -> None:
    (target,) = make_targets([make_grid(8, 8)], [make_sample(32, 32)], MATCHING, ALL)
    assert len(target.windows) == 0
    assert target.values["cover"].shape == target.values["valid"].shape == (0, 5, 5)
    assert target.values["valid"].dtype == torch.bool
    assert (target.labels == NEGATIVE).all()


@pytest.mark.parametrize(
    "sampling", [WindowSampling(positives_per_image=4, windows_per_image=12), WindowSampling()]
)
def test_a_samples_targets_do_not_depend_on_its_batch(sampling: WindowSampling) -> None:
    together = make_targets(GRIDS, samples(), MATCHING, sampling)
    backwards = make_targets(GRIDS, samples()[::-1], MATCHING, sampling)
    for image, sample in enumerate(samples()):
        alone = make_targets(GRIDS, [sample], MATCHING, sampling)
        for one, whole, reverse in zip(alone, together, backwards, strict=True):
            assert torch.equal(one.labels[0], whole.labels[image])
            assert torch.equal(one.labels[0], reverse.labels[2 - image])
            mine = whole.windows.image == image
            assert torch.equal(one.values["cover"], whole.values["cover"][mine])
            assert torch.equal(one.values["valid"], whole.values["valid"][mine])


def test_targets_follow_from_the_samples_seed() -> None:
    sampling = WindowSampling(positives_per_image=4, windows_per_image=12)
    sample = samples()[0]
    one, again, other = (
        make_targets(GRIDS, [replace(sample, seed=seed)], MATCHING, sampling)[0].labels
        for seed in (5, 5, 6)
    )
    assert torch.equal(one, again)
    assert not torch.equal(one, other)


@pytest.mark.parametrize("cell", [(4, 4), (2, 3), (1, 1)])
def test_coverage_is_the_average_of_a_cell(cell: tuple[int, int]) -> None:
    width, height = cell
    grid = Grid(4, 5, (float(width), float(height)), m=3, step=1)
    size = (4 * height, 5 * width)
    for seed in range(5):
        mask = torch.rand(size, generator=torch.Generator().manual_seed(seed)) < 0.5
        mask[:seed] = mask[:, : seed // 2] = False
        sample = replace(make_sample(*size), masks=mask[None], crowds=NO, categories=ONE)
        result = cover_cells(mask, sample.boxes[0], grid)
        expected = mask.view(4, height, 5, width).float().mean((1, 3))
        torch.testing.assert_close(result, expected)


NO, ONE = torch.tensor([False]), torch.tensor([1])


# --- many objects


def naive_labels(grid: Grid, sample: Sample, matching: Matching) -> torch.Tensor:
    """All windows against all objects, from the docstrings."""
    y, x = grid.centres()
    window = torch.tensor(grid.side)
    labels = torch.full((grid.rows, grid.columns), NEGATIVE)
    best = torch.full((grid.rows, grid.columns), torch.inf)
    low, high = matching.sides
    for index, (x0, y0, x1, y1) in enumerate(sample.boxes.tolist()):
        side = max((x1 - x0) / window[0], (y1 - y0) / window[1])
        off_x = (x - (x0 + x1) / 2).abs() / window[0]
        off_y = (y - (y0 + y1) / 2).abs() / window[1]
        off = torch.maximum(off_y[:, None], off_x)
        if low / matching.margin <= side <= high * matching.margin:
            labels[(off <= matching.centre * matching.margin) & best.isinf()] = IGNORED
        if low <= side <= high:
            positive = ((off <= matching.centre) | (off == off.min())) & (off < best)
            labels[positive], best[positive] = index, off[positive]
    return labels


@pytest.mark.parametrize("objects", [1, 30, 300])
@pytest.mark.parametrize("step", [1, 2, 4])
def test_labels_of_many_objects_equal_the_naive_loop(objects: int, step: int) -> None:
    rng = np.random.default_rng(objects)
    boxes = [
        (x, y, x + int(rng.integers(4, 40)), y + int(rng.integers(4, 40)))
        for x, y in rng.integers(0, 200, (objects, 2)).tolist()
    ]
    sample = make_sample(256, 256, boxes)
    sides = (0.403, 0.911)  # no object is as large as one of these
    for m, matching in ((5, Matching(sides)), (11, Matching(sides, centre=0.3)), (7, MATCHING)):
        grid = make_grid(64, 64, m=m, step=step)
        expected = naive_labels(grid, sample, matching)
        assert torch.equal(label_windows(grid, sample, matching), expected)
