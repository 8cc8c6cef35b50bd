"""What pyproject.toml promises of the libraries it asks for."""

from __future__ import annotations

import re
from pathlib import Path

from packaging.version import Version

ROOT = Path(__file__).parents[1]
REQUIREMENT = re.compile(r'"([\w-]+)(?:\[[\w,-]+\])?>=([\d.]+)"')
PINNED = re.compile(r"^([\w-]+)==([\d.]+)$", re.MULTILINE)
SHARED = {"torch", "torchvision"}
"""Not in constraints-oldest.txt: CI tests the oldest of the others beside the newest of these."""


def test_the_oldest_versions_are_those_that_are_tested() -> None:
    """All but the last part, which a library may skip: opencv has no 4.8.0, only 4.8.0.76."""
    bounds = dict(REQUIREMENT.findall((ROOT / "pyproject.toml").read_text()))
    tested = dict(PINNED.findall((ROOT / "constraints-oldest.txt").read_text()))
    assert bounds.keys() - SHARED == tested.keys()
    for name, version in tested.items():
        length = len(Version(bounds[name]).release)
        assert Version(version).release[:length] == Version(bounds[name]).release, name
