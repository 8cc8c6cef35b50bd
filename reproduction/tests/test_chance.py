"""Differences between methods: by hand, against the runs' own spread, and of nothing."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import ttest_ind, ttest_rel

from chance import COLUMNS, Tally, difference, tally
from instancefcn.evaluation.recall import (
    AREAS,
    COUNTS,
    IOUS,
    Definition,
    Matches,
    summarize,
)
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


def test_a_difference_is_that_of_the_means() -> None:
    """By hand: AR 20 and 40 have the mean 30; 50 less 30 is 20."""
    one, other = [found_of([0.5, 0.5])], [found_of([0.2, 0.2]), found_of([0.1, 0.7])]
    found = difference([one], [other])
    np.testing.assert_allclose(found.value, np.full(COLUMNS, 20))
    assert (found.low <= found.value).all()
    assert (found.value <= found.high).all()


def test_a_method_does_not_differ_from_itself() -> None:
    one = [found_of(list(np.random.default_rng(0).random(20)))]
    found = difference([one], [one])
    for values in (found.value, found.low, found.high):
        assert (values == 0).all()
    assert not found.beyond().any()


def test_images_are_drawn_in_pairs() -> None:
    """One is better by 0.1 on every image, however much the images differ."""
    shares = np.random.default_rng(0).random(30) * 0.8
    found = difference([[found_of(list(shares + 0.1))]], [[found_of(list(shares))]])
    np.testing.assert_allclose(found.low, np.full(COLUMNS, 10))
    np.testing.assert_allclose(found.high, np.full(COLUMNS, 10))
    assert found.beyond().all()


def test_the_interval_is_that_of_students_t_over_images() -> None:
    """Oracle: scipy's interval of a mean of paired differences; AR is one where images have as many
    objects each. The bootstrap's variance is over n, the textbook's over n - 1.
    """
    generator = np.random.default_rng(1)
    one, other = (generator.normal(0.5, 0.1, 200) for _ in range(2))
    found = difference([[found_of(list(one))]], [[found_of(list(other))]])
    interval = ttest_rel(100 * one, 100 * other).confidence_interval()
    np.testing.assert_allclose(found.low, np.full(COLUMNS, interval.low), rtol=0.05)
    np.testing.assert_allclose(found.high, np.full(COLUMNS, interval.high), rtol=0.05)


def test_the_interval_is_that_of_welchs_t_over_runs() -> None:
    """Oracle: scipy's, where all images are alike."""
    shares = [0.48, 0.5, 0.53], [0.45, 0.46, 0.44]
    one, other = ([found_of([share] * 10) for share in of] for of in shares)
    found = difference([one], [other])
    interval = ttest_ind(*(np.multiply(of, 100) for of in shares), equal_var=False)
    low, high = interval.confidence_interval()
    np.testing.assert_allclose(found.low, np.full(COLUMNS, low), rtol=1e-9)
    np.testing.assert_allclose(found.high, np.full(COLUMNS, high), rtol=1e-9)


def test_nothing_is_found_to_differ_in_one_case_of_twenty() -> None:
    """Three runs a method, images and runs both by chance: 0 lies outside in about 5 %."""
    generator = np.random.default_rng(0)
    outside = []
    for _ in range(200):
        images = generator.normal(0.5, 0.2, 60)
        one, other = (
            [found_of(list(images + generator.normal(run, 0.1, 60))) for run in runs]
            for runs in generator.normal(0, 0.01, (2, 3))
        )
        outside.append(difference([one], [other]).beyond()[0])
    assert 0.01 < np.mean(outside) < 0.1


def test_other_objects_cannot_be_compared() -> None:
    with pytest.raises(ValueError, match="other objects"):
        difference([[found_of([0.5, 0.5])]], [[found_of([0.5, 0.5], objects=2)]])


def test_without_objects_there_is_no_difference() -> None:
    nothing = [found_of([0.0, 0.0], objects=0)]
    found = difference([nothing], [nothing])
    for values in (found.value, found.low, found.high):
        assert np.isnan(values).all()
    assert not found.beyond().any()
