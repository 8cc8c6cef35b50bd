"""Records on disk that grow with the work and survive a kill at any moment."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from instancefcn.core.errors import UserError
from instancefcn.core.files import NoOutputError, sync_folder, whole_file, writing

BLOCK = 1 << 20


class Journal:
    """Records, a line of JSON each. What ``append`` has returned from is there for good.

    A line that a kill cut short is as if it had never been begun.
    """

    def __init__(self, path: Path) -> None:
        """The file need not be there: the first record makes it, and its folder."""
        self.path = path

    def __iter__(self) -> Iterator[tuple[int, dict[str, Any]]]:
        """The records in order, each with its place in the file."""
        if not self.path.is_file():
            return
        place = 0
        with self.path.open("rb") as file:
            for line in file:
                record = _parse(line)
                if record is not None:
                    yield place, record
                place += len(line)

    def append(self, record: Mapping[str, Any]) -> int:
        """Add a record and return its place. Raises NoOutputError, naming the file, if the disk
        refuses it: work that is not noted is lost. The records before it stay.
        """
        line = json.dumps(record).encode() + b"\n"
        with needed(self.path):
            self.path.parent.mkdir(parents=True, exist_ok=True)
            new = not self.path.exists()
            with self.path.open("a+b") as file:
                place = _whole_lines(file)
                file.truncate(place)
                file.write(line)
                file.flush()
                os.fsync(file.fileno())
            if new:
                sync_folder(self.path.parent)
        return place

    def at(self, place: int) -> dict[str, Any]:
        """The record at a place that ``append`` or the iteration gave."""
        with self.path.open("rb") as file:
            file.seek(place)
            record = _parse(file.readline())
        assert record is not None, f"{self.path} was changed under way"
        return record

    def start_again(self, record: Mapping[str, Any]) -> None:
        """Replace all records by this one, at once. Raises NoOutputError as ``append``."""
        with needed(self.path), whole_file(self.path) as file:
            file.write(json.dumps(record).encode() + b"\n")


@contextmanager
def needed(path: Path) -> Iterator[None]:
    """No work can go on if this cannot be written: the error is a NoOutputError."""
    try:
        with writing(path):
            yield
    except UserError as error:
        raise NoOutputError(str(error)) from error


def _parse(line: bytes) -> dict[str, Any] | None:
    """The record of a whole line."""
    if not line.endswith(b"\n"):
        return None
    try:
        record = json.loads(line)
    except ValueError:
        return None
    return record if isinstance(record, dict) else None


def _whole_lines(file: BinaryIO) -> int:
    """How many bytes of a file are whole lines."""
    end = file.seek(0, os.SEEK_END)
    while end:
        start = max(0, end - BLOCK)
        file.seek(start)
        newline = file.read(end - start).rfind(b"\n")
        if newline >= 0:
            return start + newline + 1
        end = start
    return 0
