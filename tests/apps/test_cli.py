"""Whose fault it was, by the exit code."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from instancefcn.apps.cli import main


def test_a_mistake_of_the_user_is_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["check-data", "--data", str(tmp_path / "no [b]such[/b] thing")]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"instancefcn check-data: error: {tmp_path}/no [b]such[/b] thing: ")


def test_a_fault_of_ours_keeps_its_traceback(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """As if the package had lost a file."""
    monkeypatch.setitem(sys.modules, "instancefcn.apps.check_data", None)
    assert main(["check-data", "--data", "x"]) == 1
    lines = capsys.readouterr().err.splitlines()
    assert lines[0].startswith("Traceback")
    assert lines[-1].startswith("instancefcn check-data: error: a fault of the program, not yours")
    assert "please report it with this text" in lines[-1]


def test_signals_are_handled_as_before_once_a_command_is_done(tmp_path: Path) -> None:
    before = [signal.getsignal(n) for n in (signal.SIGINT, signal.SIGTERM)]
    assert main(["check-data", "--data", str(tmp_path)]) == 2
    assert [signal.getsignal(n) for n in (signal.SIGINT, signal.SIGTERM)] == before


def test_a_reader_that_has_seen_enough_is_no_error() -> None:
    """As `instancefcn ... | head -1`."""
    read, write = os.pipe()
    os.close(read)
    command = [sys.executable, "-m", "instancefcn.apps.cli", "--help"]
    buffered = {key: value for key, value in os.environ.items() if key != "PYTHONUNBUFFERED"}
    done = subprocess.run(command, stdout=write, stderr=subprocess.PIPE, check=False, env=buffered)
    os.close(write)
    assert (done.returncode, done.stderr) == (128 + signal.SIGPIPE, b"")
