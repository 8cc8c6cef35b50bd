"""The house: who may import whom, and how long files and functions may be.

Imports run one way, from the first tier to the last. A module may import from the tiers before its
own, and from its own package; not from its neighbours. A new module needs a line here.
"""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import instancefcn

SOURCE = Path(instancefcn.__file__).parent
TIERS = (
    ("core",),
    ("network", "data"),
    ("formats", "labelling"),
    ("inference", "evaluation"),
    ("training",),
    ("baselines", "figures"),
    ("apps",),
)
TIER = {name: tier for tier, names in enumerate(TIERS) for name in names}
FILES = sorted(SOURCE.rglob("*.py"))
MODULES = [path for path in FILES if path.parent != SOURCE or path.stem != "__init__"]


def unit(path: Path) -> str:
    """The module, or the package as a whole, that a file belongs to."""
    return path.relative_to(SOURCE).parts[0].removesuffix(".py")


def imported(path: Path) -> set[str]:
    """The units of ours that a file imports anywhere in it, its own left out."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}:{node.lineno}: imports are absolute"
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
        elif isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
    parts = [name.split(".") for name in names]
    return {part[1] for part in parts if part[0] == "instancefcn"} - {unit(path)}


def reached(name: str) -> set[str]:
    """All units that importing this one imports in the end."""
    reach: set[str] = set()
    ahead = {name}
    while ahead:
        reach |= ahead
        of_ahead = [imported(path) for path in MODULES if unit(path) in ahead]
        ahead = set().union(*of_ahead) - reach
    return reach - {name}


def name_of(path: Path) -> str:
    return str(path.relative_to(SOURCE))


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_imports_run_one_way(path: Path) -> None:
    assert unit(path) in TIER, f"{unit(path)} has no tier yet"
    back = {name for name in imported(path) if TIER[name] >= TIER[unit(path)]}
    assert not back, f"{name_of(path)} imports {sorted(back)}, which come after it or beside it"


def test_the_imports_are_found() -> None:
    """What the other tests rest on."""
    assert imported(SOURCE / "network" / "heads.py") == {"core"}
    assert {"core", "network"} <= reached("inference")


def test_the_network_never_imports_data() -> None:
    assert "data" not in reached("network")


def test_evaluation_never_imports_the_network() -> None:
    assert not reached("evaluation") & {"network", "inference"}


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_files_have_fewer_than_300_lines(path: Path) -> None:
    assert len(path.read_text().splitlines()) < 300


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_functions_have_fewer_than_40_lines(path: Path) -> None:
    """Their docstrings not counted, so that nobody saves on those."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            assert node.end_lineno is not None
            doc = node.body[0] if ast.get_docstring(node) else None
            documented = doc.end_lineno - doc.lineno + 1 if doc and doc.end_lineno else 0
            lines = node.end_lineno - node.lineno + 1 - documented
            assert lines < 40, f"{node.name} has {lines}"
