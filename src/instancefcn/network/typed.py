"""Plain values (mappings, lists, words, numbers) -> typed objects, once their classes are trusted.

The values come from a recipe, a command line or a model file. jsonargparse does the work.
"""

from __future__ import annotations

import warnings
from collections.abc import Collection, Mapping
from copy import deepcopy
from typing import Any

from jsonargparse import ArgumentError, ArgumentParser, Namespace, set_loader

from instancefcn.core.errors import UserError, nearest
from instancefcn.network.trust import LONGEST, Trust, require_few, shown

EMPTY = "Initializing zero-element tensors"
"""How torch's warning of a layer without weights begins."""

PLAIN = "instancefcn-plain"
"""A mode in which a word stays a word: jsonargparse's own would read it as YAML, with classes."""

set_loader(PLAIN, lambda text: text)


def plain_parser() -> ArgumentParser:
    """A parser for ``parse``, which has no arguments yet."""
    return ArgumentParser(exit_on_error=False, parser_mode=PLAIN, add_help=False)


def parse(
    parser: ArgumentParser,
    values: Mapping[str, Any],
    hints: Mapping[str, Any],
    trust: Collection[str],
    source: str,
) -> Namespace:
    """The values with their defaults, their types checked; nothing is built yet.

    ``hints`` are the types by name. Raises UserError, naming ``source``, for others.
    """
    require_few(values, source)
    for name, value in values.items():
        if name not in hints:
            raise UserError(f"{source}: no value is called {shown(name)}; {nearest(name, hints)}")
        Trust(trust, source).check(value, hints[name])
    try:
        # A copy, since the parser writes into what it is given.
        parsed: Namespace = parser.parse_object(deepcopy(dict(values)))
    except ArgumentError as error:
        raise UserError(f"{source}: {one_line(error)}; mend it") from None
    return parsed


def make(parser: ArgumentParser, values: Namespace) -> Namespace:
    """The objects that parsed values name. Raises UserError for a layer without channels, of which
    torch warns only; and what the objects' own classes raise.
    """
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("error", message=EMPTY)
            made: Namespace = parser.instantiate(values)
    except UserWarning as warning:
        if EMPTY not in str(warning):
            raise
        raise UserError("a layer of 0 channels; give 1 or more") from None
    return made


def dumped(parser: ArgumentParser, values: Namespace) -> str:
    """Parsed values, defaults among them, as YAML that ``parse`` takes again."""
    parser.parser_mode = "yaml"  # jsonargparse reads in parts what it writes
    try:
        return str(parser.dump(values, skip_unset=False))
    finally:
        parser.parser_mode = PLAIN


def one_line(error: Exception) -> str:
    """Jsonargparse tells in steps, a line each; the last says most."""
    words = " ".join(str(error).replace("Parser key", "value").split())
    return words if len(words) <= 2 * LONGEST else f"{words[:LONGEST]} ... {words[-LONGEST:]}"
