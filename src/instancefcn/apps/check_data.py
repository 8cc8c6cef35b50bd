"""``instancefcn check-data --data PATH``: what is wrong with a data set, and where."""

from __future__ import annotations

import argparse

from instancefcn.apps.dataset_arguments import add_dataset_arguments, named_dataset
from instancefcn.data.checks import summary


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_dataset_arguments(parser)
    parser.add_argument(
        "--decode", action="store_true", help="decode every image, not only its size"
    )
    parser.add_argument(
        "--most", type=int, default=5, metavar="N", help="show at most N problems of each kind (5)"
    )


def run(arguments: argparse.Namespace) -> int:
    """Exit code 1 if the data set has errors, which training would refuse."""
    problems = list(named_dataset(arguments).problems(arguments.decode))
    print(summary(problems, arguments.most))
    return int(any(problem.severity == "error" for problem in problems))
