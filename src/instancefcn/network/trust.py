"""Whose classes a recipe or a model file may name: to build a class is to run its code.

Classes are looked up here before jsonargparse sees a value, and nothing is imported unless it lies
in a package that is trusted. A file's own word never makes a package trusted.
"""

from __future__ import annotations

import inspect
from collections.abc import Collection, Mapping
from dataclasses import dataclass, is_dataclass
from importlib import import_module
from pathlib import Path
from pkgutil import walk_packages
from types import NoneType
from typing import Any, get_args, get_origin, get_type_hints

from instancefcn.core.errors import UserError, nearest

OURS = "instancefcn"

ALWAYS = (OURS, "torch.nn", "torch.optim")
"""What any file may name: our own classes, torch's layers and optimizers."""

DEEPEST = 50
"""How far values may be nested in one another."""

MOST_VALUES = 10_000
"""How many there may be: jsonargparse needs seconds for so many, and minutes for 100,000."""

LONGEST = 300
"""How many characters of a value a message shows."""


@dataclass(frozen=True)
class Trust:
    """The packages whose classes values may name, beside ``ALWAYS``; ``source`` is for messages."""

    packages: Collection[str]
    source: str

    def check(self, value: Any, hint: Any = Any, depth: int = 0) -> None:
        """Raises UserError for a value that names a class which is not trusted or not there, or an
        argument that its class does not have.

        ``hint`` is the type that the value is meant for. A word with dots names a class, unless
        the type asks for words or paths.
        """
        require_depth(depth, self.source)
        built = settings_of(hint)
        if value is None and built and NoneType not in get_args(hint):
            raise UserError(f"{self.source}: null for {built.__name__}; leave it out")
        if isinstance(value, str):
            if is_class_path(value) and not takes_words(hint):
                self.find(value)
        elif isinstance(value, list):
            for part in value:
                self.check(part, item_of(hint), depth + 1)
        elif isinstance(value, Mapping):
            self._check_mapping(value, hint, depth)

    def _check_mapping(self, value: Mapping[str, Any], hint: Any, depth: int) -> None:
        named = value.get("class_path")
        if named is None:
            self._check_arguments(value, settings_of(hint), depth)
            return
        if not isinstance(named, str):
            raise UserError(f"{self.source}: class_path: {shown(named)}; give a class's full name")
        found = self.find(named) if is_class_path(named) else None
        for name, part in value.items():
            if name == "init_args" and isinstance(part, Mapping):
                self._check_arguments(part, found, depth + 1)
            elif name != "class_path":
                self.check(part, depth=depth + 1)

    def _check_arguments(self, values: Mapping[str, Any], built: type | None, depth: int) -> None:
        names, hints = arguments_of(built) if built else (None, {})
        for name, part in values.items():
            if built and names is not None and name not in names:
                raise UserError(
                    f"{self.source}: {built.__name__} has no argument {shown(name)}; "
                    f"{nearest(name, names)}"
                )
            self.check(part, hints.get(name, Any), depth + 1)

    def find(self, path: str) -> type:
        """The class of this full name. Raises UserError before it imports what is not trusted."""
        self._require(path, path)
        module, _, name = path.rpartition(".")
        try:
            holder = import_module(module)
        except ImportError as error:
            way_out = _moved(path) or f"{error}; check its name"
            raise UserError(f"{self.source}: no class {path}; {way_out}") from None
        found = getattr(holder, name, None)
        if not inspect.isclass(found):
            classes = [n for n, _ in inspect.getmembers(holder, inspect.isclass)]
            way_out = _moved(path) or nearest(name, classes)
            raise UserError(f"{self.source}: no class {path}; {way_out}")
        self._require(f"{found.__module__}.{found.__qualname__}", path)  # imported from elsewhere?
        return found

    def _require(self, path: str, named: str) -> None:
        if any(path.startswith(f"{package}.") for package in (*ALWAYS, *self.packages)):
            return
        package = path.partition(".")[0]
        raise UserError(
            f"{self.source}: names the class {shown(named)}, whose code is not trusted; if you "
            f'know what it does, allow it: --trust {package}, or trust=("{package}",) in Python'
        )


def _moved(path: str) -> str:
    """The end of a message about a class of ours that lies elsewhere, empty if there is none."""
    root, _, rest = path.partition(".")
    place = place_of(rest.rpartition(".")[2]) if root == OURS else None
    return f"did you mean {place}?" if place else ""


def place_of(name: str) -> str | None:
    """The shortest full name of our own class of this name, None if there is none.

    Recipes outlive the places of classes. All our modules are imported: for messages only.
    """
    places = []
    for module in walk_packages(import_module(OURS).__path__, f"{OURS}."):
        try:
            found = getattr(import_module(module.name), name, None)
        except (ImportError, UserError):  # it needs an extra that is not installed
            continue
        home = f"{getattr(found, '__module__', '')}."
        if inspect.isclass(found) and home.startswith(f"{module.name}."):
            places.append(f"{module.name}.{name}")
    return min(places, key=len, default=None)


def require_few(values: Any, source: str) -> None:
    """Raises UserError for values that aliases make many of, or endlessly deep."""
    number, ahead = 0, [(values, 0)]
    while ahead:
        value, depth = ahead.pop()
        number += 1
        require_depth(depth, source)
        if number > MOST_VALUES:
            raise UserError(f"{source}: more than {MOST_VALUES} values, aliases written out")
        parts = value.values() if isinstance(value, Mapping) else value
        if isinstance(value, (list, Mapping)):
            ahead += [(part, depth + 1) for part in parts]


def require_depth(depth: int, source: str) -> None:
    if depth > DEEPEST:
        raise UserError(f"{source}: values nested more than {DEEPEST} deep; write less")


def is_class_path(word: str) -> bool:
    """Names with dots between them; a file's name that looks so is written with ./ before it."""
    return "." in word and all(part.isidentifier() for part in word.split("."))


def takes_words(hint: Any) -> bool:
    """Does a type ask for words, paths or numbers, and for no class?"""
    return set(get_args(hint) or (hint,)) <= {str, Path, NoneType, int, float, bool}


def item_of(hint: Any) -> Any:
    """The type of the items of a list of this type."""
    return next(iter(get_args(hint)), Any) if isinstance(get_origin(hint), type) else Any


def settings_of(hint: Any) -> type | None:
    """The dataclass that a type asks for, None for any other: its arguments need no class_path."""
    options = [option for option in get_args(hint) or (hint,) if option is not NoneType]
    only = options[0] if len(options) == 1 else None
    return only if inspect.isclass(only) and is_dataclass(only) else None


def arguments_of(built: type) -> tuple[set[str] | None, dict[str, Any]]:
    """The names of a class's arguments, None if it takes any, and their types as far as known."""
    parameters = inspect.signature(built).parameters.values()
    try:
        hints = get_type_hints(inspect.getattr_static(built, "__init__"))
    except (NameError, TypeError):  # a type that is imported for type checkers only
        hints = {}
    if any(p.kind is p.VAR_KEYWORD for p in parameters):
        return None, hints
    return {p.name for p in parameters}, hints


def shown(value: object) -> str:
    """A value for a message, cut short."""
    text = str(value)
    return text if len(text) <= LONGEST else f"{text[:LONGEST]} ..."
