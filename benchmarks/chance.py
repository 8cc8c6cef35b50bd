"""How much of a difference between two methods may be chance, of the seeds or of the images."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from instancefcn.evaluation.recall import COUNTS, IOUS, Definition, Matches
from measuring import Measured

DRAWS = 2000
LEVEL = 0.95

Floats = NDArray[np.float64]
COLUMNS = 2 * len(COUNTS)
"""AR at each of ``COUNTS``, of all objects and then of those that touch another of their kind."""


@dataclass(frozen=True, eq=False)
class Tally:
    """Of each image and column, both (images, ``COLUMNS``): how many objects were found, the mean
    over IoU, and how many there are. The sums' ratio is AR.
    """

    found: Floats
    objects: Floats

    def average(self) -> Floats:
        """AR in percent (``COLUMNS``,), nan where there is no object."""
        return _percent(self.found.sum(0), self.objects.sum(0))


@dataclass(frozen=True, eq=False)
class Difference:
    """Of AR in percent points, (``COLUMNS``,) each: its value and an interval around it."""

    value: Floats
    low: Floats
    high: Floats

    def beyond(self) -> NDArray[np.bool_]:
        """Where the interval leaves 0 out."""
        return (self.low > 0) | (self.high < 0)


def tally(figures: Measured, definition: Definition = "coco") -> Tally:
    weights = iou_weights(definition)
    parts = [_count(m, weights) for m in (figures.objects, figures.touching)]
    return Tally(*(np.concatenate(part, axis=1) for part in zip(*parts, strict=True)))


def iou_weights(definition: Definition) -> Floats:
    """What each of ``IOUS`` weighs in an average, see ``RecallReport.average``."""
    inner = np.full(len(IOUS) - 1, 1 / (len(IOUS) - 1))
    if definition == "coco":
        return np.append(inner, 0.0)
    trapezoids: Floats = (np.append(inner, 0.0) + np.append(0.0, inner)) / 2
    return trapezoids


def difference(one: Sequence[Tally], other: Sequence[Tally], seed: int = 0) -> Difference:
    """The mean over one method's runs less that over the other's, and its 95 % interval.

    Paired bootstrap: each draw takes images at random, the same for both methods, and runs of each
    method, one fewer than there are, which makes the draws' variance that of a mean (Davison and
    Hinkley 1997, section 2.7). Of a single run the interval holds the chance of the images alone.
    """
    objects = one[0].objects
    assert all(np.array_equal(t.objects, objects) for t in (*one, *other)), "of the same images"
    generator = np.random.default_rng(seed)
    images = len(objects)
    weights = generator.multinomial(images, np.full(images, 1 / images), DRAWS).astype(float)
    draws = _draw(one, weights, generator) - _draw(other, weights, generator)
    low, high = np.array([_interval(column[np.isfinite(column)]) for column in draws.T]).T
    return Difference(mean(one) - mean(other), low, high)


def _interval(draws: Floats) -> tuple[float, float]:
    """What all draws but the outermost lie in; nan without any."""
    if not len(draws):
        return np.nan, np.nan
    low, high = np.quantile(draws, [(1 - LEVEL) / 2, (1 + LEVEL) / 2]).tolist()
    return low, high


def mean(runs: Sequence[Tally]) -> Floats:
    averages: Floats = np.stack([run.average() for run in runs]).mean(0)
    return averages


def _draw(runs: Sequence[Tally], weights: Floats, generator: np.random.Generator) -> Floats:
    """AR (draws, ``COLUMNS``) of images so often (draws, images), and of runs at random."""
    found = np.stack([weights @ run.found for run in runs], 1)
    averages = _percent(found, (weights @ runs[0].objects)[:, None])
    chosen = generator.integers(len(runs), size=(len(weights), max(1, len(runs) - 1)))
    drawn: Floats = np.take_along_axis(averages, chosen[..., None], 1).mean(1)
    return drawn


def _count(matches: Sequence[Matches], weights: Floats) -> tuple[Floats, Floats]:
    """Found and present objects of each image and number of proposals."""
    found = [
        [weights @ (m.ranks[0] < count).sum(-1, dtype=np.float64) for count in COUNTS]
        for m in matches
    ]
    objects = [[float(m.counted[0].sum())] * len(COUNTS) for m in matches]
    return np.array(found), np.array(objects)


def _percent(found: Floats, objects: Floats) -> Floats:
    share: Floats = 100 * np.where(objects > 0, found / np.maximum(objects, 1e-9), np.nan)
    return share
