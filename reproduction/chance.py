"""How much of a difference between two methods may be chance, of the seeds or of the images."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray
from scipy.stats import t

from instancefcn.core.errors import UserError
from instancefcn.evaluation.recall import COUNTS, Definition, Matches, iou_weights
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


@cache  # tables ask for the same runs again and again
def tally(figures: Measured, definition: Definition = "coco") -> Tally:
    weights = iou_weights(definition)
    share = weights / weights.sum()
    parts = [_count(m, share) for m in (figures.objects, figures.touching)]
    return Tally(*(np.concatenate(part, axis=1) for part in zip(*parts, strict=True)))


Methods = Sequence[Sequence[Tally]]
"""Of each method its runs."""


def difference(plus: Methods, minus: Methods) -> Difference:
    """The sum of some methods' means over their runs less that of others', and its 95 % interval.
    Two of each give a difference of differences.

    Variances add: over images, which all methods share, by a bootstrap of the difference; and over
    each method's runs. Student's t with Welch and Satterthwaite's degrees of freedom, since runs
    are few. Of methods with a single run the interval holds the chance of the images alone.

    Raises UserError if the methods were not measured on the same objects.
    """
    objects = plus[0][0].objects
    every = [tally for runs in (*plus, *minus) for tally in runs]
    if not all(np.array_equal(tally.objects, objects) for tally in every):
        raise UserError(
            "methods were measured on other objects; delete the runs' *.measured.safetensors"
        )
    values = [[_averages(runs) for runs in methods] for methods in (plus, minus)]
    return interval(_draw(plus, minus), len(objects), *values)


def interval(
    drawn: Floats, images: int, plus: Sequence[Floats], minus: Sequence[Floats]
) -> Difference:
    """A difference and its interval, from what it is on images drawn at random, (draws, columns),
    nan where it is not defined, and from what each run of each method has on all ``images``,
    (runs, columns) each.
    """
    defined = (column[np.isfinite(column)] for column in drawn.T)
    of_images = np.array([column.var() if len(column) else np.nan for column in defined])
    terms = [(of_images, images - 1), *(_variance(runs) for runs in (*plus, *minus))]
    variance = np.sum([term for term, _ in terms], axis=0)
    squares = np.sum([term**2 / max(freedom, 1) for term, freedom in terms], axis=0)
    freedom = np.where(squares > 0, variance**2 / np.where(squares > 0, squares, 1), 1)
    reach = t.ppf((1 + LEVEL) / 2, freedom) * np.sqrt(variance)
    value = np.sum([runs.mean(0) for runs in plus], axis=0)
    value = value - np.sum([runs.mean(0) for runs in minus], axis=0)
    return Difference(value, value - reach, value + reach)


def mean(runs: Sequence[Tally]) -> Floats:
    averages: Floats = _averages(runs).mean(0)
    return averages


def times_drawn(images: int) -> Floats:
    """How often each image is drawn: (``DRAWS``, images), the same in each call."""
    generator = np.random.default_rng(0)
    shares = np.full(images, 1 / images)
    return generator.multinomial(images, shares, DRAWS).astype(np.float64)


def _averages(runs: Sequence[Tally]) -> Floats:
    return np.stack([run.average() for run in runs])


def _variance(runs: Floats) -> tuple[Floats, int]:
    """Of the mean over runs (runs, columns), and its degrees of freedom; 0 of a single run."""
    freedom = len(runs) - 1
    if not freedom:
        return np.zeros(runs.shape[1]), 0
    return runs.var(0, ddof=1) / len(runs), freedom


def _draw(plus: Methods, minus: Methods) -> Floats:
    """Differences (``DRAWS``, ``COLUMNS``), of means over runs, on images drawn at random."""
    objects = plus[0][0].objects
    times = times_drawn(len(objects))
    found = sum(_found(runs) for runs in plus) - sum(_found(runs) for runs in minus)
    return _percent(times @ found, times @ objects)


def _found(runs: Sequence[Tally]) -> Floats:
    found: Floats = np.mean([run.found for run in runs], axis=0)
    return found


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
