"""mAP^r against the rules written out, and cases worked out by hand."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from fractions import Fraction

import numpy as np
import pytest
from labelled import CATEGORIES, HEIGHT, LACKING, WIDTH, annotated, box, random_problem
from numpy.typing import NDArray

from instancefcn.core.rle import decode, encode
from instancefcn.core.types import AnnotatedImage, Rle, ScoredMask
from instancefcn.evaluation.precision import (
    FALSE,
    IGNORED,
    INTERPOLATIONS,
    THRESHOLDS,
    TRUE,
    Interpolation,
    average_precision,
    evaluate_precision,
    judge,
    summarize_precision,
)

CAT, DOG = 1, 2


def verdicts(image: AnnotatedImage, *masks: ScoredMask, iou: float = 0.5) -> list[int]:
    row: list[int] = judge(image, masks).verdicts[THRESHOLDS.index(iou)].tolist()
    return row


def cats(*masks: Rle) -> list[ScoredMask]:
    """Scored masks, the best first."""
    return [ScoredMask(mask, 1 - i / 100, CAT) for i, mask in enumerate(masks)]


# --- Against the rules, written out in whole numbers, one mask after the other


def seen(image: AnnotatedImage, mask: Rle) -> NDArray[np.bool_]:
    pixels = decode(mask)
    return pixels if image.void is None else pixels & ~decode(image.void)


def oracle(
    images: Sequence[AnnotatedImage],
    results: Mapping[int, Sequence[ScoredMask]],
    category: int,
    tenths: int,
    interpolation: Interpolation,
) -> Fraction | None:
    """AP of a category at an IoU of so many tenths; None if it has no objects."""
    truths = {
        image.image_id: [
            (seen(image, instance.mask), instance.crowd)
            for instance in image.instances
            if instance.category == category
        ]
        for image in images
    }
    number = sum(not crowd for of_image in truths.values() for _, crowd in of_image)
    detections = [
        (image, mask)
        for image in images
        for mask in results.get(image.image_id, ())
        if mask.category == category
    ]
    detections.sort(key=lambda detection: -detection[1].score)
    taken: set[tuple[int, int]] = set()
    hits: list[bool] = []
    for image, detection in detections:
        pixels = seen(image, detection.mask)
        area, best, place, crowded = int(pixels.sum()), Fraction(-1), -1, False
        for i, (truth, crowd) in enumerate(truths[image.image_id]):
            shared = int((pixels & truth).sum())
            if crowd:
                crowded |= area > 0 and 10 * shared >= tenths * area
            elif Fraction(shared, max(int((pixels | truth).sum()), 1)) > best:
                best, place = Fraction(shared, max(int((pixels | truth).sum()), 1)), i
        key = image.image_id, place
        if image.void is not None and not area:
            continue
        if best >= Fraction(tenths, 10):
            hits.append(key not in taken)
            taken.add(key)
        elif not crowded:
            hits.append(False)
    return area_under(hits, number, interpolation) if number else None


def area_under(hits: Sequence[bool], number: int, interpolation: Interpolation) -> Fraction:
    points = [
        (Fraction(sum(hits[:n]), number), Fraction(sum(hits[:n]), n))
        for n in range(1, len(hits) + 1)
    ]

    def best_from(least: Fraction) -> Fraction:
        return max((p for recall, p in points if recall >= least), default=Fraction(0))

    if interpolation == "11-point":
        return sum((best_from(Fraction(i, 10)) for i in range(11)), Fraction(0)) / 11
    # Recall rises by one object at a time.
    steps = (best_from(Fraction(i, number)) for i in range(1, number + 1))
    return sum(steps, Fraction(0)) / number


@pytest.mark.parametrize("seed", range(6))
def test_precision_is_by_the_rules(seed: int) -> None:
    images, results = random_problem(seed, void=seed > 2)
    report = evaluate_precision(images, results, CATEGORIES)
    for interpolation in INTERPOLATIONS:
        for iou in THRESHOLDS:
            values = []
            for category in CATEGORIES:
                expected = oracle(images, results, category, round(10 * iou), interpolation)
                assert expected is not None
                assert 0 < expected < 1
                assert report.of(category, iou, interpolation) == pytest.approx(float(expected))
                values.append(expected)
            mean = float(sum(values, Fraction(0)) / len(values))
            assert report.mean(iou, interpolation) == pytest.approx(mean)


# --- By hand


def test_nothing_has_no_precision() -> None:
    for report in (
        summarize_precision([], CATEGORIES),
        evaluate_precision([annotated()], {}, CATEGORIES),
        evaluate_precision([annotated()], {1: cats(box(0, 0, 9, 9))}, CATEGORIES),
        evaluate_precision([annotated((box(0, 0, 9, 9), CAT))], {}, {}),
    ):
        assert math.isnan(report.mean(0.5))
        assert report.precision["11-point"].shape == (len(report.categories), len(THRESHOLDS))


def test_perfect_masks_have_precision_one() -> None:
    image = annotated((box(0, 0, 20, 20), CAT), (box(50, 50, 90, 90), DOG))
    masks = [ScoredMask(i.mask, 0.5, i.category) for i in image.instances]
    report = evaluate_precision([image], {1: masks}, CATEGORIES)
    for interpolation in INTERPOLATIONS:
        assert [report.mean(iou, interpolation) for iou in THRESHOLDS] == [1, 1]
    assert (report.objects.tolist(), report.masks.tolist()) == ([1, 1, 0], [1, 1, 0])


def test_a_second_mask_of_an_object_is_false() -> None:
    image = annotated((box(0, 0, 20, 20), CAT))
    assert verdicts(image, *cats(box(0, 0, 20, 18), box(0, 0, 20, 20))) == [TRUE, FALSE]


def test_the_second_best_object_does_not_help() -> None:
    # The second mask overlaps the left object with 19 / 21, the right one with 18 / 22.
    left, right = (box(0, 0, 20, 20), CAT), (box(3, 0, 23, 20), CAT)
    masks = cats(box(0, 0, 20, 20), box(1, 0, 21, 20))
    assert verdicts(annotated(left, right), *masks, iou=0.7) == [TRUE, FALSE]
    assert verdicts(annotated(right), *masks[1:], iou=0.7) == [TRUE]


def test_of_objects_overlapped_alike_the_first_is_taken() -> None:
    twins = (box(0, 0, 20, 20), CAT), (box(0, 0, 20, 20), CAT)
    assert verdicts(annotated(*twins), *cats(*[box(0, 0, 20, 20)] * 2)) == [TRUE, FALSE]


def test_an_iou_at_the_threshold_is_enough() -> None:
    image = annotated((box(0, 0, 20, 1), CAT))
    for iou, pixels in ((0.5, 10), (0.7, 14)):
        assert verdicts(image, *cats(box(0, 0, pixels, 1)), iou=iou) == [TRUE]
        assert verdicts(image, *cats(box(0, 0, pixels - 1, 1)), iou=iou) == [FALSE]


def test_another_category_finds_nothing() -> None:
    image = annotated((box(0, 0, 20, 20), CAT))
    assert verdicts(image, ScoredMask(box(0, 0, 20, 20), 1, DOG)) == [FALSE]


def test_the_better_score_comes_first_whatever_the_order() -> None:
    image = annotated((box(0, 0, 20, 20), CAT))
    worse, better = ScoredMask(box(0, 0, 20, 20), 0.2, CAT), ScoredMask(box(0, 0, 20, 12), 0.9, CAT)
    assert judge(image, [worse, better]).scores.tolist() == [0.9, 0.2]
    assert verdicts(image, worse, better) == [TRUE, FALSE]


def test_equal_scores_keep_their_order() -> None:
    image = annotated((box(0, 0, 20, 20), CAT))
    masks = [ScoredMask(mask, 0.5, CAT) for mask in (box(50, 50, 60, 60), box(0, 0, 20, 20))]
    for found, expected in ((masks, 0.5), (masks[::-1], 1)):
        assert evaluate_precision([image], {1: found}, CATEGORIES).mean(0.5) == expected


def test_of_equal_scores_the_earlier_image_comes_first() -> None:
    wrong, right = annotated(image_id=1), annotated((box(0, 0, 20, 20), CAT), image_id=2)
    results = {i: cats(box(0, 0, 20, 20)) for i in (1, 2)}
    assert evaluate_precision([wrong, right], results, CATEGORIES).mean(0.5) == 0.5
    assert evaluate_precision([right, wrong], results, CATEGORIES).mean(0.5) == 1


def test_both_interpolations_by_hand() -> None:
    # Of four objects three are found: true, false, true, false, true. Precision at recall up to
    # 1 / 4 is 1, up to 1 / 2 it is 2 / 3, up to 3 / 4 it is 3 / 5, then 0. Recall 0, 0.1, 0.2 have
    # the first, 0.3, 0.4, 0.5 the second, 0.6, 0.7 the third of these.
    true = np.array([True, False, True, False, True])
    assert average_precision(true, 4) == pytest.approx((3 + 3 * 2 / 3 + 2 * 3 / 5) / 11)
    assert average_precision(true, 4, "all-point") == pytest.approx((1 + 2 / 3 + 3 / 5) / 4)


def test_a_recall_of_three_in_ten_reaches_the_point_at_three_tenths() -> None:
    # 3 * 0.1 is more than 0.3, as numpy and others make their points.
    true = np.ones(3, np.bool_)
    assert average_precision(true, 10) == pytest.approx(4 / 11)
    assert [average_precision(np.ones(n, np.bool_), 10) for n in range(11)] == pytest.approx(
        [(n + 1) / 11 if n else 0 for n in range(11)]
    )


def test_the_mean_is_over_the_categories_with_objects() -> None:
    """One found, one missed, one without objects; and one that only the masks have."""
    image = annotated((box(0, 0, 20, 20), CAT), (box(50, 50, 90, 90), DOG))
    masks = [ScoredMask(box(0, 0, 20, 20), 0.5, category) for category in (CAT, 5, LACKING)]
    report = evaluate_precision([image], {1: masks}, CATEGORIES)
    assert (report.of(CAT, 0.5), report.of(DOG, 0.5)) == (1, 0)
    assert math.isnan(report.of(5, 0.5))
    assert report.mean(0.5) == 0.5
    assert (report.objects.tolist(), report.masks.tolist()) == ([1, 1, 0], [1, 0, 1])


def test_only_the_first_masks_of_an_image_count() -> None:
    """Of all categories together; the rest is no miss either."""
    image = annotated((box(0, 0, 20, 20), CAT))
    other = ScoredMask(box(50, 50, 60, 60), 1, DOG)
    masks = [other] * 299 + cats(box(0, 0, 20, 20), box(50, 50, 60, 60))
    assert judge(image, masks).verdicts.shape == (2, 300)
    assert evaluate_precision([image], {1: masks}, CATEGORIES).mean(0.5) == 1
    assert evaluate_precision([image], {1: masks}, CATEGORIES, count=299).mean(0.5) == 0


# --- Crowds and void


def test_a_mask_that_matches_only_a_crowd_is_ignored() -> None:
    # Half of the mask's own pixels lie in the crowd: enough at 0.5, not at 0.7.
    image = annotated((box(100, 0, 120, 20), CAT), crowds=[(box(0, 0, 50, 50), CAT)])
    half = cats(box(40, 0, 60, 20))
    assert verdicts(image, *half) == [IGNORED]
    assert verdicts(image, *half, iou=0.7) == [FALSE]
    assert verdicts(image, half[0]._replace(category=DOG)) == [FALSE]
    masks = [*half, *cats(box(100, 0, 120, 20))]
    assert evaluate_precision([image], {1: masks}, CATEGORIES).mean(0.5) == 1


def test_an_object_goes_before_a_crowd() -> None:
    """Also where it is taken: then the mask is false."""
    here = box(0, 0, 20, 20)
    image = annotated((here, CAT), crowds=[(box(0, 0, 50, 50), CAT)])
    assert verdicts(image, *cats(here, here)) == [TRUE, FALSE]


def test_crowds_are_no_objects() -> None:
    image = annotated(crowds=[(box(0, 0, 50, 50), CAT)])
    report = evaluate_precision([image], {1: cats(box(0, 0, 50, 50))}, CATEGORIES)
    assert (report.objects.sum(), report.masks.sum()) == (0, 0)


def test_void_pixels_count_neither_of_masks_nor_of_objects() -> None:
    void = box(20, 0, 60, 40)
    image = annotated((box(0, 0, 25, 20), CAT), void=void)  # 20 x 20 of it judged
    assert verdicts(image, *cats(box(0, 0, 60, 20)), iou=0.7) == [TRUE]
    assert verdicts(annotated((box(0, 0, 25, 20), CAT)), *cats(box(0, 0, 60, 20))) == [FALSE]


def test_a_mask_in_void_is_ignored() -> None:
    image = annotated((box(0, 0, 20, 20), CAT), void=box(50, 50, 90, 90))
    assert verdicts(image, *cats(box(55, 55, 70, 70), box(45, 55, 70, 70))) == [IGNORED, FALSE]


def test_a_mask_without_pixels_is_false() -> None:
    image = annotated((box(0, 0, 20, 20), CAT), crowds=[(box(0, 0, 50, 50), CAT)])
    assert verdicts(image, *cats(box(0, 0, 0, 0))) == [FALSE]


def test_a_mask_of_another_size_is_refused() -> None:
    small = encode(np.ones((3, 4), np.bool_))
    with pytest.raises(ValueError, match=rf"^1\.jpg: a proposal of 4 x 3 .* {WIDTH} x {HEIGHT}"):
        judge(annotated(), cats(small))


def test_an_image_may_have_more_masks_than_a_byte_counts() -> None:
    masks = [box(x, y, x + 1, y + 1) for y in range(20) for x in range(15)]
    image = annotated(*((mask, CAT) for mask in masks), void=box(50, 50, 60, 60))
    assert verdicts(image, *cats(*masks)) == [TRUE] * 300
