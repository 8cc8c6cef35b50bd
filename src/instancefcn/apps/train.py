"""``instancefcn train RECIPE.yaml``: a recipe in; a model file, logs and checkpoints out."""

from __future__ import annotations

import argparse
import json
import math
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
import yaml
from lightning_fabric import Fabric
from lightning_fabric.utilities.exceptions import MisconfigurationException
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from torch.utils.tensorboard import SummaryWriter

from instancefcn.apps.evaluate import measure
from instancefcn.core.errors import UserError
from instancefcn.core.files import whole_file
from instancefcn.data.checks import require_sound
from instancefcn.inference.predictor import Predictor
from instancefcn.network.fcn import InstanceFCN
from instancefcn.network.models import Model
from instancefcn.network.tensors import read_tensors, write_tensors
from instancefcn.training.loop import CHECKPOINT, Step, train
from instancefcn.training.recipe import ReadRecipe, Recipe, read_recipe

LOG_EVERY = 10
MODEL, LOG, COPY = "model.safetensors", "log.jsonl", "recipe.yaml"
FREE = (
    *("evaluate", "evaluate_every", "evaluate_images", "save_every"),
    *("inference", "workers", "base"),
)
"""What may change when a run goes on: no weight depends on it."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("recipe", help="a YAML file, or the name of a recipe that ships")
    parser.add_argument(
        "overrides",
        nargs=argparse.REMAINDER,
        metavar="...",
        help="--output DIR (default: runs/RECIPE; a run that was stopped goes on), --devices N, "
        "--accelerator NAME, and the recipe's own values, e.g. --steps 100 --data DIR; "
        "`instancefcn train RECIPE --help` lists them",
    )


def run(arguments: argparse.Namespace) -> int:
    options = argparse.ArgumentParser(add_help=False)
    options.add_argument("--output", type=Path)
    options.add_argument("--accelerator", default="auto")
    options.add_argument("--devices", type=int, default=1)
    own, overrides = options.parse_known_args(arguments.overrides)
    read = read_recipe(arguments.recipe, overrides)
    folder = own.output or Path("runs") / Path(arguments.recipe).stem
    fabric = to_fabric(own.accelerator, own.devices, read.recipe.precision)
    fabric.launch()
    if fabric.is_global_zero:
        for dataset in [*read.recipe.train, *read.recipe.evaluate]:
            for line in require_sound(dataset):
                print(line, file=sys.stderr)
        keep_recipe(folder, read.text)
    fabric.barrier()
    follow(read, folder, fabric)
    part(fabric)
    return 0


def part(fabric: Fabric) -> None:
    """End processes together. One that exits while others still talk to it can abort: gloo's
    threads outlive the interpreter.
    """
    fabric.barrier()
    if torch.distributed.is_initialized():
        torch.distributed.destroy_process_group()


def to_fabric(accelerator: str, devices: int, precision: str) -> Fabric:
    """What carries devices, precision and processes. ValueError for what this machine lacks."""
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


def keep_recipe(folder: Path, text: str) -> None:
    """Write the recipe beside its run. Raises ValueError as ``require_same_run``."""
    require_same_run(folder, text)
    with whole_file(folder / COPY) as file:
        file.write(text.encode())


def require_same_run(folder: Path, text: str) -> None:
    """Raises ValueError if a folder holds a run of another recipe, whose checkpoint would not be
    the same run's.
    """
    copy = folder / COPY
    if (folder / CHECKPOINT).exists() and copy.exists():
        changed = changes(copy.read_text(), text)
        if changed:
            raise UserError(
                f"{folder} holds a run of another recipe (compare {', '.join(changed)} in its "
                f"{COPY}); train in another folder, or delete this one"
            )


def changes(old: str, new: str) -> list[str]:
    """The values by name in which two recipes differ and on which a run's weights depend. A value
    that one of them does not know yet has its default.
    """
    one, two = yaml.safe_load(old) or {}, yaml.safe_load(new) or {}
    return [
        name
        for name, field in Recipe.__dataclass_fields__.items()
        if name not in FREE and one.get(name, field.default) != two.get(name, field.default)
    ]


def follow(read: ReadRecipe, folder: Path, fabric: Fabric) -> None:
    """Train to the end; the first process draws the bar, logs, evaluates and writes the model."""
    steps = train(read.recipe, folder, fabric)
    if not fabric.is_global_zero:
        for _ in steps:
            pass
        return
    recipe = read.recipe
    window: list[Step] = []
    with _bar() as bar, RunLog(folder) as log:
        task = bar.add_task("training", total=recipe.steps)
        for step, network in steps:
            window.append(step)
            last = step.number == recipe.steps
            if step.number % LOG_EVERY == 0 or last:
                means = mean_step(window)
                window.clear()
                log.write(step.number, means)
                bar.update(task, completed=step.number, description=_words(means))
            if step.number % recipe.evaluate_every == 0 or last:
                log.write(step.number, evaluate_on_the_way(network, recipe))
                write_model(folder / MODEL, network, read, step.number)
    if not (folder / MODEL).exists():
        raise UserError(
            f"{folder}: the run has made all its steps, but its {MODEL} is gone; "
            "train in another folder"
        )
    renew_inference(folder / MODEL, read)
    bar.console.print(f"model: {folder / MODEL}")


class RunLog:
    """Figures by step, as JSON lines and for TensorBoard. A run that goes on from an earlier step
    takes back what was written beyond it.
    """

    def __init__(self, folder: Path) -> None:
        self.path = folder / LOG
        self.folder = folder
        self.board: SummaryWriter | None = None

    def __enter__(self) -> RunLog:
        return self

    def __exit__(self, *_: object) -> None:
        if self.board is not None:
            self.board.close()

    def write(self, step: int, values: Mapping[str, float]) -> None:
        if self.board is None:
            self._take_back(step)
            self.board = SummaryWriter(str(self.folder), purge_step=step)
        with self.path.open("a") as file:
            file.write(json.dumps({"step": step, **values}) + "\n")
        for name, value in values.items():
            self.board.add_scalar(name, value, step)

    def _take_back(self, step: int) -> None:
        if self.path.exists():
            lines = self.path.read_text().splitlines()
            kept = [line for line in lines if _step_of(line) < step]
            with whole_file(self.path) as file:
                file.write("".join(f"{line}\n" for line in kept).encode())


def _step_of(line: str) -> float:
    """The step of a line of the log; beyond all steps for one that a kill cut short."""
    try:
        return float(json.loads(line)["step"])
    except json.JSONDecodeError:
        return math.inf


def mean_step(steps: Sequence[Step]) -> dict[str, float]:
    """The means of steps, by the names under which they are logged."""
    names = ("objectness", "mask", "rate", "images_per_second")
    return {name: sum(getattr(s, name) for s in steps) / len(steps) for name in names}


def evaluate_on_the_way(network: InstanceFCN, recipe: Recipe) -> dict[str, float]:
    """AR (COCO's definition) on the recipe's evaluation sets."""
    predictor = Predictor.of(network, recipe.inference)
    values = {}
    for dataset in recipe.evaluate:
        report = measure(predictor, dataset, recipe.evaluate_images)
        for count in report.counts:
            values[f"{dataset.name} AR@{count}"] = report.average(count)
    return values


def write_model(path: Path, network: InstanceFCN, read: ReadRecipe, step: int) -> None:
    card = {"recipe": read.text, "step": step, "torch": torch.__version__}
    Model(network, read.description, read.recipe.inference, card).save(path)


def renew_inference(path: Path, read: ReadRecipe) -> None:
    """Let a model be used as its recipe says now, if that has changed since the run's last step.
    Its weights stay as they are.
    """
    weights, header = read_tensors(path)
    if header["inference"] != read.recipe.inference:
        card = {**header["card"], "recipe": read.text}
        write_tensors(path, weights, {**header, "inference": read.recipe.inference, "card": card})


def _bar() -> Progress:
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=Console(stderr=True),
    )


def _words(means: Mapping[str, float]) -> str:
    return (
        f"objectness {means['objectness']:.3f}  mask {means['mask']:.3f}  "
        f"{means['images_per_second']:.1f} images/s"
    )
