"""Differences in mAP^r: against sets that really hold the images drawn, by hand, and of nothing."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from measurements import labels_of

from chance import DRAWS, times_drawn
from instancefcn.evaluation.precision import Judgement
from label_chance import drawn_precision, label_difference, mean_precision
from label_measuring import Labels


def random_labels(seed: int, images: int = 12) -> Labels:
    """Masks of three categories with objects and of one without, true, false and ignored; scores
    that tie between images; and images without masks or objects.
    """
    generator = np.random.default_rng(seed)
    truths = np.random.default_rng(99)  # the same objects whatever the seed
    judgements = []
    for _ in range(images):
        n = int(generator.integers(0, 30))
        scores = -np.sort(-generator.permutation(40)[:n] / 40)
        verdicts = generator.choice(np.array([-1, 0, 1], np.int8), (2, n), p=[0.2, 0.5, 0.3])
        objects = {key: int(truths.integers(0, 12)) for key in (1, 2, 5)}
        labels = generator.choice([1, 2, 5, 7], n)
        judgements.append(Judgement(labels, scores, verdicts, objects, void=False))
    names = {1: "cat", 2: "dog", 5: "cow", 7: "bus"}
    return Labels(tuple(judgements), np.array([1.0, 2.0]), names, "abc")


@pytest.mark.parametrize("seed", range(4))
def test_drawn_precision_is_that_of_a_set_of_the_images_drawn(seed: int) -> None:
    """Oracle: the measure itself, on a list in which each image lies as often as it was drawn."""
    labels = random_labels(seed)
    times = np.random.default_rng(seed).multinomial(12, np.full(12, 1 / 12), 20).astype(np.float64)
    expected = [
        mean_precision(
            replace(
                labels,
                judgements=tuple(
                    judgement
                    for judgement, number in zip(labels.judgements, row.astype(int), strict=True)
                    for _ in range(number)
                ),
            )
        )
        for row in times
    ]
    np.testing.assert_allclose(drawn_precision(labels, times), expected, rtol=1e-12)


def test_each_image_once_is_the_measure_itself() -> None:
    labels = random_labels(5)
    once = drawn_precision(labels, np.ones((1, 12)))
    np.testing.assert_allclose(once[0], mean_precision(labels), rtol=1e-12)


def test_a_drawing_without_objects_has_no_precision() -> None:
    labels = labels_of([0.5, None])
    assert np.isnan(drawn_precision(labels, np.array([[0.0, 2.0]]))).all()


def test_a_difference_is_that_of_the_means() -> None:
    """By hand: see ``labels_of``; all masks true is 100, and of all false 0."""
    found = label_difference([labels_of([1.0] * 9)], [labels_of([1.0] * 9), labels_of([0.0] * 9)])
    np.testing.assert_allclose(found.value, [50, 50])
    assert (found.low <= 0).all(), "two runs as far apart as can be say nothing"
    assert not found.beyond().any()


def test_images_are_drawn_in_pairs() -> None:
    """A labeller does not differ from itself, and its worse half is worse beyond chance."""
    labels = [random_labels(seed, 60) for seed in range(3)]
    same = label_difference(labels, labels)
    assert (same.value == 0).all()
    shares = [1.0] * 60
    better = label_difference([labels_of(shares)], [labels_of([0.5] * 60)])
    assert better.beyond().all()
    assert len(times_drawn(60)) == DRAWS


def test_other_objects_cannot_be_compared() -> None:
    with pytest.raises(ValueError, match="other objects"):
        label_difference([labels_of([1.0, 1.0])], [labels_of([1.0, None])])
