"""Recall against pycocotools' COCOeval, cases worked out by hand, and evaluation's known traps."""

from __future__ import annotations

import contextlib
import io
import json
import math
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from pycocotools import mask as coco_mask
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from instancefcn.core.rle import encode, rle_to_coco
from instancefcn.core.types import AnnotatedImage, Instance, Rle, ScoredMask
from instancefcn.evaluation.recall import (
    AREAS,
    COUNTS,
    IOUS,
    RecallReport,
    evaluate_recall,
    match,
    summarize,
)
from instancefcn.formats.coco.results import ranked, read_results

HEIGHT, WIDTH = 150, 200
Results = dict[int, list[ScoredMask]]


def box(x0: int, y0: int, x1: int, y1: int) -> Rle:
    mask = np.zeros((HEIGHT, WIDTH), np.bool_)
    mask[y0:y1, x0:x1] = True
    return encode(mask)


def annotated(
    image_id: int, *objects: Rle, crowds: Sequence[Rle] = (), void: Rle | None = None
) -> AnnotatedImage:
    instances = (*(Instance(o, 1) for o in objects), *(Instance(c, 1, True) for c in crowds))
    return AnnotatedImage(image_id, Path(f"{image_id}.jpg"), HEIGHT, WIDTH, instances, void)


def scored(*masks: Rle) -> list[ScoredMask]:
    return [ScoredMask(mask, 1 - i / 10_000) for i, mask in enumerate(masks)]


def recall_of(image: AnnotatedImage, *proposals: Rle) -> RecallReport:
    return summarize([match(image, proposals)])


# --- Against pycocotools


def to_records(results: Results, **extra: object) -> list[dict[str, Any]]:
    record = {"category_id": 1, **extra}
    return [
        {**record, "image_id": image_id, "segmentation": rle_to_coco(mask), "score": score}
        for image_id, proposals in results.items()
        for mask, score, _ in proposals
    ]


def to_annotations(images: Sequence[AnnotatedImage]) -> list[dict[str, Any]]:
    pairs = [(image, instance) for image in images for instance in image.instances]
    return [
        {
            "id": index,
            "image_id": image.image_id,
            "category_id": instance.category,
            "segmentation": rle_to_coco(instance.mask),
            "area": int(coco_mask.area(rle_to_coco(instance.mask))),
            "iscrowd": int(instance.crowd),
        }
        for index, (image, instance) in enumerate(pairs, start=1)
    ]


def coco_recall(
    images: Sequence[AnnotatedImage], records: list[dict[str, Any]]
) -> NDArray[np.float64]:
    """Recall (N, areas, IoUs) by pycocotools: segm, useCats = 0; nan where it says -1."""
    truth = COCO()
    truth.dataset = {
        "images": [{"id": i.image_id, "height": i.height, "width": i.width} for i in images],
        "annotations": to_annotations(images),
        "categories": [{"id": i} for i in {1, *(o.category for x in images for o in x.instances)}],
    }
    with contextlib.redirect_stdout(io.StringIO()):
        truth.createIndex()
        evaluation = COCOeval(truth, truth.loadRes(records), "segm")
        evaluation.params.useCats = 0
        evaluation.params.maxDets = list(COUNTS)
        evaluation.params.iouThrs = IOUS
        evaluation.evaluate()
        evaluation.accumulate()
    recall: NDArray[np.float64] = evaluation.eval["recall"][:, 0].transpose(2, 1, 0)
    return np.where(recall < 0, np.nan, recall)


def random_box(rng: np.random.Generator, side: int) -> tuple[int, int, int, int]:
    w, h = np.minimum(rng.integers(max(side // 2, 1), side * 2, 2), (WIDTH - 1, HEIGHT - 1))
    x, y = rng.integers(WIDTH - w), rng.integers(HEIGHT - h)
    return int(x), int(y), int(x + w), int(y + h)


def jittered(
    rng: np.random.Generator, truth: tuple[int, int, int, int], by: int
) -> tuple[int, int, int, int]:
    x0, y0, x1, y1 = np.array(truth) + rng.integers(-by, by + 1, 4)
    x0, y0 = min(max(x0, 0), WIDTH - 1), min(max(y0, 0), HEIGHT - 1)
    return int(x0), int(y0), int(min(max(x1, x0 + 1), WIDTH)), int(min(max(y1, y0 + 1), HEIGHT))


def random_problem(seed: int, most: int) -> tuple[list[AnnotatedImage], Results]:
    """Images with no object or no proposal among others; crowds; ties in score and in IoU."""
    rng = np.random.default_rng(seed)
    images, results = [], {}
    for image_id in range(1, 9):
        sides = rng.choice([6, 20, 30, 70, 110], rng.integers(0, 7))
        truths = [random_box(rng, int(side)) for side in sides]
        crowds = [box(*random_box(rng, 60)) for _ in range(rng.integers(0, 2))]
        images.append(annotated(image_id, *(box(*t) for t in truths), crowds=crowds))
        guesses = [
            jittered(rng, truths[rng.integers(len(truths))], int(rng.integers(0, 12)))
            if len(truths) and rng.random() < 0.7
            else random_box(rng, 40)
            for _ in range(rng.integers(0, most))
        ]
        scores = rng.integers(0, 50, len(guesses)) / 50
        if guesses:
            results[image_id] = [
                ScoredMask(box(*g), float(s)) for g, s in zip(guesses, scores, strict=True)
            ]
    images += [annotated(9), annotated(10, box(0, 0, 9, 9))]  # nothing there; all of it missed
    return images, results


@pytest.mark.parametrize(("seed", "most"), [(0, 5), (1, 30), (2, 30), (3, 150), (4, 150)])
def test_recall_is_pycocotools_own(seed: int, most: int) -> None:
    images, results = random_problem(seed, most)
    expected = coco_recall(images, to_records(results))
    report = evaluate_recall(images, {i: ranked(p) for i, p in results.items()})
    np.testing.assert_allclose(report.recall, expected, rtol=0, atol=1e-12)
    for n, count in enumerate(COUNTS):
        for a, area in enumerate(AREAS):
            headline = expected[n, a, :10].mean()
            assert report.average(count, area) == pytest.approx(headline, abs=1e-9, nan_ok=True)


@pytest.mark.parametrize("seed", range(4))
def test_ties_over_categories_rank_as_by_pycocotools(tmp_path: Path, seed: int) -> None:
    images, results = random_problem(20 + seed, 150)
    random = np.random.default_rng(seed)
    images = [
        replace(
            image,
            instances=tuple(
                replace(o, category=int(random.integers(1, 4))) for o in image.instances * 2
            ),
        )
        for image in images
    ]
    records = to_records(results)
    for record in records:
        record |= {"category_id": int(random.integers(1, 4)), "score": random.integers(2) / 2}
    categories = {o.category for image in images for o in image.instances}
    assert categories == {1, 2, 3}
    path = tmp_path / "results.json"
    path.write_text(json.dumps(records))
    report = evaluate_recall(images, read_results(path, images))
    np.testing.assert_allclose(report.recall, coco_recall(images, records), rtol=0, atol=1e-12)


def test_more_than_a_thousand_proposals_are_cut_as_by_pycocotools() -> None:
    rng = np.random.default_rng(5)
    truths = [random_box(rng, 50) for _ in range(4)]
    far = [box(*random_box(rng, 8)) for _ in range(998)]
    hits = [box(*jittered(rng, truth, 2)) for truth in truths]  # from the 999th place on
    images, results = [annotated(1, *(box(*t) for t in truths))], {1: scored(*far, *hits)}
    report = evaluate_recall(images, results)
    np.testing.assert_allclose(report.recall, coco_recall(images, to_records(results)))
    assert 0 < report.at(1000)[0] < 1
    assert evaluate_recall(images, results, [1002]).at(1002)[0] == 1


def test_an_iou_at_a_threshold_counts_as_by_pycocotools() -> None:
    # 3 / 5, 7 / 10 and so on are not the nearest doubles to every way of writing 0.6 and 0.7.
    images, results = [], {}
    for i, pixels in enumerate(range(10, 21), start=1):
        images.append(annotated(i, box(0, 0, 20, 1)))
        results[i] = scored(box(0, 0, pixels, 1))
    report = evaluate_recall(images, results)
    np.testing.assert_array_equal(report.recall, coco_recall(images, to_records(results)))
    np.testing.assert_allclose(report.at(10), np.arange(11, 0, -1) / 11)


def test_the_bounds_of_small_medium_and_large_belong_to_both() -> None:
    images = [annotated(1, box(0, 0, 32, 32), box(50, 0, 146, 96))]
    results = {1: scored(box(0, 0, 32, 32))}
    report = evaluate_recall(images, results)
    assert report.objects == {"all": 2, "small": 1, "medium": 2, "large": 1}
    np.testing.assert_allclose(report.recall, coco_recall(images, to_records(results)))


# --- By hand


def test_no_image_and_no_object_have_no_recall() -> None:
    for report in (
        summarize([]),
        recall_of(annotated(1)),
        recall_of(annotated(1), box(0, 0, 5, 5)),
    ):
        assert math.isnan(report.average(10))
        assert math.isnan(report.average(10, definition="area"))
        assert report.objects["all"] == 0
    assert summarize([]).images == 0
    assert recall_of(annotated(1)).images == 1


def test_perfect_proposals_have_recall_one_by_both_definitions() -> None:
    objects = box(0, 0, 30, 30), box(50, 50, 90, 90), box(90, 30, 199, 149)
    report = recall_of(annotated(1, *objects), *objects)
    assert report.recall.shape == (len(COUNTS), len(AREAS), len(IOUS))
    assert (report.recall == 1).all()
    for definition in ("coco", "area"):
        assert report.average(10, definition=definition) == 1


def test_both_definitions_by_hand() -> None:
    # One of two objects is found with an IoU of 14 / 20 = 0.7, the other one exactly. Recall is 1
    # at 0.50 .. 0.70 and 1 / 2 from 0.75 to 1: mean of ten (5 + 5 / 2) / 10. The area: four whole
    # trapezoids, one of 3 / 4, five of 1 / 2.
    image = annotated(1, box(0, 0, 20, 1), box(0, 50, 20, 51))
    report = recall_of(image, box(0, 0, 14, 1), box(0, 50, 20, 51))
    assert report.at(10).tolist() == [1] * 5 + [0.5] * 6
    assert report.average(10) == pytest.approx(0.75)
    assert report.average(10, definition="area") == pytest.approx(0.725)


def test_the_two_definitions_differ_by_the_two_ends() -> None:
    images, results = random_problem(6, 40)
    report = evaluate_recall(images, results)
    for count in COUNTS:
        recall = report.at(count)
        by_area = 2 * sum(0.05 * (a + b) / 2 for a, b in pairwise(recall.tolist()))
        assert report.average(count, definition="area") == pytest.approx(by_area)
        expected = report.average(count) - 0.05 * recall[0] + 0.05 * recall[-1]
        assert by_area == pytest.approx(expected)


def test_a_proposal_finds_one_object_only_and_an_object_needs_one() -> None:
    twins = box(0, 0, 20, 20), box(0, 0, 20, 20)
    assert recall_of(annotated(1, *twins), twins[0]).at(10)[0] == 0.5
    assert recall_of(annotated(1, *twins), twins[0], twins[0]).at(10)[0] == 1


def test_the_better_ranked_proposal_chooses_first_and_keeps_its_choice() -> None:
    # The narrow box overlaps the left object with an IoU of 11 / 20, the right one with 10 / 21.
    # The left box could do for either; coming first, it takes the left object from the narrow one.
    left, right = box(0, 0, 20, 20), box(1, 0, 21, 20)
    assert recall_of(annotated(1, left, right), left, box(0, 0, 11, 20)).at(10)[0] == 0.5
    assert recall_of(annotated(1, left, right), box(0, 0, 11, 20), right).at(10)[0] == 1


def test_recall_counts_the_first_proposals_only() -> None:
    image = annotated(1, box(0, 0, 20, 20), box(50, 50, 70, 70))
    far = [box(100, 100, 110, 110)] * 9
    masks = [box(0, 0, 20, 20), *far, box(50, 50, 70, 70)]
    report = summarize([match(image, masks)], counts=[1, 10, 11])
    assert [report.average(count) for count in (1, 10, 11)] == [0.5, 0.5, 1]


def test_recall_rises_with_proposals_and_falls_with_iou() -> None:
    images, results = random_problem(7, 100)
    report = evaluate_recall(images, results, counts=[1, 2, 5, 10, 20, 50, 100])
    assert (np.diff(report.recall, axis=0) >= 0).all()
    assert (np.diff(report.recall, axis=2) <= 0).all()
    assert report.average(1) < report.average(100)


def test_images_are_weighed_by_their_objects() -> None:
    many = annotated(1, *(box(x, 0, x + 9, 9) for x in range(0, 90, 10)))
    one = annotated(2, box(0, 0, 9, 9))
    assert evaluate_recall([many, one], {2: scored(box(0, 0, 9, 9))}).average(10) == 0.1


def test_a_proposal_of_another_size_is_refused() -> None:
    small = encode(np.ones((3, 4), np.bool_))
    with pytest.raises(ValueError, match=r"^1\.jpg: a proposal of 4 x 3 pixels .* 200 x 150"):
        match(annotated(1, box(0, 0, 9, 9)), [small])


# --- Void


def test_void_pixels_count_neither_of_proposals_nor_of_objects() -> None:
    void = box(20, 0, 60, 40)
    image = annotated(1, box(0, 0, 25, 20), void=void)  # 20 x 20 of it judged
    assert recall_of(image, box(0, 0, 60, 20)).at(10).all()
    assert recall_of(image, box(0, 0, 20, 20)).at(10).all()
    assert recall_of(image, box(0, 0, 60, 10)).at(10).tolist() == [1] + [0] * 10  # IoU 1 / 2
    assert recall_of(image, box(0, 0, 20, 20)).objects["small"] == 1


def test_without_void_the_same_proposal_is_not_good_enough() -> None:
    image = annotated(1, box(0, 0, 20, 20))
    assert recall_of(image, box(0, 0, 60, 20)).at(10).tolist() == [0] * 11


def test_void_that_touches_nothing_changes_nothing() -> None:
    images, results = random_problem(8, 20)
    empty = box(0, 0, 0, 0)
    voided = [annotated(i.image_id, *(o.mask for o in i.instances if not o.crowd), void=empty)
              for i in images]  # fmt: skip
    plain, aware = evaluate_recall(images, results), evaluate_recall(voided, results)
    np.testing.assert_array_equal(plain.recall, aware.recall)
    assert (plain.void, aware.void) == (False, True)


def test_a_proposal_all_in_void_finds_nothing() -> None:
    image = annotated(1, box(0, 0, 20, 20), void=box(50, 50, 90, 90))
    assert not recall_of(image, box(55, 55, 70, 70)).at(10).any()


# --- The traps of evaluating with pycocotools


def test_categories_play_no_part() -> None:
    # pycocotools finds nothing at all if the ground truth lacks the results' category.
    images, results = random_problem(9, 30)
    assert np.nanmax(coco_recall(images, to_records(results, category_id=-1))) == 0
    others = [
        AnnotatedImage(
            image.image_id,
            image.path,
            image.height,
            image.width,
            tuple(Instance(o.mask, 7 + k, o.crowd) for k, o in enumerate(image.instances)),
        )
        for image in images
    ]
    recall = evaluate_recall(images, results).recall
    np.testing.assert_array_equal(recall, evaluate_recall(others, results).recall)
    assert np.nanmax(recall) > 0


def test_evaluating_twice_gives_the_same() -> None:
    # pycocotools' accumulate() changes its parameters if useCats is 0.
    images, results = random_problem(10, 30)
    first, second = evaluate_recall(images, results), evaluate_recall(images, results)
    np.testing.assert_array_equal(first.recall, second.recall)


def test_no_results_at_all_miss_everything() -> None:
    # pycocotools' loadRes raises IndexError for an empty list; others skip images without any.
    images, _ = random_problem(11, 30)
    with pytest.raises(IndexError):
        coco_recall(images, [])
    report = evaluate_recall(images, {})
    assert report.average(1000) == 0
    assert report.objects["all"] == sum(not o.crowd for i in images for o in i.instances)


def test_crowds_leave_the_denominator() -> None:
    crowd = box(60, 60, 150, 140)
    report = recall_of(annotated(1, box(0, 0, 20, 20), crowds=[crowd]), crowd, box(0, 0, 20, 20))
    assert report.objects["all"] == 1
    assert report.average(10) == 1


def test_the_limit_of_a_thousand_is_obeyed() -> None:
    # pycocotools' summary prints figures at 100 proposals whatever its maxDets say.
    image = annotated(1, box(0, 0, 20, 20))
    results = {1: scored(*[box(100, 100, 110, 110)] * 500, box(0, 0, 20, 20))}
    report = evaluate_recall([image], results)
    assert [report.average(count) for count in COUNTS] == [0, 0, 1]


def test_an_image_may_have_more_objects_than_a_byte_counts() -> None:
    """Which pycocotools' own areas of many masks cannot."""
    masks = [box(x, y, x + 1, y + 1) for y in range(20) for x in range(15)]
    assert recall_of(annotated(1, *masks), *masks).average(1000) == 1
