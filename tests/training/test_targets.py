"""Which windows are positive, drawn on grids by hand; mask targets against a naive average."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from builders import Box, blank_level, make_sample, rectangles
from instancefcn.core.types import Level, Sample
from instancefcn.training.targets import (
    IGNORED,
    NEGATIVE,
    Matching,
    Sampling,
    Targets,
    coverage,
    label_windows,
    make_targets,
    subsample,
)

ALL = Sampling(positives=None, windows=None)


def picture(labels: Tensor) -> list[str]:
    """A row a string: "." negative, "~" ignored, a digit for an object."""
    names = {NEGATIVE: ".", IGNORED: "~"}
    return ["".join(names.get(v, str(v)) for v in row) for row in labels.tolist()]


def labels_of(sample: Sample, matching: Matching, step: int = 1) -> list[str]:
    """Of windows of 5 cells of 4 pixels: 20 pixels; their centres lie at 2, 6, 10, ..."""
    height, width = sample.image.shape[1:]
    return picture(label_windows(blank_level(height // 4, width // 4, step=step), sample, matching))


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


def drawn(labels: list[Tensor], sampling: Sampling, seed: int = 0) -> list[Tensor]:
    return subsample(labels, sampling, torch.Generator().manual_seed(seed))


@pytest.mark.parametrize(
    ("sampling", "positive", "negative"),
    [
        (Sampling(positives=16, windows=32), 16, 16),
        (Sampling(positives=50, windows=80), 30, 50),
        (Sampling(positives=16, windows=None), 16, 60),
        (Sampling(positives=None, windows=32), 30, 2),
        (Sampling(positives=0, windows=8), 0, 8),
        (Sampling(), 30, 60),
        (ALL, 30, 60),
    ],
)
def test_negatives_fill_up_what_positives_leave(
    labels: list[Tensor], sampling: Sampling, positive: int, negative: int
) -> None:
    result = drawn(labels, sampling)
    assert [each.shape for each in result] == [each.shape for each in labels]
    flat, before = (torch.cat([each.flatten() for each in given]) for given in (result, labels))
    assert int((flat >= 0).sum()) == positive
    assert int((flat == NEGATIVE).sum()) == negative
    assert ((flat == before) | (flat == IGNORED)).all()


def test_the_papers_sampling_is_256_windows_one_to_one() -> None:
    labels = torch.cat([torch.zeros(500), torch.full((5000,), NEGATIVE)]).long().view(55, 100)
    (result,) = drawn([labels], Sampling())
    assert int((result >= 0).sum()) == int((result == NEGATIVE).sum()) == 128


def test_the_seed_decides_what_is_drawn(labels: list[Tensor]) -> None:
    sampling = Sampling(positives=16, windows=32)
    one, again, other = (
        torch.cat([t.flatten() for t in drawn(labels, sampling, s)]) for s in (1, 1, 2)
    )
    assert torch.equal(one, again)
    assert not torch.equal(one, other)


# --- what their masks should be

OBJECTS: list[Box] = [(3, 2, 17, 15), (20, 9, 33, 22), (40, 25, 48, 32)]
MATCHING = Matching(sides=(0.2, 1.2), centre=0.4, margin=1)


def levels_for(batch: int) -> list[Level]:
    return [blank_level(8, 12, batch=batch), blank_level(8, 12, batch=batch, m=7, step=2)]


def samples() -> list[Sample]:
    return [
        make_sample(32, 48, OBJECTS, crowds=[(30, 0, 44, 7)], seed=1),
        make_sample(32, 48, seed=2),
        make_sample(32, 48, OBJECTS[1:], void=[(21, 10, 24, 23), (47, 31, 48, 32)], seed=3),
    ]


def naive_masks(
    level: Level, targets: Targets, samples: list[Sample]
) -> tuple[list[Tensor], list[Tensor]]:
    """Window by window and cell by cell, from the docstring; cells of 4 pixels."""
    masks, valid = [], []
    for image, sample in enumerate(samples):
        blurred = sample.void | sample.masks[sample.crowds].any(0)
        for y, x in (targets.labels[image] >= 0).nonzero().tolist():
            mask, known = torch.zeros(level.m, level.m), torch.zeros(level.m, level.m).bool()
            shape = sample.masks[targets.labels[image, y, x]]
            for i in range(level.m):
                for j in range(level.m):
                    row = y * level.step + level.step // 2 - level.m // 2 + i
                    column = x * level.step + level.step // 2 - level.m // 2 + j
                    if 0 <= row < level.maps.shape[2] and 0 <= column < level.maps.shape[3]:
                        cell = (slice(4 * row, 4 * row + 4), slice(4 * column, 4 * column + 4))
                        mask[i, j] = shape[cell].float().mean()
                        known[i, j] = not blurred[cell].any()
            masks.append(mask)
            valid.append(known)
    return masks, valid


def test_mask_targets_are_the_covered_parts_of_cells() -> None:
    targets = make_targets(levels_for(3), samples(), MATCHING, ALL)
    for level, target in zip(levels_for(3), targets, strict=True):
        masks, valid = naive_masks(level, target, samples())
        assert len(masks) > 10
        assert torch.equal(target.masks, torch.stack(masks))
        assert torch.equal(target.valid, torch.stack(valid))
        assert not target.valid.all()


def test_windows_are_those_of_the_positive_labels_in_order() -> None:
    for level, target in zip(
        levels_for(3), make_targets(levels_for(3), samples(), MATCHING, ALL), strict=True
    ):
        image, y, x = (target.labels >= 0).nonzero().T
        assert torch.equal(target.windows.image, image)
        assert torch.equal(target.windows.y, y * level.step + level.step // 2)
        assert torch.equal(target.windows.x, x * level.step + level.step // 2)


def test_cells_beyond_the_image_are_invalid_background() -> None:
    # A window of 20 pixels around (2, 2): its first two rows and columns lie outside.
    sample = make_sample(32, 32, [(0, 0, 8, 8)])
    (target,) = make_targets([blank_level(8, 8)], [sample], Matching(sides=(0.3, 0.9)), ALL)
    at_corner = (target.windows.y == 0) & (target.windows.x == 0)
    ((mask,), (valid,)) = target.masks[at_corner], target.valid[at_corner]
    inside = rectangles(5, 5, [(2, 2, 5, 5)])[0]
    assert torch.equal(valid, inside)
    assert torch.equal(mask.bool(), rectangles(5, 5, [(2, 2, 4, 4)])[0])


def test_without_objects_there_are_no_masks() -> None:
    (target,) = make_targets([blank_level(8, 8)], [make_sample(32, 32)], MATCHING, ALL)
    assert len(target.windows) == 0
    assert target.masks.shape == target.valid.shape == (0, 5, 5)
    assert target.valid.dtype == torch.bool
    assert (target.labels == NEGATIVE).all()


@pytest.mark.parametrize("sampling", [Sampling(positives=4, windows=12), Sampling()])
def test_a_samples_targets_do_not_depend_on_its_batch(sampling: Sampling) -> None:
    together = make_targets(levels_for(3), samples(), MATCHING, sampling)
    backwards = make_targets(levels_for(3), samples()[::-1], MATCHING, sampling)
    for image, sample in enumerate(samples()):
        alone = make_targets(levels_for(1), [sample], MATCHING, sampling)
        for one, whole, reverse in zip(alone, together, backwards, strict=True):
            assert torch.equal(one.labels[0], whole.labels[image])
            assert torch.equal(one.labels[0], reverse.labels[2 - image])
            mine = whole.windows.image == image
            assert torch.equal(one.masks, whole.masks[mine])
            assert torch.equal(one.valid, whole.valid[mine])


def test_targets_follow_from_the_samples_seed() -> None:
    sampling = Sampling(positives=4, windows=12)
    sample = samples()[0]
    one, again, other = (
        make_targets(levels_for(1), [replace(sample, seed=seed)], MATCHING, sampling)[0].labels
        for seed in (5, 5, 6)
    )
    assert torch.equal(one, again)
    assert not torch.equal(one, other)


@pytest.mark.parametrize("size", [(8, 12), (9, 13), (3, 2), (1, 1)])
@pytest.mark.parametrize("cell", [(4, 4), (2, 3), (1, 1)])
def test_coverage_is_the_average_of_a_cell(size: tuple[int, int], cell: tuple[int, int]) -> None:
    masks = torch.rand(3, *size, generator=torch.Generator().manual_seed(0)) < 0.5
    result = coverage(masks, cell)
    width, height = cell
    rows, columns = -(-size[0] // height), -(-size[1] // width)
    assert result.shape == (3, rows, columns)
    for y in range(rows):
        for x in range(columns):
            part = masks[:, y * height : (y + 1) * height, x * width : (x + 1) * width]
            expected = part.sum((1, 2)) / (height * width)  # beyond the image nothing is covered
            torch.testing.assert_close(result[:, y, x], expected)


def test_coverage_of_no_masks() -> None:
    assert coverage(torch.zeros(0, 8, 12, dtype=torch.bool), (4, 4)).shape == (0, 2, 3)
