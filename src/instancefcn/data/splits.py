"""Splits of VOC's kind: text files that name images, one a line."""

from __future__ import annotations

import zlib
from pathlib import Path

from instancefcn.core.errors import UserError


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
