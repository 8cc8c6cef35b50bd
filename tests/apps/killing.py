"""Runs a command many times over, each time ended at the next of its steps to the disk.

python killing.py FOLDER EVERY SIGNAL WORD...: the words, with "{out}" for an output that is new
each time. A run is sent the signal before its first call of os.fsync or os.replace, another one
before a call EVERY calls later, until a run gets to its end. Prints the exit codes by the calls as
JSON, negative for runs that were killed; what a run said lies in FOLDER/CALL.err. They are forked
from a process that has done it all once: a start of torch takes longer than the work.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Callable
from itertools import count
from pathlib import Path
from typing import Any

from instancefcn.apps.cli import main


def end_before(step: int, number: int) -> None:
    """Send this process a signal before its so-many-th step to the disk."""
    steps = count(1)

    def counted(call: Callable[..., Any]) -> Callable[..., Any]:
        def counting(*arguments: Any) -> Any:
            if next(steps) == step:
                os.kill(os.getpid(), number)
            return call(*arguments)

        return counting

    os.fsync, os.replace = counted(os.fsync), counted(os.replace)


def run(folder: Path, step: int, number: int, words: list[str]) -> int:
    """The exit code of a run that is ended before a step."""
    child = os.fork()
    if not child:
        errors = os.open(folder / f"{step}.err", os.O_WRONLY | os.O_CREAT)
        os.dup2(errors, 1)
        os.dup2(errors, 2)
        end_before(step, number)
        code = main([word.replace("{out}", str(folder / str(step))) for word in words])
        sys.stdout.flush()
        os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def end_everywhere(folder: Path, every: int, number: int, words: list[str]) -> dict[int, int]:
    """The exit codes of runs by the step before which they are ended; the last is not."""
    main([word.replace("{out}", str(folder / "whole")) for word in words])
    codes: dict[int, int] = {}
    for step in count(1, every):
        codes[step] = run(folder, step, number, words)
        if codes[step] == 0:
            return codes
    raise AssertionError


if __name__ == "__main__":
    _, place, every, name, *command = sys.argv
    if signal.Signals[name] != signal.SIGKILL:
        # Under nohup or in the background this process ignores it, and a run would stay alive.
        restored = signal.default_int_handler if name == "SIGINT" else signal.SIG_DFL
        signal.signal(signal.Signals[name], restored)
    ended = end_everywhere(Path(place), int(every), signal.Signals[name], command)
    print(json.dumps(ended))
