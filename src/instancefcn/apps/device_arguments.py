"""Where and how a command computes, for every command that runs a model."""

from __future__ import annotations

import argparse

from instancefcn.apps.numbers import count


def add_device_argument(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--device", help="cpu (the default), cuda, cuda:1 or mps")


def add_batch_argument(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--batch",
        type=count,
        default=1,
        metavar="N",
        help="how many images of like sizes are computed together, default: 1; more helps a GPU",
    )
