"""The values of a recipe in layers: plain nested mappings, each laid over the one below.

A base, a file and a command line are layers alike, and ``lay_over`` is the one rule for all.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from functools import reduce
from pathlib import Path
from typing import Any

import yaml

from instancefcn.core.errors import UserError
from instancefcn.network.trust import require_depth, require_few, shown

LARGEST = 100_000
"""Bytes of a recipe: PyYAML needs a second for so many."""

Values = dict[str, Any]
PARTS = ("init_args", "dict_kwargs")


def lay_over(below: Any, above: Any) -> Any:
    """What results where a value is given anew.

    Of a mapping that is named in part the rest stays. Of a class that is named anew nothing of the
    old one's arguments stays. All else, a list too, is replaced whole. Over a class a word names a
    class, and {lr: 1} is short for {init_args: {lr: 1}}.
    """
    if isinstance(below, Mapping) and "class_path" in below:
        if isinstance(above, str):
            return {"class_path": above}
        if isinstance(above, Mapping) and "class_path" not in above:
            above = _in_full(above)
    if not (isinstance(below, Mapping) and isinstance(above, Mapping)) or "class_path" in above:
        return above
    laid = {name: lay_over(below.get(name), value) for name, value in above.items()}
    return {**below, **laid}


def _in_full(above: Mapping[str, Any]) -> Values:
    short = {name: value for name, value in above.items() if name not in PARTS}
    parts = {name: value for name, value in above.items() if name in PARTS}
    return lay_over(parts, {"init_args": short}) if short else parts


def lay_all(layers: Iterable[Values]) -> Values:
    """All layers, the lowest first."""
    empty: Values = {}
    return reduce(lay_over, layers, empty)


def read_layer(path: Path) -> Values:
    """The values of a YAML file. Raises UserError, naming it, if it holds no mapping of them."""
    try:
        with path.open("rb") as file:
            content = file.read(LARGEST + 1)
        values = load_yaml(content.decode(), str(path))
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror}); give a YAML file") from None
    except UnicodeDecodeError:
        raise UserError(f"{path}: no text in UTF-8; give a YAML file") from None
    if not isinstance(values, dict):
        raise UserError(f"{path}: no recipe: {shown(values)!r}; give lines like `steps: 100`")
    for name in values:
        if not isinstance(name, str) or "." in name:
            raise UserError(f"{path}: {shown(name)!r} has a dot or is no word; write values nested")
    return values


def load_yaml(text: str, source: str) -> Any:
    """Plain values, of bounded size and depth. Raises UserError, naming ``source``."""
    if len(text) > LARGEST:
        raise UserError(f"{source}: longer than {LARGEST} characters; write a shorter recipe")
    try:
        depth = 0
        for event in yaml.parse(text, yaml.SafeLoader):
            depth += isinstance(event, yaml.CollectionStartEvent)
            depth -= isinstance(event, yaml.CollectionEndEvent)
            require_depth(depth, source)
            if isinstance(event, yaml.ScalarEvent) and event.value == "<<":
                raise UserError(f"{source}: the merge key <<; take a base, or write values out")
        values = yaml.safe_load(text)
    except (yaml.YAMLError, ValueError) as error:
        if isinstance(error, UserError):
            raise
        raise UserError(f"{source}: no YAML ({' '.join(str(error).split())}); mend it") from None
    require_few(values, source)
    return values


def words_to_layers(words: Sequence[str]) -> list[Values]:
    """The layers of a command line, "--steps 100" or "--optimizer.init_args.lr=0.01" each one.

    Whole values come before parts of them, whatever their order in the line. A value that begins
    with [ or { is YAML, any other the word itself.
    """
    pairs: list[tuple[str, str]] = []
    rest = list(words)
    while rest:
        word = rest.pop(0)
        name, equals, value = word.removeprefix("--").partition("=")
        if not word.startswith("--") or not name:
            raise UserError(f"{word}: no value of the recipe; give --NAME VALUE, as --steps 100")
        if not equals:
            if not rest or rest[0].startswith("--"):
                raise UserError(f"{word}: a value is missing; give --{name} VALUE")
            value = rest.pop(0)
        pairs.append((name, value))
    return [_layer(name, value) for name, value in sorted(pairs, key=lambda p: p[0].count("."))]


def _layer(name: str, word: str) -> Values:
    value = load_yaml(word, f"--{name}") if word.startswith(("[", "{")) else word
    for part in reversed(name.split(".")):
        value = {part: value}
    assert isinstance(value, dict)
    return value


PLACE = re.compile(r"\$\{([^{}$]*)(\}?)")


def fill_in(value: Any, places: Mapping[str, str], source: str) -> Any:
    """Values in which ``${data}`` and the like are replaced, once. Raises UserError for others."""
    if isinstance(value, Mapping):
        return {name: fill_in(part, places, source) for name, part in value.items()}
    if isinstance(value, list):
        return [fill_in(part, places, source) for part in value]
    if not isinstance(value, str):
        return value

    def replaced(match: re.Match[str]) -> str:
        if match[1] not in places or not match[2]:
            known = " or ".join(f"${{{name}}}" for name in places)
            raise UserError(f"{source}: {shown(value)!r}: {match[0]} is unknown; write {known}")
        return places[match[1]]

    return PLACE.sub(replaced, value)
