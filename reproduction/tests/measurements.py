"""Figures as measuring makes them, for tests."""

from __future__ import annotations

import numpy as np

from instancefcn.evaluation.recall import AREAS, IOUS, MISSED, Matches
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
