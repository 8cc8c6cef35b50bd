"""Layers of plain values: one rule, and attacks on what reads them told in one line, at once."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from instancefcn.core.errors import UserError
from instancefcn.training.layers import (
    LARGEST,
    fill_in,
    lay_all,
    lay_over,
    read_layer,
    words_to_layers,
)

A = {"class_path": "x.A", "init_args": {"size": 1, "inner": {"class_path": "x.I"}}}


@pytest.mark.parametrize(
    ("below", "above", "expected"),
    [
        ({}, {}, {}),
        ({"a": 1, "b": 2}, {"b": 3}, {"a": 1, "b": 3}),
        ({"a": 1}, {"a": None}, {"a": None}),
        ({"a": [1, 2]}, {"a": [3]}, {"a": [3]}),
        ({"a": {"b": 1, "c": 2}}, {"a": {"c": 3}}, {"a": {"b": 1, "c": 3}}),
        ({"a": 1}, {"a": {"b": 1}}, {"a": {"b": 1}}),
        # A class named anew, even by the same name, keeps nothing.
        (A, {"class_path": "x.B"}, {"class_path": "x.B"}),
        (A, {"class_path": "x.A"}, {"class_path": "x.A"}),
        (A, "x.B", {"class_path": "x.B"}),
        # A class named in part keeps the rest, in full and in short.
        (A, {"init_args": {"size": 2}}, {**A, "init_args": {**A["init_args"], "size": 2}}),  # type: ignore[dict-item]
        (A, {"size": 2}, {**A, "init_args": {**A["init_args"], "size": 2}}),  # type: ignore[dict-item]
        ({"class_path": "x.A"}, {"size": 2}, {"class_path": "x.A", "init_args": {"size": 2}}),
        (A, {"inner": "x.J"}, {**A, "init_args": {"size": 1, "inner": {"class_path": "x.J"}}}),
        (A, None, None),
    ],
)
def test_what_is_laid_over_what(below: Any, above: Any, expected: Any) -> None:
    before = repr((below, above))
    assert lay_over(below, above) == expected
    assert repr((below, above)) == before


def test_a_command_line_is_layers_wholes_before_their_parts() -> None:
    words = ["--a.init_args.lr=1e-3", "--a", "x.B", "--n", "-1", "--l", "[{c: 1}]", "--data", "01"]
    values = lay_all(
        [{"a": {"class_path": "x.A", "init_args": {"old": 1}}}, *words_to_layers(words)]
    )
    assert values == {
        "a": {"class_path": "x.B", "init_args": {"lr": "1e-3"}},
        "n": "-1",
        "l": [{"c": 1}],
        "data": "01",
    }


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (["steps", "3"], "steps: no value of the recipe; give --NAME VALUE"),
        (["--steps"], "--steps: a value is missing"),
        (["--steps", "--batch", "3"], "--steps: a value is missing"),
        (["--train", "[{"], "--train: no YAML"),
    ],
)
def test_words_that_are_no_values(words: list[str], reason: str) -> None:
    with pytest.raises(UserError) as error:
        words_to_layers(words)
    assert str(error.value).startswith(reason)
    assert "\n" not in str(error.value)


def test_places_are_filled_in_once() -> None:
    places = {"data": "${data}", "weights": "W"}
    value = {"a": ["${data}/x", "${weights}${weights}"], "b": 3}
    assert fill_in(value, places, "r") == {"a": ["${data}/x", "WW"], "b": 3}


@pytest.mark.parametrize("word", ["${data", "${dat}", "${}", "${data/x}", "a ${ b"])
def test_an_unknown_place_is_one_line(word: str) -> None:
    with pytest.raises(UserError, match=r"r: .* is unknown; write \$\{data\}"):
        fill_in([word], {"data": "d"}, "r")


BOMB = "a0: &a0 [1, 1]\n" + "".join(f"a{i}: &a{i} [{f'*a{i - 1}, ' * 9}]\n" for i in range(1, 40))
MERGED = "a0: &a0 {x: 1}\n" + "".join(
    f"a{i}: &a{i}\n  <<: [{f'*a{i - 1}, ' * 9}]\n" for i in range(1, 40)
)
ENDLESS = "a: &a [*a]"


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "no recipe"),
        (b"- 1", "no recipe"),
        (b"3", "no recipe"),
        (b"a: [", "no YAML"),
        (b"\xff\xfe\x00", "no text in UTF-8"),
        (b"a: \x00", "no YAML"),
        (b"a: 2012-13-45", "no YAML"),
        (b"a: !!python/object/apply:os.system [true]", "no YAML"),
        (b"3: 4", "no word"),
        (b"a.b: 4", "has a dot"),
        (b"a: " + b"[" * 500 + b"]" * 500, "nested more than 50 deep"),
        (b"[" * LARGEST, "nested more than 50 deep"),
        (b"# " + b"x" * LARGEST, "longer than"),
        (BOMB.encode(), "more than 10000 values"),
        (MERGED.encode(), "merge key"),
        (ENDLESS.encode(), "nested more than 50 deep"),
    ],
    ids=lambda value: None if isinstance(value, bytes) else value,
)
def test_what_is_no_recipe_is_told_in_one_line(content: bytes, reason: str, tmp_path: Path) -> None:
    path = tmp_path / "bad.yaml"
    path.write_bytes(content)
    with pytest.raises(UserError, match=reason) as error:
        read_layer(path)
    assert str(error.value).startswith(f"{path}: ")
    assert "\n" not in str(error.value)
    assert len(str(error.value)) < 1000


def test_a_folder_is_no_recipe(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="cannot be read"):
        read_layer(tmp_path)


def test_aliases_are_values_written_out(tmp_path: Path) -> None:
    path = tmp_path / "r.yaml"
    path.write_text("train: &set [1]\nevaluate: *set\n")
    assert read_layer(path) == {"train": [1], "evaluate": [1]}
