"""The command line: ``instancefcn COMMAND ...``. Each command is a module of this package with
``add_arguments(parser)`` and ``run(arguments)``.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
import threading
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib import import_module
from importlib.metadata import version
from types import FrameType
from typing import Any

from instancefcn.apps.output import complain
from instancefcn.core.errors import UserError

COMMANDS = {
    "propose": "write ranked instance masks of images",
    "train": "train a model by a recipe",
    "evaluate": "measure a model, or any method's results, on a data set",
    "check-data": "say what is wrong where in a data set",
    "get-data": "download a published data set, check and unpack it",
    "export": "write a model as a graph that runs without torch",
    "show-maps": "draw how score maps separate the instances of images",
    "selective-search": "write the segments of Selective Search, a baseline, as COCO results",
}

SIGNALS = ("SIGINT", "SIGTERM", "SIGHUP")  # Windows has no SIGHUP.


class Ended(KeyboardInterrupt):
    """A signal has asked the command to end. Whoever knows more adds words as its argument."""

    def __init__(self, number: int) -> None:
        super().__init__()
        self.number = number


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command. Exit code 2, and one line on stderr, for a user's mistake; 1 and a traceback
    for a fault of ours; 128 + n, and a line, where signal n ended it.
    """
    words = list(sys.argv[1:] if argv is None else argv)
    command = next((word for word in words if word in COMMANDS), "")
    try:
        with _ended_by_signals():
            try:
                return _run(words)
            finally:
                sys.stdout.flush()
    except UserError as error:
        complain(command, error)
        return 2
    except KeyboardInterrupt as error:
        number = signal.Signals(error.number if isinstance(error, Ended) else signal.SIGINT)
        told = "; ".join(["ended by " + number.name, *map(str, error.args)])
        print(f"instancefcn {command}: {told}", file=sys.stderr)
        return 128 + number
    except BrokenPipeError:  # Whoever read the output has seen enough.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 128 + 13
    except Exception as error:
        complain(command, error)
        return 1


def _run(words: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(
        prog="instancefcn",
        description="Ranked, class-agnostic instance masks of photos (InstanceFCN, ECCV 2016).",
    )
    parser.add_argument("--version", action="version", version=version("instancefcn"))
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, summary in COMMANDS.items():
        command = commands.add_parser(name, help=summary, description=summary.capitalize() + ".")
        # Only the command that runs is imported: torch takes seconds, and `--help` should not.
        if words and words[0] == name:
            module = import_module(f"instancefcn.apps.{name.replace('-', '_')}")
            module.add_arguments(command)
            command.set_defaults(run=module.run)
    arguments = parser.parse_args(words)
    with warnings.catch_warnings():
        # None of Pillow's names the file, and all are of images that it reads all the same.
        warnings.filterwarnings("ignore", module=r"PIL\.")
        warnings.showwarning = _show_warning
        return int(arguments.run(arguments))


def _show_warning(message: Warning | str, *_: Any, **__: Any) -> None:
    print(f"instancefcn: warning: {message}", file=sys.stderr)


@contextmanager
def _ended_by_signals() -> Iterator[None]:
    """What asks the process to end raises ``Ended`` inside, so that files are put away.

    A signal that was ignored before, as under nohup, stays ignored.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    owner = os.getpid()

    def end(number: int, _: FrameType | None) -> None:
        if os.getpid() == owner:
            raise Ended(number)
        signal.signal(number, signal.SIG_DFL)  # a forked child, which inherits this
        os.kill(os.getpid(), number)

    numbers = [signal.Signals[name] for name in SIGNALS if hasattr(signal, name)]
    before = {number: signal.getsignal(number) for number in numbers}
    taken = {number: h for number, h in before.items() if h not in (signal.SIG_IGN, None)}
    try:
        for number in taken:
            signal.signal(number, end)
        yield
    finally:
        for number, handler in taken.items():
            signal.signal(number, handler)


if __name__ == "__main__":
    sys.exit(main())
