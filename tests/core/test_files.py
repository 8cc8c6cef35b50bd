"""Files are whole or not there, and nothing stays beside them."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from instancefcn.core.errors import UserError
from instancefcn.core.files import A_DAY, NoOutputError, whole_file

LEAVE_HALF = """
import os, sys
from pathlib import Path
from instancefcn.core.files import whole_file
with whole_file(Path(sys.argv[1])) as file:
    file.write(b"half")
    file.flush()
    os._exit(0)
"""


def names(folder: Path) -> list[str]:
    return sorted(os.listdir(folder))


def write(path: Path, content: bytes = b"whole") -> None:
    with whole_file(path) as file:
        file.write(content)


def test_a_file_appears_whole_and_alone(tmp_path: Path) -> None:
    path = tmp_path / "new" / "x.txt"
    with whole_file(path) as file:
        file.write(b"whole")
        assert not path.exists()
    assert path.read_bytes() == b"whole"
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_a_file_whose_writing_ends_early_stays_as_it_was(
    tmp_path: Path, error: type[BaseException]
) -> None:
    (tmp_path / "x.txt").write_bytes(b"before")

    def write() -> None:
        with whole_file(tmp_path / "x.txt") as file:
            file.write(b"half")
            raise error

    with pytest.raises(error):
        write()
    assert [(p.name, p.read_bytes()) for p in tmp_path.iterdir()] == [("x.txt", b"before")]


def test_a_name_may_be_as_long_as_the_disk_allows(tmp_path: Path) -> None:
    write(tmp_path / ("x" * 255))
    assert names(tmp_path) == ["x" * 255]


def test_what_a_killed_process_left_goes_with_the_next_write(tmp_path: Path) -> None:
    """What is not ours, or of a process that may still live, stays."""
    subprocess.run([sys.executable, "-c", LEAVE_HALF, str(tmp_path / "x")], check=True)
    (half,) = names(tmp_path)
    _, host, _, token, _ = half.split("-")
    mine, foreign = f".instancefcn-{host}-{os.getppid()}-{token}-0", ".instancefcn-mine"
    elsewhere, ancient = f".instancefcn-0-1-{token}-0", f".instancefcn-0-2-{token}-0"
    for name in (mine, foreign, elsewhere, ancient):
        (tmp_path / name).touch()
    os.utime(tmp_path / ancient, (0, time.time() - A_DAY - 1))
    write(tmp_path / "y")
    assert names(tmp_path) == sorted([mine, foreign, elsewhere, "y"])


def test_a_full_disk_is_the_users_matter(tmp_path: Path) -> None:
    with pytest.raises(NoOutputError, match=r"x: cannot be written \(No space left on device\); "):
        write_failing(tmp_path / "x", OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)))
    assert names(tmp_path) == []


def test_a_file_that_cannot_be_written_is_the_users_matter(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").touch()
    for path in (tmp_path / "folder", tmp_path / "file" / "x", tmp_path / ("x" * 256)):
        with pytest.raises(UserError, match="cannot be written") as info:
            write(path)
        assert not isinstance(info.value, NoOutputError), "other files may do"
        assert str(path) in str(info.value)
    assert names(tmp_path) == ["file", "folder"]


def test_an_error_of_something_else_is_left_alone(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        write_failing(tmp_path / "x", FileNotFoundError(errno.ENOENT, "no", "other.txt"))


def write_failing(path: Path, error: OSError) -> None:
    with whole_file(path) as file:
        file.write(b"half")
        raise error


def test_bytes_are_on_the_disk_before_the_name_and_the_name_before_the_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a loss of power would keep: each sync, and whether the file had its name by then."""
    path, synced = tmp_path / "x", list[tuple[str, bool]]()
    of_system = os.fsync

    def fsync(descriptor: int) -> None:
        what = "folder" if os.path.samestat(os.fstat(descriptor), tmp_path.stat()) else "file"
        if what == "file":
            assert os.fstat(descriptor).st_size == len(b"whole"), "nothing waits in a buffer"
        synced.append((what, path.exists()))
        of_system(descriptor)

    monkeypatch.setattr(os, "fsync", fsync)
    with whole_file(path) as file:
        file.write(b"whole")
    assert synced == [("file", False), ("folder", True)]
