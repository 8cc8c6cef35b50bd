"""``instancefcn train RECIPE.yaml``: a recipe in; a model file, logs and checkpoints out."""

from __future__ import annotations

import argparse
import os
import sys
from functools import partial
from itertools import chain
from pathlib import Path

import torch
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from instancefcn.apps.model_arguments import add_trust_argument, trusted
from instancefcn.core.errors import UserError
from instancefcn.core.extras import extra
from instancefcn.core.words import counted
from instancefcn.data.checks import require_sound
from instancefcn.training.categories import require_shown, told_of_others
from instancefcn.training.loop import Step
from instancefcn.training.processes import ends_of_others_told, first_alone
from instancefcn.training.readiness import require_ready
from instancefcn.training.recipe import ReadRecipe, read_recipe, recipe_help
from instancefcn.training.run import MODEL, follow, keep_recipe

with extra("train"):
    from lightning_fabric import Fabric
    from lightning_fabric.utilities.exceptions import MisconfigurationException


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("recipe", help="a YAML file, or the name of a recipe that ships")
    parser.add_argument(
        "overrides",
        nargs=argparse.REMAINDER,
        metavar="...",
        help="--output DIR (default: runs/RECIPE; a run that was stopped goes on), --devices N, "
        "--accelerator NAME, --trust PACKAGE, and the recipe's own values, e.g. --steps 100 "
        "--data DIR --optimizer.init_args.lr 0.001; "
        "`instancefcn train RECIPE --help` lists them",
    )


def run(arguments: argparse.Namespace) -> int:
    options = to_options(arguments.recipe)
    own, overrides = options.parse_known_args(arguments.overrides)
    trust = trusted(own)
    if own.help:
        print(options.format_help() + "\n" + recipe_help(arguments.recipe, trust))
        return 0
    read = read_recipe(arguments.recipe, overrides, trust)
    require_ready(read.recipe)
    folder = own.output or Path("runs") / Path(arguments.recipe).stem
    fabric = to_fabric(own.accelerator, own.devices, read.recipe.precision)
    fabric.launch()
    try:
        with ends_of_others_told():
            first_alone(partial(prepare, read, folder), fabric)
            watch(read, folder, fabric)
            fabric.barrier()  # processes end together
    finally:
        leave_the_others()
    return 0


def prepare(read: ReadRecipe, folder: Path) -> None:
    """Raises UserError for data that are not sound, or a folder that holds another run."""
    for dataset in [*read.recipe.train, *read.recipe.evaluate]:
        for line in require_sound(dataset):
            print(line, file=sys.stderr)
    if unshown := require_shown(read.recipe.network, read.recipe.train):
        print(unshown, file=sys.stderr)
    for line in told_of_others(read.recipe.network, read.recipe.evaluate):
        print(line, file=sys.stderr)
    keep_recipe(folder, read.text)


def to_options(recipe: str) -> argparse.ArgumentParser:
    """The options that are no values of the recipe."""
    options = argparse.ArgumentParser(
        prog=f"instancefcn train {recipe}",
        usage="%(prog)s [OPTION ...] [--NAME VALUE ...]",
        epilog="Values of the recipe, as they are in it; --optimizer.init_args.lr VALUE names a "
        "part of one, and a class that is named anew starts without the old one's arguments:",
        add_help=False,
        allow_abbrev=False,
    )
    options.add_argument("--output", type=Path, metavar="DIR", help="default: runs/RECIPE")
    options.add_argument("--accelerator", default="auto", metavar="NAME", help="cpu, cuda, mps")
    options.add_argument("--devices", type=int, default=1, metavar="N", help="default: 1")
    options.add_argument("--help", "-h", action="store_true", help="show this")
    add_trust_argument(options)
    return options


def leave_the_others() -> None:
    """End this process's part of the group, however it ended. Else the interpreter may abort:
    gloo's threads outlive it.
    """
    if torch.distributed.is_initialized():
        torch.distributed.destroy_process_group()


def to_fabric(accelerator: str, devices: int, precision: str) -> Fabric:
    """What carries devices, precision and processes. UserError for what this machine lacks."""
    processes = int(os.environ.get("LOCAL_WORLD_SIZE", devices))
    try:
        return Fabric(
            accelerator=accelerator,
            devices=processes,
            precision=precision,  # type: ignore[arg-type]
            # A network need not use all levels of its pyramid: plain DDP would wait for them.
            strategy="ddp_find_unused_parameters_true" if processes > 1 else "auto",
        )
    except (MisconfigurationException, RuntimeError, TypeError, ValueError) as error:
        raise UserError(
            f"--accelerator {accelerator} --devices {devices} --precision {precision}: {error}; "
            "give what this machine has, e.g. --accelerator cpu"
        ) from None


def watch(read: ReadRecipe, folder: Path, fabric: Fabric) -> None:
    """Train to the end; the first process draws the bar."""
    steps = follow(read, folder, fabric)
    if not fabric.is_global_zero:
        for _ in steps:
            pass
        return
    console = Console(stderr=True)
    with console.status("starting"):
        first = next(steps, None)
    if first is None:
        tell(console, _nothing_to_do(read.recipe.steps, folder / MODEL))
    else:
        with _bar(console) as bar:
            task = bar.add_task("training", total=read.recipe.steps)
            for step in chain([first], steps):
                bar.update(task, completed=step.number, description=_words(step))
    tell(console, f"model: {folder / MODEL}")


def tell(console: Console, words: str) -> None:
    console.print(words, markup=False, soft_wrap=True)


def _nothing_to_do(steps: int, model: Path) -> str:
    return (
        f"all {counted(steps, 'step was', 'steps were')} made before, nothing was trained now; "
        f"to learn from new data, give another --output and --start {model}"
    )


def _bar(console: Console) -> Progress:
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=console,
    )


def _words(step: Step) -> str:
    terms = "  ".join(f"{name} {value:.3f}" for name, value in step.terms.items())
    return f"{terms}  {step.images_per_second:.1f} images/s"
