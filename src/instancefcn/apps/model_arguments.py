"""What commands that build a network from a file take: ``--trust`` and ``--no-labels``."""

from __future__ import annotations

import argparse
import os
import sys

from instancefcn.core.errors import UserError


def add_trust_argument(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--trust",
        action="append",
        default=[],
        metavar="PACKAGE",
        help="run the code of classes that a file names in this package, as of your own; "
        "it may lie in the current folder; more than once for more of them",
    )


def trusted(arguments: argparse.Namespace) -> tuple[str, ...]:
    """The packages of ``--trust``. If there are any, the current folder is looked through too, but
    last, so that nothing in it takes the place of an installed package.
    """
    for name in arguments.trust:
        if not all(part.isidentifier() for part in name.split(".")):
            raise UserError(f"--trust {name}: no package's name; give one, as --trust my_package")
    if arguments.trust and os.getcwd() not in sys.path:
        sys.path.append(os.getcwd())
    return tuple(arguments.trust)


def add_labels_argument(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--no-labels",
        dest="labels",
        action="store_false",
        help="masks alone, though the model can label them",
    )
