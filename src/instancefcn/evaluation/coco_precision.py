"""COCO's AP of labelled masks, computed by pycocotools.

Each image is evaluated alone, and pycocotools accumulates what it said of all of them, as it does
itself. So masks need not be kept, and nothing is written to disk.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import redirect_stdout
from copy import deepcopy
from dataclasses import dataclass
from io import StringIO
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from pycocotools import mask as coco_mask
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from instancefcn.core.types import AnnotatedImage, ScoredMask
from instancefcn.evaluation.recall import AREAS, judged
from instancefcn.formats.coco.results import Results, ranked

MAX_MASKS = 100
"""How many masks of each category of an image count: COCO's own number."""

FIGURES = ("AP", "AP50", "AP75", "APs", "APm", "APl")
"""At IoU 0.50:0.05:0.95, at 0.50, at 0.75; of small, medium and large objects."""

CocoJudgement: TypeAlias = Mapping[int, Sequence[Mapping[str, Any] | None]]
"""What pycocotools says of an image, by category: its own record for each of ``AREAS``."""


@dataclass(frozen=True, eq=False)
class CocoReport:
    """COCO's AP, category by category.

    categories: their names by id. precision (categories, figures): each of ``FIGURES``, in [0, 1];
    nan where the category has no object of that size.
    """

    categories: Mapping[int, str]
    precision: NDArray[np.float64]
    images: int

    def of(self, category: int, figure: str = "AP") -> float:
        """One category's figure; nan if it has no such objects."""
        return float(self.precision[list(self.categories).index(category), FIGURES.index(figure)])

    def mean(self, figure: str = "AP") -> float:
        """The mean over the categories that have such objects; nan if none has."""
        values = self.precision[:, FIGURES.index(figure)]
        values = values[~np.isnan(values)]
        return float(values.mean()) if len(values) else float("nan")


def judge_by_coco(
    image: AnnotatedImage, found: Sequence[ScoredMask], categories: Iterable[int]
) -> CocoJudgement:
    """Evaluate an image's masks and objects of these categories.

    Sizes are pixels of masks. Void, of which COCO has none, is removed from masks and objects
    first, and masks of which nothing is left are dropped.

    Raises UserError if a mask has not the image's size.
    """
    there = {m.category for m in found} | {i.category for i in image.instances}
    present = sorted(there & set(categories))
    with redirect_stdout(StringIO()):
        truth, detections = _truth(image, present), _detections(image, found, present)
        evaluation = _evaluation(present, 1, truth, detections)
        evaluation.evaluate()
    records = iter(map(_compact, evaluation.evalImgs))
    return {category: [next(records) for _ in AREAS] for category in present}


def _truth(image: AnnotatedImage, categories: Sequence[int]) -> COCO:
    crowds = [instance.crowd for instance in image.instances]
    labels = [instance.category for instance in image.instances]
    masks = judged(image, [instance.mask for instance in image.instances])
    records = (
        {"category_id": label, "segmentation": mask, "iscrowd": int(crowd)}
        for label, mask, crowd in zip(labels, masks, crowds, strict=True)
    )
    return _coco(image, records, categories)


def _detections(
    image: AnnotatedImage, found: Sequence[ScoredMask], categories: Sequence[int]
) -> COCO:
    best = [mask for mask in ranked(found) if mask.category in categories]
    masks = judged(image, [mask.mask for mask in best])
    records = (
        {"category_id": mask.category, "segmentation": left, "score": mask.score, "iscrowd": 0}
        for mask, left in zip(best, masks, strict=True)
        if image.void is None or coco_mask.area(left)
    )
    return _coco(image, records, categories)


def _coco(
    image: AnnotatedImage, records: Iterable[dict[str, Any]], categories: Sequence[int]
) -> COCO:
    """Annotations or results of an image. Their ids begin with 1: 0 means "none" in pycocotools."""
    coco = COCO()
    annotations = [
        {**record, "id": i, "image_id": 0, "area": int(coco_mask.area(record["segmentation"]))}
        for i, record in enumerate(records, start=1)
    ]
    coco.dataset = {
        "images": [{"id": 0, "height": image.height, "width": image.width}],
        "annotations": annotations,
        "categories": [{"id": category} for category in categories],
    }
    coco.createIndex()
    return coco


def _evaluation(categories: Sequence[int], images: int, *data: COCO) -> COCOeval:
    """Parameters are fresh ones each time: pycocotools changes those that it is given."""
    evaluation = COCOeval(*data, iouType="segm")
    evaluation.params.catIds = list(categories)
    evaluation.params.imgIds = list(range(images))
    evaluation.params.maxDets = [MAX_MASKS]
    return evaluation


def _compact(record: Mapping[str, Any] | None) -> Mapping[str, Any] | None:
    """What pycocotools accumulates of a record, an eighth of its size."""
    if record is None:
        return None
    return {
        "dtScores": np.asarray(record["dtScores"], np.float64),
        "dtMatches": record["dtMatches"] > 0,
        "dtIgnore": record["dtIgnore"],
        "gtIgnore": record["gtIgnore"] > 0,
    }


def summarize_by_coco(
    judgements: Iterable[CocoJudgement], categories: Mapping[int, str]
) -> CocoReport:
    """COCO's AP over the masks of all images; of equal scores the earlier image's comes first."""
    all_of = list(judgements)
    absent = [None] * len(AREAS)
    evaluation = _evaluation(list(categories), len(all_of))
    evaluation.evalImgs = [
        judgement.get(category, absent)[area]
        for category in categories
        for area in range(len(AREAS))
        for judgement in all_of
    ]
    evaluation._paramsEval = deepcopy(evaluation.params)  # as evaluate() does
    with redirect_stdout(StringIO()):
        evaluation.accumulate()
    precision = evaluation.eval["precision"][..., 0]  # IoUs, recalls, categories, areas
    precision = np.where(precision < 0, np.nan, precision).mean(1)
    ious = [slice(None), slice(0, 1), slice(5, 6), *[slice(None)] * 3]
    figures = [precision[i, :, a].mean(0) for i, a in zip(ious, (0, 0, 0, 1, 2, 3), strict=True)]
    return CocoReport(dict(categories), np.stack(figures, axis=1), len(all_of))


def evaluate_by_coco(
    images: Iterable[AnnotatedImage], results: Results, categories: Mapping[int, str]
) -> CocoReport:
    """COCO's AP of results on a data set with these categories."""
    judgements = (judge_by_coco(i, results.get(i.image_id, ()), categories) for i in images)
    return summarize_by_coco(judgements, categories)
