"""How much of a difference in mAP^r may be chance, of the seeds or of the images.

mAP^r is not a mean over images, so that images are drawn at random and mAP^r is computed anew from
what was said of their masks.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from chance import Difference, Floats, interval, times_drawn
from instancefcn.core.errors import UserError
from instancefcn.evaluation.precision import (
    IGNORED,
    POINTS,
    THRESHOLDS,
    TRUE,
    summarize_precision,
)
from label_measuring import Labels


def mean_precision(labels: Labels) -> Floats:
    """mAP^r in percent, at each of ``THRESHOLDS``, 11-point."""
    report = summarize_precision(labels.judgements, labels.categories)
    return 100 * np.array([report.mean(iou) for iou in THRESHOLDS])


def label_difference(plus: Sequence[Labels], minus: Sequence[Labels]) -> Difference:
    """The mean mAP^r of a method's runs less that of another's, at each of ``THRESHOLDS``, and its
    95 % interval: see ``chance.difference``.

    Raises UserError if the methods were not measured on the same objects.
    """
    objects = [[dict(j.objects) for j in labels.judgements] for labels in (*plus, *minus)]
    if any(of_run != objects[0] for of_run in objects):
        raise UserError(
            "labellers were measured on other objects; delete the runs' *.labelled.safetensors"
        )
    images = len(objects[0])
    times = times_drawn(images)
    drawn = [np.mean([drawn_precision(run, times) for run in runs], 0) for runs in (plus, minus)]
    values = [np.stack([mean_precision(run) for run in runs]) for runs in (plus, minus)]
    return interval(drawn[0] - drawn[1], images, [values[0]], [values[1]])


def drawn_precision(labels: Labels, times: Floats) -> Floats:
    """mAP^r in percent (draws, thresholds) on images each of which is there so many times
    (draws, images); nan of a draw without objects.

    Invariant: the same as of a set that holds each image so many times, if no two masks of an image
    have one score. A mask's copies lie together in the ranking, and only the last one is looked
    at: of a true mask it has the highest precision and recall, and of a false one no copy has
    higher ones than the mask before.
    """
    of = labels.judgements
    image = np.repeat(np.arange(len(of)), [len(j.scores) for j in of])
    order = np.argsort(-np.concatenate([j.scores for j in of]), kind="stable")
    image, category = image[order], np.concatenate([j.categories for j in of])[order]
    verdicts = np.concatenate([j.verdicts for j in of], axis=1)[:, order]
    values = []
    for key in labels.categories:
        objects = times @ np.array([float(j.objects.get(key, 0)) for j in of])
        mine = category == key
        weights = times[:, image[mine]]
        values.append([_precision(row[mine], weights, objects) for row in verdicts])
    every = np.array(values)  # (categories, thresholds, draws)
    there = np.isfinite(every)
    sums = np.where(there, every, 0).sum(0) / np.maximum(there.sum(0), 1)
    return 100 * np.where(there.any(0), sums, np.nan).T


def _precision(verdicts: Floats, weights: Floats, objects: Floats) -> Floats:
    """AP (draws,), 11-point, of masks (n,), best first, each there so many times (draws, n); nan
    of a draw without objects (draws,).
    """
    found = np.cumsum(weights * (verdicts == TRUE), 1)
    counted = np.cumsum(weights * (verdicts != IGNORED), 1)
    precision = found / np.maximum(counted, 1)
    reached = np.maximum.accumulate(precision[:, ::-1], 1)[:, ::-1]
    reached = np.concatenate((reached, np.zeros((len(objects), 1))), 1)  # beyond the last mask
    recall = found / np.maximum(objects, 1)[:, None]
    places = [(recall < point).sum(1, keepdims=True) for point in POINTS]
    mean = np.mean([np.take_along_axis(reached, place, 1)[:, 0] for place in places], 0)
    return np.where(objects > 0, mean, np.nan)
