"""Learning rates by hand: the paper's steps, warm-up and cosine."""

from __future__ import annotations

import math

import pytest

from instancefcn.training.schedules import Schedule, Staircase, WarmupCosine

SCHEDULES: list[Schedule] = [
    Staircase(),
    Staircase(at=(0.5, 0.75), divisor=2),
    Staircase(at=()),
    WarmupCosine(),
    WarmupCosine(warmup=0),
    WarmupCosine(warmup=1000),
]


@pytest.mark.parametrize("schedule", SCHEDULES)
@pytest.mark.parametrize("steps", [1, 2, 250])
def test_factors_are_positive_and_at_most_one(schedule: Schedule, steps: int) -> None:
    assert all(0 < schedule(step, steps) <= 1 for step in range(steps))


@pytest.mark.parametrize(("step", "factor"), [(0, 1), (31_999, 1), (32_000, 0.1), (39_999, 0.1)])
def test_the_papers_schedule(step: int, factor: float) -> None:
    assert Staircase()(step, steps=40_000) == pytest.approx(factor)


def test_a_staircase_goes_down_once_a_stair() -> None:
    schedule = Staircase(at=(0.5, 0.75), divisor=4)
    assert [schedule(step, 8) for step in range(8)] == [1, 1, 1, 1, 1 / 4, 1 / 4, 1 / 16, 1 / 16]


@pytest.mark.parametrize(
    ("step", "factor"),
    [
        (0, 1 / 100),
        (49, 50 / 100),
        (99, 1),
        (100, 1),
        (150, 0.2 + 0.8 * (1 + math.sqrt(0.5)) / 2),
        (200, 0.6),
        (300, 0.2),
    ],
)
def test_warmup_and_cosine_by_hand(step: int, factor: float) -> None:
    assert WarmupCosine(warmup=100, floor=0.2)(step, steps=300) == pytest.approx(factor)


def test_a_cosine_only_falls_after_its_warmup() -> None:
    factors = [WarmupCosine(warmup=10)(step, 100) for step in range(10, 100)]
    assert factors == sorted(factors, reverse=True)
    assert factors[-1] == pytest.approx(0.01, abs=1e-3)
