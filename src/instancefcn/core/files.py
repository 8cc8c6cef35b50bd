"""Files that are written whole or not at all."""

from __future__ import annotations

import errno
import os
import secrets
import socket
import sys
import time
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from itertools import count
from pathlib import Path
from typing import BinaryIO

from instancefcn.core.errors import UserError

DISK = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EIO)
"""What a write that reaches the disk may end with."""

A_DAY = 24 * 60 * 60

_PREFIX = ".instancefcn-"
_HOST = f"{zlib.crc32(socket.gethostname().encode()):08x}"
_TOKEN = secrets.token_hex(4)  # Process ids come again, in containers every time.
_numbers = count()


@contextmanager
def whole_file(path: Path) -> Iterator[BinaryIO]:
    """A file to write that appears under its name only when the block ends without an exception.

    Its folder is made if need be. Until then the bytes lie beside it under a hidden name. What
    ends the block early, Ctrl-C too, removes them; after a kill the next write to the folder does.
    The bytes are on the disk before the name is. Raises UserError, naming the file, for what the
    disk refuses.
    """
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        _remove_stale(path.parent)
    # Short, whatever the file is called: a name may be as long as the disk allows.
    name = f"{_PREFIX}{_HOST}-{os.getpid()}-{_TOKEN}-{next(_numbers)}"
    temporary = path.with_name(name)
    try:
        with temporary.open("xb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
        sync_folder(path.parent)
    except OSError as error:
        of_ours = error.filename == str(temporary)
        if of_ours or (error.filename is None and error.errno in DISK):
            raise cannot_write(path, error) from error
        raise
    finally:
        temporary.unlink(missing_ok=True)


class NoOutputError(UserError):
    """Nothing more can be written, whatever it is: the work cannot go on."""


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Whatever the disk refuses inside is a UserError that names the path; NoOutputError if it
    would refuse any other file too.
    """
    try:
        yield
    except OSError as error:
        raise cannot_write(path, error) from error


def cannot_write(path: Path, error: OSError) -> UserError:
    """In one line."""
    full = error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EROFS)
    way = "make room, or give another place" if full else "give another place"
    kind = NoOutputError if full else UserError
    return kind(f"{path}: cannot be written ({error.strerror or error}); {way}")


def sync_folder(folder: Path) -> None:
    """A new name in a folder survives a loss of power after this, where the system knows how."""
    if sys.platform == "win32":
        return
    with suppress(OSError):  # Some file systems have no such thing for folders.
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


@cache
def _remove_stale(folder: Path) -> None:
    """Remove what killed processes left in a folder. Once a process: the rest is its own."""
    with os.scandir(folder) as entries:
        stale = [entry.path for entry in entries if _is_stale(entry)]
    for path in stale:
        with suppress(OSError):  # Another process was faster, or it is another user's.
            os.unlink(path)


def _is_stale(entry: os.DirEntry[str]) -> bool:
    if not entry.name.startswith(_PREFIX):
        return False
    parts = entry.name.removeprefix(_PREFIX).split("-")
    if len(parts) != 4 or not parts[1].isdecimal():
        return False
    host, process, token, _ = parts
    if host == _HOST and (int(process) == os.getpid() or not _is_alive(int(process))):
        return token != _TOKEN
    try:
        return time.time() - entry.stat(follow_symlinks=False).st_mtime > A_DAY
    except FileNotFoundError:
        return False


def _is_alive(process: int) -> bool:
    if sys.platform == "win32":  # Signal 0 is Ctrl-C there.
        return True
    try:
        os.kill(process, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:
        return True
    return True
