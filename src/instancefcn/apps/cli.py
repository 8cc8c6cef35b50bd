"""The command line: ``instancefcn COMMAND ...``. Each command is a module of this package with
``add_arguments(parser)`` and ``run(arguments)``.
"""

from __future__ import annotations

import argparse
import sys
import warnings
from collections.abc import Sequence
from importlib import import_module
from importlib.metadata import version
from typing import Any

COMMANDS = {
    "propose": "write ranked instance masks of images",
    "train": "train a model by a recipe",
    "evaluate": "measure a model, or any method's results, on a data set",
    "check-data": "say what is wrong where in a data set",
    "get-data": "download a published data set, check and unpack it",
    "show-maps": "draw how score maps separate the instances of images",
    "selective-search": "write the segments of Selective Search, a baseline, as COCO results",
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command. Exit code 2, and one line on stderr, for a user's mistake."""
    words = list(sys.argv[1:] if argv is None else argv)
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
    try:
        with warnings.catch_warnings():
            # None of Pillow's names the file, and all are of images that it reads all the same.
            warnings.filterwarnings("ignore", module=r"PIL\.")
            warnings.showwarning = _show_warning
            return int(arguments.run(arguments))
    except ValueError as error:
        print(f"instancefcn {arguments.command}: error: {_one_line(error)}", file=sys.stderr)
        return 2
    except OSError as error:
        print(f"instancefcn {arguments.command}: error: {_one_line(error)}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130


def _show_warning(message: Warning | str, *_: Any, **__: Any) -> None:
    print(f"instancefcn: warning: {message}", file=sys.stderr)


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())


if __name__ == "__main__":
    sys.exit(main())
