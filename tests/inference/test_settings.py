"""The settings of a recipe or a model file: typed, within range, the same after a round trip."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from instancefcn.core.errors import UserError
from instancefcn.inference.ranking import Selection
from instancefcn.inference.settings import Inference


def test_plain_values_survive() -> None:
    settings = Inference((64, 96), Selection(top=9, repeats=(0.5, 0.7)), longest=2.0)
    plain = settings.plain()
    assert json.loads(json.dumps(plain)) == plain
    assert Inference.of(plain, "m") == settings


def test_what_is_left_out_is_the_default() -> None:
    assert Inference.of({"sides": [64]}, "m") == Inference((64,), Selection(), 2.5)


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        (None, "no mapping"),
        ([], "no mapping"),
        ({}, "sides"),
        ({"sides": 64}, "sides"),
        ({"sides": ["a"]}, "sides"),
        ({"sides": []}, "sides: 0 of them; give 1 to 32"),
        ({"sides": [64] * 1000}, "sides: 1000 of them; give 1 to 32"),
        ({"sides": [0]}, "sides: 0 pixels"),
        ({"sides": [10**9]}, "sides: 1000000000 pixels"),
        ({"sidez": [64]}, "did you mean sides?"),
        ({"sides": [64], "longest": 0}, "longest: 0"),
        ({"sides": [64], "longest": float("nan")}, "longest: nan"),
        ({"sides": [64], "selection": {"tops": 1}}, "did you mean top?"),
        ({"sides": [64], "selection": {"top": -5}}, "selection.top: -5"),
        ({"sides": [64], "selection": {"overlap": 7}}, "selection.overlap: 7"),
        ({"sides": [64], "selection": {"repeats": [0.5, -1]}}, "selection.repeats"),
        ({"sides": [64], "selection": {"confidence": -1}}, "selection.confidence: -1"),
        ({"sides": [64], "selection": {"class_path": "os.system"}}, "names the class os.system"),
    ],
)
def test_what_is_out_of_range_is_told_in_one_line(values: Any, reason: str) -> None:
    with pytest.raises(UserError) as error:
        Inference.of(values, "m")
    assert str(error.value).startswith("m: its settings for inference are no")
    assert reason in str(error.value)
    assert "\n" not in str(error.value)


def test_a_selection_out_of_range_is_refused_wherever_it_is_made() -> None:
    with pytest.raises(UserError, match=r"selection\.overlap: 7; give 0 to 1"):
        Selection(overlap=7)
    with pytest.raises(UserError, match=r"selection\.top: 0; give 1 or more"):
        replace(Selection(), top=0)
