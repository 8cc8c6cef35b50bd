"""Figures as measuring makes them, for tests."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from instancefcn.evaluation.precision import THRESHOLDS, Judgement
from instancefcn.evaluation.recall import AREAS, IOUS, MISSED, Matches
from label_measuring import Labels
from measuring import Measured


def measured_of(found: float, touching: bool = True) -> Measured:
    """Of 50 images with 20 objects each: this share of them is found by the first 10 masks at every
    IoU, half by 100 and more, and a quarter of 4 that touch.
    """

    def matches(objects: int, first: float, later: float) -> Matches:
        ranks = np.full((len(AREAS), len(IOUS), objects), MISSED, np.int32)
        ranks[..., : round(objects * later)] = 50
        ranks[..., : round(objects * first)] = 5
        return Matches(ranks, np.ones((len(AREAS), objects), np.bool_), void=False)

    close = matches(4 if touching else 0, 0.25, 0.25)
    return Measured((matches(20, found, 0.5),) * 50, (close,) * 50, np.full(50, 700), "abc")


def labels_of(shares: Sequence[float | None], commit: str = "abc") -> Labels:
    """Of images with 10 objects of one category, or None: this share of them is found by as many
    true masks, and as many false ones as there are objects lie behind these.
    """
    judgements = []
    for share in shares:
        number = 0 if share is None else 10
        true = round(number * (share or 0))
        verdicts = np.array([[1] * true + [0] * number] * len(THRESHOLDS), np.int8)
        scores = np.linspace(0.9, 0.8, true).tolist() + np.linspace(0.3, 0.2, number).tolist()
        labels = np.full(len(scores), 3)
        judgements.append(Judgement(labels, np.array(scores), verdicts, {3: number}, void=True))
    return Labels(tuple(judgements), np.array([30.0, 50.0]), {3: "cat", 4: "dog"}, commit)
