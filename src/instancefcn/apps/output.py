"""What commands say and do about what they cannot read, do or write."""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from instancefcn.core.errors import UserError
from instancefcn.core.files import NoOutputError

REPORT = "a fault of the program, not yours; please report it with this text"


def one_line(error: BaseException) -> str:
    return " ".join(str(error).split())


def complain(command: str, error: BaseException) -> None:
    """A line on stderr for a user's mistake; for any other error its traceback, and a line."""
    if not isinstance(error, UserError):
        traceback.print_exception(error)
        error = UserError(f"{REPORT} ({type(error).__name__})")
    print(f"instancefcn {command}: error: {one_line(error)}", file=sys.stderr, flush=True)


@dataclass
class Failures:
    """Of a command that works through many images: what one of them does ends only its own work."""

    command: str
    number: int = 0

    @contextmanager
    def caught(self, image: Path) -> Iterator[None]:
        """Report and count whatever the work on an image raises. A disk that takes no file, and
        nobody who reads on, are no matter of one image, and end the command.
        """
        try:
            yield
        except (NoOutputError, BrokenPipeError):
            raise
        except Exception as error:
            self.number += 1
            self._report(image, error)

    def _report(self, image: Path, error: Exception) -> None:
        if not isinstance(error, UserError):
            if _is_out_of_memory(error):
                error = UserError(f"{image}: not enough memory; give smaller --sides or images")
            else:
                print(f"instancefcn {self.command}: {image}:", file=sys.stderr)
        complain(self.command, error)


def _is_out_of_memory(error: Exception) -> bool:
    """Torch has no class of its own for it on a CPU."""
    words = ("can't allocate memory", "out of memory", "not enough memory")
    known = isinstance(error, RuntimeError) and any(word in str(error) for word in words)
    return known or isinstance(error, MemoryError)


@contextmanager
def ending_with(words: Callable[[], str]) -> Iterator[None]:
    """What to say if the user ends the command inside."""
    try:
        yield
    except KeyboardInterrupt as ended:
        ended.args = (words(),)
        raise


def require_apart(outputs: Iterable[Path], inputs: Iterable[Path]) -> None:
    """Raises UserError if a file to be written is one of those to be read, by whatever name."""
    read = {identity for path in inputs if (identity := _identity(path))}
    for path in outputs:
        if _identity(path) in read:
            raise UserError(
                f"{path}: is read by this command, and would be replaced; give another --output"
            )


def _identity(path: Path) -> tuple[int, int] | None:
    """Of the file behind a name, links followed; None where there is none."""
    try:
        status = os.stat(path)
    except OSError:
        return None
    return status.st_dev, status.st_ino
