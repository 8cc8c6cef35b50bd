"""COCO's JSON, read entry by entry: memory does not grow with the file.

The one reader, of data sets and of results. What is JSON is for Python's own parser to say, one
entry at a time, so that NaN, as many tools write it, spoils no more than its entry.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from reprlib import repr as short
from typing import Any, BinaryIO, NamedTuple

from instancefcn.core.errors import UserError

CHUNK = 1 << 20

_SPACE = re.compile(r"[ \t\n\r]*")
_COMMA = re.compile(r"[ \t\n\r]*,[ \t\n\r]*")
_decoder = json.JSONDecoder()


class Entry(NamedTuple):
    """An entry of a list: the list's key, its place in it, and which bytes of the file it is."""

    table: str
    place: int
    value: Any
    start: int
    end: int


def is_list(path: Path) -> bool:
    """Whether a JSON file is a list, as results are, rather than an object, as data sets are."""
    with _opened(path) as window:
        return window.peek() == "["


def read_list(path: Path) -> Iterator[Entry]:
    """The entries of a file that ``is_list``. UserError, naming the file, if it is no JSON."""
    with _opened(path) as window:
        yield from _entries(window, "")
        window.require_end()


def read_tables(path: Path, needed: Sequence[str], wanted: Collection[str] = ()) -> Iterator[Entry]:
    """The entries of the lists ``needed`` of a COCO data set, in the file's order; or of those
    ``wanted`` alone, which need not be there, and the file is read to the end of the last of them.

    Raises UserError, naming the file, if it is no JSON or has not all the lists ``needed``. That
    may be known at the end only.
    """
    with _opened(path) as window:
        if window.peek() != "{":
            kind = type(window.value()).__name__
            raise UserError(f"{_lists(needed)}, got {kind!r}; {_EXPORT}")
        found: list[str] = []
        for _ in _each(window, "{", "}"):
            key = _key(window)
            if key not in (*needed, *wanted):
                window.value()
                key = short(key)
            elif key in found:
                raise UserError(f'two lists are called "{key}"; {_EXPORT}')
            else:
                yield from _table(window, key, not wanted or key in wanted)
            found.append(key)
            if wanted and set(wanted) <= set(found):
                return
        window.require_end()
        if not set(needed) <= set(found):
            raise UserError(f"{_lists(needed)}, got {short(sorted(found))}; {_EXPORT}")


_EXPORT = "export the annotations as COCO instances"


def _lists(needed: Sequence[str]) -> str:
    return f"a COCO data set has the lists {', '.join(needed)}"


def _key(window: _Window) -> str:
    key = window.value()
    window.take(":")
    window.peek()
    if not isinstance(key, str):
        raise UserError(f"not JSON (a key is a text, got {type(key).__name__}); {_EXPORT}")
    return key


def _table(window: _Window, key: str, wanted: bool) -> Iterator[Entry]:
    if window.peek() != "[":
        kind = "an object" if window.peek() == "{" else "a single value"
        raise UserError(f'"{key}" is {kind}, not a list; make it a list of its entries')
    entries = _entries(window, key)
    if wanted:
        yield from entries
    else:
        for _ in entries:
            pass


def _entries(window: _Window, table: str) -> Iterator[Entry]:
    for place in _each(window, "[", "]"):
        start = window.position
        try:
            value = window.value()
        except UnicodeDecodeError:
            raise UserError(f"{table}[{place}]: not UTF-8; save the file as UTF-8") from None
        yield Entry(table, place, value, start, window.position)


def _each(window: _Window, opening: str, closing: str) -> Iterator[int]:
    """Stands at the start of each member of a list or an object in turn."""
    window.take(opening)
    if window.peek() != closing:
        for index in count():
            yield index
            if window.passes_comma():
                continue
            if window.peek() == closing:
                break
            window.take(",")
            window.peek()
    window.take(closing)


@contextmanager
def _opened(path: Path) -> Iterator[_Window]:
    """What goes wrong within is a UserError that names the file."""
    try:
        with path.open("rb") as file:
            window = _Window(file)
            window.skip_mark()
            yield window
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror}); check the path") from error
    except UserError as error:
        raise UserError(f"{path}: {error}") from error
    except json.JSONDecodeError as error:
        where = f"{error.msg} at byte {window.position_of(error)}"
        raise UserError(f"{path}: not JSON ({where}); write the file again") from error
    except (ValueError, RecursionError) as error:
        raise UserError(f"{path}: not JSON ({error}); write the file again") from error


class _Window:
    """A part of a file as text that moves on as values are read.

    The text is Latin-1, a character a byte whatever the encoding: positions are the file's own.
    """

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._text = ""
        self._at = self._start = 0
        self._ended = False

    @property
    def position(self) -> int:
        return self._start + self._at

    def peek(self) -> str:
        """The next character that is no space; none at the file's end."""
        while True:
            space = _SPACE.match(self._text, self._at)
            assert space is not None
            self._at = space.end()
            if self._at < len(self._text) or self._ended:
                return self._text[self._at : self._at + 1]
            self._more()

    def passes_comma(self) -> bool:
        """Whether a comma and what follows it are at hand; then the window stands there."""
        comma = _COMMA.match(self._text, self._at)
        if comma is None or comma.end() == len(self._text):
            return False
        self._at = comma.end()
        return True

    def take(self, character: str) -> None:
        if self.peek() != character:
            raise json.JSONDecodeError(f"Expecting '{character}'", self._text, self._at)
        self._at += 1

    def value(self) -> Any:
        """The value that starts here. Raises JSONDecodeError, or UnicodeDecodeError if it is not
        UTF-8.
        """
        while True:
            try:
                value, end = _decoder.raw_decode(self._text, self._at)
            except json.JSONDecodeError:
                if self._ended:
                    raise
            else:
                if end < len(self._text) or self._ended:  # else a number may go on
                    text, self._at = self._text[self._at : end], end
                    return value if text.isascii() else json.loads(text.encode("latin-1").decode())
            self._more()

    def skip_mark(self) -> None:
        """Beyond the mark that Windows writes before UTF-8."""
        self._more()
        if self._text[:2] in ("\xff\xfe", "\xfe\xff"):
            raise UserError("not JSON in UTF-8 but in UTF-16; save the file as UTF-8")
        self._at = 3 * self._text.startswith("\xef\xbb\xbf")

    def position_of(self, error: json.JSONDecodeError) -> int:
        return self._start + error.pos

    def require_end(self) -> None:
        if self.peek():
            raise json.JSONDecodeError("Extra data", self._text, self._at)

    def _more(self) -> None:
        """At least as much again, so that a long value is not parsed from its start too often."""
        chunk = self._file.read(max(CHUNK, len(self._text) - self._at))
        self._ended = not chunk
        self._start += self._at
        self._text = self._text[self._at :] + chunk.decode("latin-1")
        self._at = 0
