"""COCO's AP against pycocotools' own, whole data sets through files; and its traps."""

from __future__ import annotations

import contextlib
import io
import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from labelled import CATEGORIES, LACKING, annotated, box, random_problem
from pycocotools import mask as coco_mask
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from instancefcn.core.rle import decode, encode, rle_to_coco
from instancefcn.core.types import AnnotatedImage, Rle, ScoredMask
from instancefcn.evaluation.coco_precision import (
    FIGURES,
    MAX_MASKS,
    CocoReport,
    evaluate_by_coco,
    judge_by_coco,
    summarize_by_coco,
)

CAT, DOG = 1, 2


def by_files(
    folder: Path,
    images: Sequence[AnnotatedImage],
    results: Mapping[int, Sequence[ScoredMask]],
    **extra: object,
) -> list[float]:
    """``FIGURES`` as pycocotools' summary has them; nan where it says -1."""
    instances = [(i.image_id, instance) for i in images for instance in i.instances]
    truth = {
        "images": [{"id": i.image_id, "height": i.height, "width": i.width} for i in images],
        "categories": [{"id": key, "name": name} for key, name in CATEGORIES.items()],
        "annotations": [
            {
                "id": number,
                "image_id": image_id,
                "category_id": instance.category,
                "segmentation": rle_to_coco(instance.mask),
                "area": int(coco_mask.area(rle_to_coco(instance.mask))),
                "iscrowd": int(instance.crowd),
            }
            for number, (image_id, instance) in enumerate(instances, start=1)
        ],
    }
    records: list[dict[str, Any]] = [
        {
            **extra,
            "image_id": image_id,
            "category_id": category,
            "segmentation": rle_to_coco(mask),
            "score": score,
        }
        for image_id, masks in results.items()
        for mask, score, category in masks
    ]
    (folder / "truth.json").write_text(json.dumps(truth))
    (folder / "results.json").write_text(json.dumps(records))
    with contextlib.redirect_stdout(io.StringIO()):
        coco = COCO(str(folder / "truth.json"))
        evaluation = COCOeval(coco, coco.loadRes(str(folder / "results.json")), "segm")
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    return [float(value) if value >= 0 else math.nan for value in evaluation.stats[:6]]


def means(report: CocoReport) -> list[float]:
    return [report.mean(figure) for figure in FIGURES]


@pytest.mark.parametrize("seed", range(5))
def test_precision_is_pycocotools_own(tmp_path: Path, seed: int) -> None:
    images, results = random_problem(seed)
    expected = by_files(tmp_path, images, results)
    assert all(0 < value < 1 for value in expected)
    report = evaluate_by_coco(images, results, CATEGORIES)
    np.testing.assert_allclose(means(report), expected, rtol=0, atol=1e-12)


def test_each_category_is_as_if_alone() -> None:
    images, results = random_problem(7)
    whole = evaluate_by_coco(images, results, CATEGORIES)
    for row, category in zip(whole.precision, CATEGORIES, strict=True):
        only = {i: [m for m in masks if m.category == category] for i, masks in results.items()}
        alone = evaluate_by_coco(images, only, {category: "it"})
        np.testing.assert_allclose(row, alone.precision[0], rtol=0, atol=1e-12)
        assert whole.of(category, "AP50") == pytest.approx(alone.mean("AP50"))
    others = {i: [m for m in masks if m.category == LACKING] for i, masks in results.items()}
    assert any(others.values())
    assert evaluate_by_coco(images, others, CATEGORIES).mean() == 0


def test_a_hundred_masks_of_a_category_count(tmp_path: Path) -> None:
    here, there = box(0, 0, 20, 20), box(50, 50, 60, 60)
    images = [annotated((here, CAT), (here, DOG), image_id=i) for i in (1, 2)]
    far = [ScoredMask(there, 0.9, DOG)] * MAX_MASKS
    results = {
        1: [*far[1:], ScoredMask(here, 0.5, CAT), ScoredMask(here, 0.5, DOG)],
        2: [*far, ScoredMask(here, 0.5, CAT), ScoredMask(here, 0.5, DOG)],
    }
    report = evaluate_by_coco(images, results, CATEGORIES)
    np.testing.assert_allclose(means(report), by_files(tmp_path, images, results))
    assert report.of(CAT) == 1
    assert 0 < report.of(DOG) < 0.01  # one of two objects, after 199 misses


def test_nothing_has_no_precision() -> None:
    for report in (
        summarize_by_coco([], CATEGORIES),
        evaluate_by_coco([annotated()], {}, CATEGORIES),
        evaluate_by_coco([annotated()], {1: [ScoredMask(box(0, 0, 9, 9), 1, CAT)]}, CATEGORIES),
        evaluate_by_coco([annotated((box(0, 0, 9, 9), CAT))], {}, {}),
    ):
        assert all(map(math.isnan, means(report)))
        assert report.precision.shape == (len(report.categories), len(FIGURES))


def test_no_results_at_all_miss_everything(tmp_path: Path) -> None:
    # pycocotools' loadRes raises IndexError for an empty list.
    images, _ = random_problem(8)
    with pytest.raises(IndexError):
        by_files(tmp_path, images, {})
    assert evaluate_by_coco(images, {}, CATEGORIES).mean() == 0


def test_perfect_masks_have_precision_one() -> None:
    objects = [(box(0, 0, 20, 20), CAT), (box(50, 50, 90, 90), DOG)]
    masks = [ScoredMask(mask, 0.5, category) for mask, category in objects]
    report = evaluate_by_coco([annotated(*objects)], {1: masks}, CATEGORIES)
    assert means(report) == pytest.approx([1, 1, 1, 1, 1, math.nan], nan_ok=True)
    assert report.of(CAT, "APs") == pytest.approx(1)
    assert report.of(DOG, "APm") == pytest.approx(1)
    assert math.isnan(report.of(5))


def test_sizes_are_those_of_masks(tmp_path: Path) -> None:
    # A thin cross has few pixels in a large box: pycocotools takes the box's size if there is one.
    pixels = np.zeros((120, 160), np.bool_)
    pixels[60, :100] = pixels[:100, 50] = True
    image = annotated((encode(pixels), CAT))
    results = {1: [ScoredMask(box(0, 0, 9, 9), 0.9, CAT), ScoredMask(encode(pixels), 0.5, CAT)]}
    report = evaluate_by_coco([image], results, CATEGORIES)
    np.testing.assert_allclose(means(report), by_files(tmp_path, [image], results))
    boxed = by_files(tmp_path, [image], results, bbox=[0, 0, 100, 100])
    assert report.mean("APs") == pytest.approx(0.5)
    assert boxed[3] == pytest.approx(1)


def test_evaluating_twice_gives_the_same() -> None:
    images, results = random_problem(9)
    judgements = [judge_by_coco(i, results.get(i.image_id, ()), CATEGORIES) for i in images]
    first, second = (summarize_by_coco(judgements, CATEGORIES) for _ in range(2))
    np.testing.assert_array_equal(first.precision, second.precision)


def test_what_is_evaluated_is_not_printed(capsys: pytest.CaptureFixture[str]) -> None:
    evaluate_by_coco(*random_problem(0), CATEGORIES)
    assert capsys.readouterr().out == ""


def test_void_is_removed_first() -> None:
    """As if nobody had drawn there; masks of which nothing is left are dropped."""
    images, results = random_problem(10, void=True)

    def without(image: AnnotatedImage, mask: Rle) -> Rle:
        return encode(decode(mask) & ~decode(image.void)) if image.void else mask

    seen, left = [], {}
    for image in images:
        instances = [i for i in image.instances if not i.crowd]
        crowds = [i for i in image.instances if i.crowd]
        seen.append(
            annotated(
                *((without(image, i.mask), i.category) for i in instances),
                crowds=[(without(image, i.mask), i.category) for i in crowds],
                image_id=image.image_id,
            )
        )
        masks = [m._replace(mask=without(image, m.mask)) for m in results.get(image.image_id, ())]
        left[image.image_id] = [m for m in masks if decode(m.mask).any()]
    assert sum(map(len, left.values())) < sum(map(len, results.values()))
    expected = evaluate_by_coco(seen, left, CATEGORIES).precision
    np.testing.assert_array_equal(evaluate_by_coco(images, results, CATEGORIES).precision, expected)
