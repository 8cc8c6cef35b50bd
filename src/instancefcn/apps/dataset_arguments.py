"""How a data set is named on the command line, for every command that takes one."""

from __future__ import annotations

import argparse
from pathlib import Path

from instancefcn.data.dataset import Dataset
from instancefcn.formats.opening import layouts, open_dataset


def add_dataset_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--data", type=Path, required=True, metavar="PATH", help=layouts())
    parser.add_argument("--images", type=Path, help="the folder of its images, if elsewhere")
    parser.add_argument("--split", help="which part of it, e.g. val")


def named_dataset(arguments: argparse.Namespace) -> Dataset:
    """The data set that the arguments name; UserError if there is none."""
    return open_dataset(arguments.data, arguments.split, arguments.images)
