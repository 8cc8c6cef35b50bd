"""Numbers in messages."""

from __future__ import annotations

import pytest

from instancefcn.core.words import counted


@pytest.mark.parametrize(
    ("number", "words", "expected"),
    [
        (0, ("image",), "0 images"),
        (1, ("image",), "1 image"),
        (2, ("image",), "2 images"),
        (1204, ("image",), "1,204 images"),
        (1, ("file is", "files are"), "1 file is"),
        (0, ("file is", "files are"), "0 files are"),
    ],
)
def test_a_number_and_what_it_counts(number: int, words: tuple[str, ...], expected: str) -> None:
    assert counted(number, *words) == expected
