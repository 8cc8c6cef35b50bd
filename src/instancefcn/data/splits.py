"""Splits of VOC's kind: text files that name images, one a line."""

from __future__ import annotations

import re
from hashlib import blake2b
from importlib.resources import files
from pathlib import Path
from reprlib import repr as short

from instancefcn.core.errors import UserError

SHIPPED = Path(str(files("instancefcn"))) / "splits"
"""The lists inside the package: the images of each set that a model or a table of ours rests on,
"SET_PART.txt".
"""


def image_id(name: str) -> int:
    """A number for an image's name, the same in every split: 2007000033 for "2007_000033".

    Names of VOC's form and short numbers have their own, all others one of 2 ** 52 beyond them:
    not even a million names are likely to share one. Any tool's floating point holds it.
    """
    if re.fullmatch("[1-9][0-9]{3}_[0-9]{6}", name) or re.fullmatch("0|[1-9][0-9]{0,8}", name):
        return int(name.replace("_", ""))
    digest = blake2b(name.encode(errors="surrogatepass"), digest_size=8).digest()
    return (1 << 52) + (int.from_bytes(digest, "big") >> 12)


def read_split(path: Path) -> tuple[str, ...]:
    """The names a split lists, one a line. Raises UserError if it cannot be read, or if a name
    leads out of the data set's folders.
    """
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except UnicodeDecodeError:
        raise UserError(f"{path}: not UTF-8; save the list as UTF-8") from None
    except (OSError, ValueError):
        others = ", ".join(sorted(p.stem for p in path.parent.glob("*.txt"))) or "none"
        raise UserError(f"{path}: no such split; splits found there: {others}") from None
    names = tuple(line.split()[0] for line in lines if line.strip())
    for name in names:
        if name.startswith("/") or ".." in name.split("/"):
            raise UserError(f"{path}: {short(name)} leads out of the data set; name its own images")
    return names


def shipped_split(name: str) -> tuple[str, ...]:
    """The names of a list inside the package, e.g. "voc2012_fit". Raises UserError without it."""
    return read_split(SHIPPED / f"{name}.txt")
