"""How a data set is named on the command line, for every command that takes one."""

from __future__ import annotations

import argparse
from pathlib import Path

from instancefcn.data.dataset import Dataset
from instancefcn.formats.opening import open_dataset


def add_dataset_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "dataset", type=Path, help="a COCO JSON, a VOCdevkit/VOC2012 folder or an SBD folder"
    )
    parser.add_argument("--images", type=Path, help="the folder of a COCO file's images")
    parser.add_argument("--split", help="the image set of a VOC or SBD folder, e.g. val")


def named_dataset(arguments: argparse.Namespace) -> Dataset:
    """The data set that the arguments name; ValueError if there is none."""
    return open_dataset(arguments.dataset, arguments.split, arguments.images)
