"""What a command says of its own faults and of its user's, and what one image may do to a run."""

from __future__ import annotations

from pathlib import Path

import pytest

from instancefcn.apps.output import Failures, require_apart
from instancefcn.core.errors import UserError
from instancefcn.core.files import NoOutputError

IMAGE = Path("photos/x.jpg")


def test_a_mistake_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    failures = Failures("propose")
    with failures.caught(IMAGE):
        raise UserError("x.jpg: not\nan image")
    assert failures.number == 1
    assert capsys.readouterr().err == "instancefcn propose: error: x.jpg: not an image\n"


def test_a_fault_of_ours_names_the_image_and_keeps_its_traceback(
    capsys: pytest.CaptureFixture[str],
) -> None:
    failures = Failures("propose")
    with failures.caught(IMAGE):
        assert not IMAGE, "a fault of ours"
    first, *lines = capsys.readouterr().err.splitlines()
    assert failures.number == 1
    assert first == f"instancefcn propose: {IMAGE}:"
    assert lines[0].startswith("Traceback")
    assert any("a fault of ours" in line for line in lines)
    assert "please report it with this text" in lines[-1]


@pytest.mark.parametrize(
    "error", [MemoryError(), RuntimeError("DefaultCPUAllocator: can't allocate memory: you ..")]
)
def test_too_little_memory_is_one_line(
    error: Exception, capsys: pytest.CaptureFixture[str]
) -> None:
    with Failures("propose").caught(IMAGE):
        raise error
    (line,) = capsys.readouterr().err.splitlines()
    assert f"{IMAGE}: not enough memory; give smaller --sides" in line


@pytest.mark.parametrize("error", [NoOutputError("full"), BrokenPipeError(), KeyboardInterrupt()])
def test_what_is_no_matter_of_one_image_ends_the_work(error: BaseException) -> None:
    failures = Failures("propose")
    with pytest.raises(type(error)), failures.caught(IMAGE):
        raise error
    assert failures.number == 0


def test_nothing_is_read_and_written(tmp_path: Path) -> None:
    (tmp_path / "a").touch()
    (tmp_path / "b").symlink_to("a")
    require_apart([tmp_path / "new"], [tmp_path / "a", tmp_path / "missing"])
    require_apart([], [])
    with pytest.raises(UserError, match="b: is read by this command"):
        require_apart([tmp_path / "new", tmp_path / "b"], [tmp_path / "a"])
