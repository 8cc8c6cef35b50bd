"""Numbers in messages."""

from __future__ import annotations


def counted(number: int, one: str, many: str = "") -> str:
    """A number and what it counts: "1 image", "1,204 images". ``many`` is what more than one of
    them are called, where that is not ``one`` with an s.
    """
    return f"{number:,} {one if number == 1 else many or one + 's'}"
