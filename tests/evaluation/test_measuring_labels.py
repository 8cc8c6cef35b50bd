"""Recall and precision as images come; labels by the names of their categories."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import pytest
from labelled import CATEGORIES, LACKING, annotated, box, random_problem

from instancefcn.core.proposals import CLASS_AGNOSTIC, Proposals
from instancefcn.core.types import AnnotatedImage, ScoredMask
from instancefcn.evaluation.coco_precision import evaluate_by_coco
from instancefcn.evaluation.measuring import measured, scored_masks
from instancefcn.evaluation.precision import evaluate_precision
from instancefcn.evaluation.recall import evaluate_recall
from instancefcn.formats.coco.results import NO_CATEGORY

HERE = box(0, 0, 20, 20)


def test_what_is_measured_as_images_come_is_what_is_measured_at_once() -> None:
    images, results = random_problem(3, void=True)

    def found() -> Iterator[tuple[AnnotatedImage, Sequence[ScoredMask]]]:
        for image in images:
            yield image, results.get(image.image_id, ())

    report = measured(found(), CATEGORIES)
    assert report.labels
    np.testing.assert_array_equal(report.recall.recall, evaluate_recall(images, results).recall)
    sds = evaluate_precision(images, results, CATEGORIES)
    for interpolation, values in sds.precision.items():
        np.testing.assert_array_equal(report.labels.sds.precision[interpolation], values)
    coco = evaluate_by_coco(images, results, CATEGORIES)
    np.testing.assert_array_equal(report.labels.coco.precision, coco.precision)


def test_masks_of_none_of_the_categories_are_worth_nothing_but_recall() -> None:
    """And those that are judged by no category have no precision at all."""
    image = annotated((HERE, 1))
    for masks in ([], [ScoredMask(HERE, 1, NO_CATEGORY)], [ScoredMask(HERE, 1, LACKING)]):
        report = measured([(image, masks)], CATEGORIES)
        assert report.labels
        assert (report.labels.sds.mean(0.5), report.labels.coco.mean()) == (0, 0)
        assert report.recall.average(10) == len(masks)
        plain = measured([(image, masks)], {})
        assert plain.labels is None
        np.testing.assert_array_equal(plain.recall.recall, report.recall.recall)
    assert measured([], {}).labels is None


def proposals(categories: Mapping[int, str], labels: Sequence[int]) -> Proposals:
    """As many squares as labels, side by side."""
    n = len(labels)
    windows = [[10 * i, 0, 10 * i + 10, 10] for i in range(n)]
    return Proposals(
        scores=np.linspace(0.9, 0.1, n, dtype=np.float32),
        windows=np.array(windows, np.float32).reshape(-1, 4),
        logits=np.ones((n, 5, 5), np.float32),
        level=np.zeros(n, np.int64),
        height=20,
        width=60,
        categories=categories,
        labels=np.array(labels, np.int64),
    )


def test_labels_become_the_categories_of_the_same_names() -> None:
    found = proposals({1: "dog", 2: "unicorn", 7: "cat"}, [7, 2, 1, 7])
    masks = scored_masks(found, CATEGORIES)
    assert [mask.category for mask in masks] == [1, NO_CATEGORY, 2, 1]
    assert [mask.mask for mask in masks] == list(found.masks())
    assert [mask.score for mask in masks] == pytest.approx(found.scores.tolist())
    assert scored_masks(found[:0], CATEGORIES) == []


def test_masks_that_nobody_labelled_have_no_category() -> None:
    found = proposals(CLASS_AGNOSTIC, [1, 1])
    assert {m.category for m in scored_masks(found, CATEGORIES)} == {NO_CATEGORY}
    assert {m.category for m in scored_masks(found, {4: "object"})} == {4}
