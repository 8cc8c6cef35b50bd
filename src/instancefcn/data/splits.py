"""Splits of VOC's kind: text files that name images, one a line."""

from __future__ import annotations

import zlib
from importlib.resources import files
from pathlib import Path

from instancefcn.core.errors import UserError

SHIPPED = Path(str(files("instancefcn"))) / "splits"
"""The lists inside the package: the images of each set that a model or a table of ours rests on,
"SET_PART.txt".
"""


def image_id(name: str) -> int:
    """A number for an image's name, the same in every split: 2007000033 for "2007_000033"."""
    digits = name.replace("_", "")
    return int(digits) if digits.isdecimal() else zlib.crc32(name.encode())


def read_split(path: Path) -> tuple[str, ...]:
    """The names a split lists, one a line. Raises ValueError if it cannot be read."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, ValueError):
        others = ", ".join(sorted(p.stem for p in path.parent.glob("*.txt"))) or "none"
        raise UserError(f"{path}: no such split; splits found there: {others}") from None
    return tuple(line.split()[0] for line in lines if line.strip())


def shipped_split(name: str) -> tuple[str, ...]:
    """The names of a list inside the package, e.g. "voc2012_fit". Raises ValueError without it."""
    return read_split(SHIPPED / f"{name}.txt")
