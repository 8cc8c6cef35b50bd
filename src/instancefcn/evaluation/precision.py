"""Precision of labelled masks: mAP^r by the rules of SDS (Hariharan et al. 2014).

The measure of MNC and FCIS on VOC and SBD. COCO's AP has other rules: see ``coco_precision``.
Images are judged one by one. What is kept of an image are scores and verdicts, no masks.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray
from pycocotools import mask as coco_mask

from instancefcn.core.types import AnnotatedImage, ScoredMask
from instancefcn.evaluation.recall import areas, judged
from instancefcn.formats.coco.results import Results, ranked

Interpolation = Literal["11-point", "all-point"]
"""How precision is averaged over recall: see ``average_precision``."""

INTERPOLATIONS: tuple[Interpolation, ...] = ("11-point", "all-point")
COUNT = 300
THRESHOLDS = (0.5, 0.7)
POINTS = np.arange(11) / 10  # 3 of 10 is a recall of 3 / 10; 3 * 0.1 is a little more
TRUE, FALSE, IGNORED = 1, 0, -1

Floats: TypeAlias = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Judgement:
    """What an image's masks are worth.

    categories (n,) int64; scores (n,) float64, descending; verdicts (IoUs, n) int8: ``TRUE``,
    ``FALSE`` or ``IGNORED`` at each of ``THRESHOLDS``. objects: their number by category. void:
    whether pixels were removed as void.
    """

    categories: NDArray[np.int64]
    scores: Floats
    verdicts: NDArray[np.int8]
    objects: Mapping[int, int]
    void: bool


def judge(image: AnnotatedImage, found: Sequence[ScoredMask], count: int = COUNT) -> Judgement:
    """Judge an image's ``count`` best masks, of all categories together.

    Each in turn takes the object of its category that it overlaps most, the first of equals. It is
    true if their IoU reaches the threshold and the object is still free. Else it is false, even
    where a second object overlaps enough.

    SDS has neither crowds nor void; these rules are ours. A mask whose IoU with each object is too
    low is ignored if crowds of its category hold enough of it: one crowd's intersection over the
    mask's own area, COCO's rule. Void pixels are removed from masks and objects first, as for
    recall; a mask of which nothing is left is ignored.

    Raises UserError if a mask has not the image's size.
    """
    best = ranked(found)[:count]
    masks = judged(image, [mask.mask for mask in best])
    truths = judged(image, [instance.mask for instance in image.instances])
    crowds = np.array([instance.crowd for instance in image.instances], np.bool_)
    overlap = np.reshape(coco_mask.iou(masks, truths, crowds.tolist()), (len(masks), len(truths)))
    labels = np.array([mask.category for mask in best], np.int64)
    of_truths = np.array([instance.category for instance in image.instances], np.int64)
    verdicts = np.full((len(THRESHOLDS), len(best)), FALSE, np.int8)
    for category in np.unique(labels):
        mine, same = labels == category, of_truths == category
        of_mine = overlap[mine]
        verdicts[:, mine] = _verdicts(of_mine[:, same & ~crowds], of_mine[:, same & crowds])
    if image.void is not None:
        verdicts[:, areas(masks) == 0] = IGNORED
    return Judgement(
        categories=labels,
        scores=np.array([mask.score for mask in best], np.float64),
        verdicts=verdicts,
        objects=Counter(of_truths[~crowds].tolist()),
        void=image.void is not None,
    )


def _verdicts(overlap: Floats, inside: Floats) -> NDArray[np.int8]:
    """Verdicts (IoUs, n) on masks of one category, best first, from their IoU with each object
    (n, objects), and from how much of each is in each crowd (n, crowds).
    """
    most, held = overlap.max(1, initial=0), inside.max(1, initial=0)
    verdicts = np.full((len(THRESHOLDS), len(overlap)), FALSE, np.int8)
    for row, threshold in zip(verdicts, THRESHOLDS, strict=True):
        enough = np.flatnonzero(most >= threshold)
        if len(enough):
            _, first = np.unique(overlap[enough].argmax(1), return_index=True)
            row[enough[first]] = TRUE
        row[(most < threshold) & (held >= threshold)] = IGNORED
    return verdicts


@dataclass(frozen=True, eq=False)
class PrecisionReport:
    """Average precision, category by category, of each image's ``count`` best masks.

    categories: their names by id, in the order of all that follows. objects, masks (categories,)
    int64: the objects, and the masks that are true or false at the first threshold. precision
    (categories, IoUs) by interpolation, in [0, 1]: at each of ``THRESHOLDS``; nan of a category
    without objects. void: whether pixels were removed as void.
    """

    categories: Mapping[int, str]
    objects: NDArray[np.int64]
    masks: NDArray[np.int64]
    precision: Mapping[Interpolation, Floats]
    images: int
    count: int
    void: bool

    def of(self, category: int, iou: float, interpolation: Interpolation = "11-point") -> float:
        """AP^r of one category; nan if it has no objects."""
        place = list(self.categories).index(category)
        return float(self.precision[interpolation][place, THRESHOLDS.index(iou)])

    def mean(self, iou: float, interpolation: Interpolation = "11-point") -> float:
        """mAP^r: the mean over the categories that have objects; nan if none has."""
        values = self.precision[interpolation][self.objects > 0, THRESHOLDS.index(iou)]
        return float(values.mean()) if len(values) else float("nan")


def summarize_precision(
    judgements: Iterable[Judgement], categories: Mapping[int, str], count: int = COUNT
) -> PrecisionReport:
    """Average precision over the masks of all images. ``count`` is that of the judgements.

    Masks are ranked by score over all images; of equal scores the earlier image's comes first.
    Objects and masks of other categories than these play no part.
    """
    all_of = list(judgements)
    labels = np.concatenate([np.zeros(0, np.int64), *(j.categories for j in all_of)])
    scores = np.concatenate([np.zeros(0), *(j.scores for j in all_of)])
    none = np.zeros((len(THRESHOLDS), 0), np.int8)
    verdicts = np.concatenate([none, *(j.verdicts for j in all_of)], axis=1)
    order = np.argsort(-scores, kind="stable")
    labels, verdicts = labels[order], verdicts[:, order]
    mine = [verdicts[:, labels == category] for category in categories]
    objects = [sum(j.objects.get(category, 0) for j in all_of) for category in categories]
    return PrecisionReport(
        categories=dict(categories),
        objects=np.array(objects, np.int64),
        masks=np.array([(v[0] != IGNORED).sum() for v in mine], np.int64),
        precision={i: _precision(mine, objects, i) for i in INTERPOLATIONS},
        images=len(all_of),
        count=count,
        void=any(j.void for j in all_of),
    )


def _precision(
    verdicts: Sequence[NDArray[np.int8]], objects: Sequence[int], interpolation: Interpolation
) -> Floats:
    """Average precision (categories, IoUs) of the verdicts (IoUs, n) on each category's masks."""
    values = [
        average_precision(row[row != IGNORED] == TRUE, number, interpolation)
        for of_category, number in zip(verdicts, objects, strict=True)
        for row in of_category
    ]
    return np.reshape(np.array(values, np.float64), (len(objects), len(THRESHOLDS)))


def average_precision(
    true: NDArray[np.bool_], objects: int, interpolation: Interpolation = "11-point"
) -> float:
    """AP of masks (n,), best first, each true or false; nan if there are no objects.

    Precision at a recall is the best that is reached at this recall or a higher one, 0 at a recall
    that is not reached. "11-point": its mean at recall 0, 0.1 .. 1 (VOC 2007). "all-point": the
    area under it.
    """
    if not objects:
        return float("nan")
    found = np.cumsum(true)
    recall = found / objects
    reached = np.maximum.accumulate((found / np.arange(1, len(true) + 1))[::-1])[::-1]
    if interpolation == "all-point":
        return float((np.diff(recall, prepend=0) * reached).sum())
    return float(np.append(reached, 0.0)[np.searchsorted(recall, POINTS)].mean())


def evaluate_precision(
    images: Iterable[AnnotatedImage],
    results: Results,
    categories: Mapping[int, str],
    count: int = COUNT,
) -> PrecisionReport:
    """Average precision of results on a data set with these categories."""
    judgements = (judge(image, results.get(image.image_id, ()), count) for image in images)
    return summarize_precision(judgements, categories, count)
