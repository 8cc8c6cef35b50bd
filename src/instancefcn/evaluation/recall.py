"""Class-agnostic mask AR: which objects are found, at which IoU, by how many proposals.

Recall by the rules of COCO's evaluation (pycocotools' COCOeval: segm, useCats = 0), and from it
the average recall by both definitions in use. Images are matched one by one. What is kept of an
image does not grow with the number of its proposals.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray
from pycocotools import mask as coco_mask

from instancefcn.core.errors import UserError
from instancefcn.core.rle import decode, encode, rle_to_coco
from instancefcn.core.types import AnnotatedImage, Rle
from instancefcn.formats.coco.results import Results

Definition = Literal["coco", "area"]
"""How recall is averaged over IoU: see ``iou_weights``."""

COUNTS = (10, 100, 1000)
# COCO's own ten, bit for bit: an IoU of exactly 0.6 must fall on the side where theirs falls.
IOUS: NDArray[np.float64] = np.append(np.linspace(0.5, 0.95, 10), 1.0)
# In pixels of the mask; COCO takes the same of its annotations' "area".
AREAS: dict[str, tuple[float, float]] = {
    "all": (0, 1e10),
    "small": (0, 32**2),
    "medium": (32**2, 96**2),
    "large": (96**2, 1e10),
}
MISSED = np.iinfo(np.int32).max

Floats: TypeAlias = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Matches:
    """Which of an image's proposals found which object.

    ranks (areas, IoUs, objects) int32: the place, 0 the best, of the proposal that found the
    object; ``MISSED`` if none did, or if the object is not of that area. counted (areas, objects)
    bool: it is of that area. void: whether pixels were removed as void.
    """

    ranks: NDArray[np.int32]
    counted: NDArray[np.bool_]
    void: bool


def match(image: AnnotatedImage, proposals: Sequence[Rle]) -> Matches:
    """Match proposals, best first, with the image's objects.

    COCO's rule: at each IoU, each proposal in turn takes the object that it overlaps most, of those
    that are free and overlap enough. Crowds do not count. Void pixels are removed from proposals
    and objects first. What follows the first N proposals does not change their matches.

    Raises UserError if a proposal has not the image's size.
    """
    found = judged(image, proposals)
    counting = [instance for instance in image.instances if not instance.crowd]
    objects = judged(image, [instance.mask for instance in counting])
    area = areas(objects)
    counted = np.stack([(low <= area) & (area <= high) for low, high in AREAS.values()])
    iou = coco_mask.iou(found, objects, [0] * len(objects))
    overlap = np.reshape(iou, (len(proposals), len(objects)))
    # Of objects overlapped alike the last is taken, and pycocotools goes category by category.
    order = np.argsort(np.array([i.category for i in counting], np.int64), kind="stable")
    ranks = np.full((len(AREAS), len(IOUS), len(objects)), MISSED, np.int32)
    ranks[..., order] = _match(overlap[:, order], counted[:, order])
    return Matches(ranks, counted, image.void is not None)


def judged(image: AnnotatedImage, masks: Sequence[Rle]) -> list[dict[str, object]]:
    """Masks on an image without its void pixels, for pycocotools.

    Raises UserError if a mask has not the image's size.
    """
    for mask in masks:
        if (mask.height, mask.width) != (image.height, image.width):
            raise UserError(
                f"{image.path}: a proposal of {mask.width} x {mask.height} pixels on an image of "
                f"{image.width} x {image.height}; propose at the image's own size"
            )
    segmentations = list(map(rle_to_coco, masks))
    if image.void is None:
        return segmentations
    rest = rle_to_coco(encode(~decode(image.void)))
    return [coco_mask.merge([mask, rest], intersect=True) for mask in segmentations]


def areas(masks: Sequence[Mapping[str, object]]) -> NDArray[np.int64]:
    """The pixels inside each of pycocotools' masks (n,). One by one: it fails on 256 at once."""
    return np.array([coco_mask.area(mask) for mask in masks], np.int64)


def _match(overlap: Floats, counted: NDArray[np.bool_]) -> NDArray[np.int32]:
    """Ranks (areas, IoUs, n) of overlaps (proposals, n) with objects counted (areas, n)."""
    enough = np.minimum(IOUS, 1 - 1e-10)[:, None]
    free = np.repeat(counted[:, None], len(IOUS), axis=1)
    ranks = np.full(free.shape, MISSED, np.int32)
    for rank in np.flatnonzero((overlap >= enough[0]).any(1)):
        candidates = np.where(free & (overlap[rank] >= enough), overlap[rank], -1.0)
        last_best = candidates.shape[-1] - 1 - candidates[..., ::-1].argmax(-1)
        area, iou = np.nonzero(candidates.max(-1) >= 0)
        taken = area, iou, last_best[area, iou]
        ranks[taken], free[taken] = rank, False
    return ranks


@dataclass(frozen=True, eq=False)
class RecallReport:
    """Recall of objects by the first N proposals of each image.

    recall (N, areas, IoUs): for each of ``counts``, ``AREAS`` and ``IOUS``; in [0, 1], rising with
    N and falling with IoU; nan where there is no object. objects: their number in each area.
    void: whether pixels were removed as void.
    """

    counts: tuple[int, ...]
    recall: Floats
    images: int
    objects: dict[str, int]
    void: bool

    def at(self, count: int, area: str = "all") -> Floats:
        """Recall at each of ``IOUS`` by the first ``count`` proposals."""
        recall: Floats = self.recall[self.counts.index(count), list(AREAS).index(area)]
        return recall

    def average(self, count: int, area: str = "all", definition: Definition = "coco") -> float:
        """AR@count, see ``iou_weights``; nan where there is no object."""
        weights = iou_weights(definition)
        return float((weights * self.at(count, area)).sum() / weights.sum())


def iou_weights(definition: Definition) -> Floats:
    """What recall at each of ``IOUS`` weighs in AR, as whole numbers.

    "coco": the mean recall at IoU 0.50, 0.55 .. 0.95. "area": twice the area under recall over IoU
    0.5 .. 1 (Hosang et al. 2015, whom the InstanceFCN paper follows), by trapezoids of 0.05. It is
    3 to 4 points lower as a rule.
    """
    mean = np.append(np.ones(len(IOUS) - 1), 0.0)
    return mean if definition == "coco" else mean + np.roll(mean, 1)


def summarize(matches: Iterable[Matches], counts: Sequence[int] = COUNTS) -> RecallReport:
    """Recall over the objects of all images, by any numbers of proposals an image."""
    matches = list(matches)
    none = np.zeros((len(AREAS), 0), np.bool_)
    counted = np.concatenate([none, *(m.counted for m in matches)], axis=-1)
    ranks = np.concatenate([_match(np.zeros((0, 0)), none), *(m.ranks for m in matches)], axis=-1)
    objects = counted.sum(-1)
    found = np.stack([(ranks < count).sum(-1) for count in counts])
    recall = np.where(objects[:, None], found / np.maximum(objects, 1)[:, None], np.nan)
    return RecallReport(
        counts=tuple(counts),
        recall=recall,
        images=len(matches),
        objects=dict(zip(AREAS, objects.tolist(), strict=True)),
        void=any(m.void for m in matches),
    )


def evaluate_recall(
    images: Iterable[AnnotatedImage], results: Results, counts: Sequence[int] = COUNTS
) -> RecallReport:
    """Recall of results on a data set. An image without results misses all its objects."""
    most = max(counts)
    return summarize(
        (
            match(image, [p.mask for p in results.get(image.image_id, ())][:most])
            for image in images
        ),
        counts,
    )
