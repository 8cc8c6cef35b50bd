"""Differences between methods: by hand, against the runs' own spread, and of nothing."""

from __future__ import annotations

import numpy as np
import pytest

from chance import COLUMNS, Tally, difference, iou_weights, tally
from instancefcn.evaluation.recall import AREAS, COUNTS, IOUS, Definition, Matches, summarize
from measuring import Measured


def matches_of(generator: np.random.Generator, objects: int) -> Matches:
    shape = len(AREAS), len(IOUS), objects
    ranks = np.sort(generator.integers(0, 2000, shape).astype(np.int32), axis=1)
    return Matches(ranks, np.ones((len(AREAS), objects), np.bool_), void=False)


def found_of(shares: list[float], objects: float = 1) -> Tally:
    """Images, each with so many objects, of which this share is found by any number of masks."""
    found = np.repeat(np.array(shares)[:, None] * objects, COLUMNS, axis=1)
    return Tally(found, np.full_like(found, objects))


@pytest.mark.parametrize("definition", ["coco", "area"])
def test_the_sums_of_a_tally_are_average_recall(definition: Definition) -> None:
    generator = np.random.default_rng(0)
    objects = [matches_of(generator, n) for n in (3, 0, 8)]
    touching = [matches_of(generator, n) for n in (2, 0, 5)]
    figures = Measured(tuple(objects), tuple(touching), np.array([1, 2, 3]), "abc")
    expected = [
        100 * summarize(matches).average(count, definition=definition)
        for matches in (objects, touching)
        for count in COUNTS
    ]
    np.testing.assert_allclose(tally(figures, definition).average(), expected, rtol=1e-12)
    assert iou_weights(definition).sum() == pytest.approx(1)


def test_a_difference_is_that_of_the_means() -> None:
    """By hand: AR 20 and 40 have the mean 30; 50 less 30 is 20."""
    one, other = [found_of([0.5, 0.5])], [found_of([0.2, 0.2]), found_of([0.1, 0.7])]
    found = difference(one, other)
    np.testing.assert_allclose(found.value, np.full(COLUMNS, 20))
    assert (found.low <= found.value).all()
    assert (found.value <= found.high).all()


def test_a_method_does_not_differ_from_itself() -> None:
    one = [found_of(list(np.random.default_rng(0).random(20)))]
    found = difference(one, one)
    for values in (found.value, found.low, found.high):
        assert (values == 0).all()
    assert not found.beyond().any()


def test_images_are_drawn_in_pairs() -> None:
    """One is better by 0.1 on every image, however much the images differ."""
    shares = np.random.default_rng(0).random(30) * 0.8
    found = difference([found_of(list(shares + 0.1))], [found_of(list(shares))])
    np.testing.assert_allclose(found.low, np.full(COLUMNS, 10))
    np.testing.assert_allclose(found.high, np.full(COLUMNS, 10))
    assert found.beyond().all()


def test_the_interval_is_as_wide_as_images_and_runs_make_it() -> None:
    """Oracle: the textbook's deviations of a mean. Runs that differ in all images alike, and images
    that differ in all runs alike, so that their variances add.
    """
    generator = np.random.default_rng(1)
    images, runs = generator.normal(0.5, 0.1, 200), generator.normal(0, 0.03, 40)
    one = [found_of(list(images + run)) for run in runs]
    found = difference(one, [found_of([0.4] * 200)])
    deviation = 100 * np.sqrt(images.var(ddof=1) / 200 + runs.var(ddof=1) / 40)
    np.testing.assert_allclose(found.high - found.low, 2 * 1.96 * deviation, rtol=0.08)


def test_three_runs_are_not_taken_for_more_than_three() -> None:
    """The draws' variance is the variance over n - 1, divided by n."""
    one = [found_of([0.5 + run] * 10) for run in (-0.02, 0.0, 0.02)]
    found = difference(one, [found_of([0.5] * 10)])
    assert (found.low <= -2).all()
    assert (found.high >= 2).all()


def test_without_objects_there_is_no_difference() -> None:
    nothing = [found_of([0.0, 0.0], objects=0)]
    found = difference(nothing, nothing)
    for values in (found.value, found.low, found.high):
        assert np.isnan(values).all()
    assert not found.beyond().any()
