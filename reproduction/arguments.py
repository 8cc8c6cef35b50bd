"""The arguments of ``make reproduce``."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from experiments import EXPERIMENTS
from instancefcn.core.errors import UserError
from results_page import DATA, ROOT

MOST_SEEDS = 3
OWN = ("--data", "--weights", "--seed", "--output")
"""Values of recipes that this command sets itself."""

LABELS = "labellers"
"""What ``--only`` calls the comparison of labellers, which is made as a whole."""


def parse(argv: Sequence[str] | None, description: str | None) -> argparse.Namespace:
    """Besides what was given: ``labels``, whether to compare labellers; ``recipes``, of the other
    comparisons; ``part``, the words that make the other comparisons a part of all, ``labels_part``
    the same of labellers.
    """
    arguments = parser(description).parse_args(argv)
    for word in arguments.overrides:
        if word.split("=")[0] in OWN:
            raise UserError(
                f"{word}: this command sets it itself; give it before --, or not at all"
            )
    for name in ("data", "weights", "runs", "output"):
        setattr(arguments, name, getattr(arguments, name).resolve())
    recipes = [experiment.recipe for experiment in EXPERIMENTS]
    only = arguments.only or [*recipes, LABELS]
    arguments.labels = LABELS in only
    arguments.recipes = [recipe for recipe in recipes if recipe in only]
    seeds = ["--seeds", str(arguments.seeds)] if arguments.seeds < MOST_SEEDS else []
    values = ["--", *arguments.overrides] if arguments.overrides else []
    given = ["--only", *arguments.recipes] if arguments.only else []
    without = ["--without-search"] if arguments.without_search else []
    without += ["--without-training"] if arguments.without_training else []
    arguments.part = [*given, *seeds, *without, *values]
    arguments.labels_part = [*seeds, *values]
    return arguments


def parser(description: str | None) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=description)
    add = parser.add_argument
    add("--data", type=Path, default=DATA, help="the folder of the data sets")
    add(
        "--weights",
        type=Path,
        default=DATA.parent / "weights",
        help="the folder of pretrained backbones",
    )
    add("--runs", type=Path, default=ROOT / "runs" / "reproduce", help="where runs are kept")
    add("--output", type=Path, default=ROOT, help="gets docs/results.md and docs/images")
    names = [*(experiment.recipe for experiment in EXPERIMENTS), LABELS]
    add(
        "--only",
        nargs="+",
        choices=names,
        metavar="RECIPE",
        help=f'only these; "{LABELS}": only the comparison of labellers',
    )
    seeds = range(1, MOST_SEEDS + 1)
    add("--seeds", type=int, choices=seeds, default=MOST_SEEDS, help="how many (%(default)s)")
    add("--without-search", action="store_true", help="leave Selective Search out")
    add("--without-training", action="store_true", help="only runs that are there already")
    add(
        "--model",
        default="voc20",
        metavar="NAME|FILE",
        help="its labels are drawn in the picture of the whole system (%(default)s)",
    )
    add("overrides", nargs="*", help="after --, values for all recipes, e.g. --steps=2")
    return parser


def values_of_recipes(arguments: argparse.Namespace) -> list[str]:
    """What the command line says of every run's recipe."""
    return [f"--data={arguments.data}", f"--weights={arguments.weights}", *arguments.overrides]
