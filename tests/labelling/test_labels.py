"""From logits to labelled proposals, by hand-made scores."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from builders import CATEGORIES
from instancefcn.core.errors import UserError
from instancefcn.core.proposals import Proposals
from instancefcn.core.types import Floats
from instancefcn.labelling.labels import Labelling, labelled
from instancefcn.labelling.rois import at_places
from predictions import NOTHING, of_masks, random_proposals

CAT, DOG = CATEGORIES
PLAIN = Labelling(objectness=0, min_score=0.01)
"""A score is the category's probability."""

APART = [(0, 0), (16, 0), (32, 0), (48, 0)]


def squares(corners: Sequence[tuple[int, int]], scores: Sequence[float] | None = None) -> Proposals:
    """Squares of 11 x 11 pixels, their logits 1, on 64 x 64."""
    masks = [np.ones((11, 11), np.bool_)] * len(corners)
    return of_masks(masks, scores or [1.0] * len(corners), corners)


def logits(rows: Sequence[Sequence[float]]) -> Floats:
    """Of the probabilities (cat, dog) of each; the rest is background."""
    shares = np.array([[1 - sum(row), *row] for row in rows], np.float32)
    rows_of: Floats = np.log(shares.clip(1e-30))
    return rows_of


def probabilities(logits: Floats) -> Floats:
    shares: Floats = 1 / (1 + np.exp(-logits))
    return shares


def told(
    corners: Sequence[tuple[int, int]], rows: Sequence[Sequence[float]], **changes: Any
) -> list[tuple[int, str, float]]:
    """The place of each labelled square among the corners, its name and its score."""
    found = labelled(squares(corners), logits(rows), CATEGORIES, replace(PLAIN, **changes))
    places = [corners.index((int(x), int(y))) for x, y in found.windows[:, :2].tolist()]
    scores = [round(score, 4) for score in found.scores.tolist()]
    return list(zip(places, found.names, scores, strict=True))


@pytest.mark.parametrize("voting", [None, 0.5])
def test_no_proposal_is_no_labelled_one(voting: float | None) -> None:
    labelling = replace(PLAIN, voting=voting)
    found = labelled(NOTHING, np.zeros((0, 3), np.float32), CATEGORIES, labelling)
    assert len(found) == 0
    assert found.categories == CATEGORIES
    unsure = labelled(squares(APART[:1]), logits([(0.004, 0.004)]), CATEGORIES, labelling)
    assert len(unsure) == 0


def test_a_mask_comes_again_under_another_category() -> None:
    assert told(APART[:2], [(0.5, 0.2), (0.1, 0.3)]) == [
        (0, "cat", 0.5),
        (1, "dog", 0.3),
        (0, "dog", 0.2),
        (1, "cat", 0.1),
    ]


def test_each_is_a_proposal_but_for_score_and_label() -> None:
    proposals = squares(APART)
    found = labelled(proposals, logits([(0.3, 0.2)] * 4), CATEGORIES, PLAIN)
    assert found.labels.tolist() == [CAT] * 4 + [DOG] * 4
    for name in ("windows", "logits", "level"):
        twice = np.concatenate([getattr(proposals, name)] * 2)
        np.testing.assert_array_equal(getattr(found, name), twice)
    assert found.scores.dtype == np.float32
    assert (found.height, found.width) == (64, 64)


@pytest.mark.parametrize(
    ("power", "expected"), [(0, [0.5, 0.4]), (0.5, [0.2, 0.1]), (1, [0.1, 0.02])]
)
def test_the_proposals_score_counts_by_its_power(power: float, expected: list[float]) -> None:
    """sqrt(0.16) = 0.4, sqrt(0.0625) = 0.25: in the second case they count by their roots."""
    scores = {0: [1.0, 1.0], 0.5: [0.16, 0.0625], 1: [0.2, 0.05]}[power]
    labelling = replace(PLAIN, objectness=power)
    rows = logits([(0.5, 0), (0.4, 0)])
    found = labelled(squares(APART[:2], scores), rows, CATEGORIES, labelling)
    assert found.scores.tolist() == pytest.approx(expected)


# --- suppression


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        ([(0.6, 0), (0.7, 0)], [(1, "cat", 0.7)]),
        ([(0.6, 0), (0, 0.7)], [(1, "dog", 0.7), (0, "cat", 0.6)]),
        ([(0.6, 0.3), (0.2, 0.5)], [(0, "cat", 0.6), (1, "dog", 0.5)]),
    ],
)
def test_masks_of_one_category_suppress_one_another(
    rows: list[tuple[float, float]], expected: list[tuple[int, str, float]]
) -> None:
    assert told([(3, 3), (4, 3)], rows) == expected


@pytest.mark.parametrize(("shift", "number"), [(5, 1), (6, 2)])
def test_the_limit_of_overlap_by_hand(shift: int, number: int) -> None:
    """Of 11 x 11 pixels, shifted by 5: 66 / 176 = 0.375; by 6: 55 / 187 = 0.294. The limit: 0.3."""
    assert len(told([(0, 0), (shift, 0)], [(0.5, 0)] * 2)) == number


def test_the_best_are_kept_and_none_below_the_least_score() -> None:
    rows = [(0.2, 0), (0.5, 0), (0.3, 0), (0.4, 0)]
    assert [place for place, *_ in told(APART, rows)] == [1, 3, 2, 0]
    assert [place for place, *_ in told(APART, rows, top=2)] == [1, 3]
    assert [place for place, *_ in told(APART, rows, min_score=0.25)] == [1, 3, 2]


def test_equal_scores_keep_their_order() -> None:
    """Of many masks, too, where sorting has another way; the first of two that overlap stays."""
    assert [place for place, *_ in told(APART, [(0.5, 0)] * 4)] == [0, 1, 2, 3]
    assert [place for place, *_ in told([(9, 9), (8, 9)], [(0.5, 0)] * 2)] == [0]
    many = [(x, y) for y in range(0, 53, 13) for x in range(0, 53, 13)]
    both = told(many, [(0.25, 0.25)] * 25)
    assert both == [(i, name, 0.25) for i in range(25) for name in ("cat", "dog")]


# --- voting


def test_alike_voters_leave_a_mask_as_it_is() -> None:
    """One that votes alone, and one with the vote of a twin."""
    proposals = squares([(3, 3), (3, 3), (40, 40)])
    rows = logits([(0.6, 0), (0.3, 0), (0.5, 0)])
    found = labelled(proposals, rows, CATEGORIES, replace(PLAIN, voting=0.5))
    np.testing.assert_allclose(found.logits, proposals.logits[:2], rtol=1e-4, atol=1e-5)
    assert found.logits.dtype == np.float32
    assert found.windows[:, 0].tolist() == [3, 40]
    assert found.scores.tolist() == pytest.approx([0.6, 0.5])


def test_two_voters_give_the_mean_by_their_scores() -> None:
    """Of their probabilities: of the category alone, and of masks near enough alone."""
    proposals = squares([(3, 3), (3, 3), (3, 3), (14, 3)])
    times = np.array([1, 3, 9, 9], np.float32)[:, None, None]
    proposals = replace(proposals, logits=proposals.logits * times)
    rows = logits([(0.6, 0), (0.2, 0), (0, 0.5), (0.1, 0)])
    found = labelled(proposals, rows, CATEGORIES, replace(PLAIN, voting=0.5))
    one, other = probabilities(np.array([1.0, 3]))
    mean = (0.6 * one + 0.2 * other) / 0.8
    assert found.names == ["cat", "dog", "cat"]
    np.testing.assert_allclose(found.logits[0], np.log(mean / (1 - mean)), rtol=1e-4)
    for place, mask in ((1, 2), (2, 3)):
        np.testing.assert_allclose(found.logits[place], proposals.logits[mask], rtol=1e-3)


def test_a_voter_of_another_window_votes_where_it_lies() -> None:
    """Shifted by 3 pixels: 88 / 154 = 0.57 is near enough. Where it is not, it votes against."""
    found = labelled(
        squares([(0, 0), (3, 0)]), logits([(0.6, 0), (0.2, 0)]), CATEGORIES,
        replace(PLAIN, voting=0.5),
    )  # fmt: skip
    one = probabilities(np.ones(1))
    (mask,) = probabilities(found.logits)
    np.testing.assert_allclose(mask[:, 3:], one.repeat(8)[None].repeat(11, 0), rtol=1e-4)
    np.testing.assert_allclose(mask[:, :2], one.repeat(2)[None].repeat(11, 0) * 0.75, rtol=1e-4)


def test_votes_are_sampled_as_a_labeller_samples_masks() -> None:
    """Of random masks, where windows of any size lie in one another, against torch."""
    proposals = random_proposals(9)
    rows = logits([(0.3, 0)] * 9)
    labelling = Labelling(objectness=1, overlap=1.0, min_score=0.0, voting=0.0)
    found = labelled(proposals, rows, CATEGORIES, labelling)[:9]
    windows, scores, masks = (
        torch.from_numpy(array) for array in (proposals.windows, proposals.scores, proposals.logits)
    )
    places = (torch.arange(11) + 0.5) / 11
    for (x0, y0, x1, y1), voted in zip(found.windows.tolist(), found.logits, strict=True):
        x, y = x0 + places * (x1 - x0), y0 + places * (y1 - y0)
        seen = at_places(masks.sigmoid(), windows, x[None], y[None])
        expected = (seen * scores[:, None, None]).sum(0) / scores.sum()
        np.testing.assert_allclose(probabilities(voted), expected, atol=1e-5)


def test_a_category_without_any_probability_is_none_of_a_mask() -> None:
    """It is 0 in float32, and no vote has a weight."""
    rows = np.array([[0, 1, -500]], np.float32)
    labelling = Labelling(min_score=0, voting=0.5)
    found = labelled(squares(APART[:1]), rows, CATEGORIES, labelling)
    assert found.names == ["cat"]
    assert np.isfinite(found.logits).all()


# --- bad values


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *[("proposals", 0), ("top", 0), ("top", -3)],
        *[("overlap", -0.1), ("overlap", 1.1), ("voting", 2.0), ("voting", -1.0)],
        *[("min_score", 7.0), ("min_score", float("nan"))],
        *[("objectness", -1.0), ("objectness", float("inf")), ("objectness", float("nan"))],
    ],
)
def test_values_out_of_range_are_told_in_one_line(name: str, value: float) -> None:
    with pytest.raises(UserError, match=rf"^labelling\.{name}: {value}; give ") as error:
        Labelling(**{name: value})  # type: ignore[arg-type]
    assert "\n" not in str(error.value)
