"""A recipe: the whole of a training run as typed values, read from YAML.

The network, its parts, the loss, data sets, augmentation, optimizer and schedule are named by
their class and its arguments (jsonargparse's class_path and init_args), so that a new one needs
no edit here. ``${data}`` in a recipe stands for its own field ``data``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path
from typing import Any

import torch
import yaml
from jsonargparse import ArgumentError, ArgumentParser
from torch.optim import Optimizer

from instancefcn.core.errors import UserError
from instancefcn.data.dataset import Dataset
from instancefcn.data.stream import Augmentation
from instancefcn.network.fcn import InstanceFCN
from instancefcn.training.schedules import Schedule
from instancefcn.training.targets import Matching, Sampling


@dataclass(frozen=True)
class Recipe:
    """What one run trains, on what, how, and how long.

    Args:
        network: the network, its weights not yet loaded.
        train: the data sets that it learns from.
        evaluate: the data sets that it is measured on while it learns.
        augmentation: how annotated images become samples.
        optimizer: the optimizer and its rate for what starts from scratch.
        schedule: the factor on the rate at each step.
        steps: the length of the run.
        batch: images a step, over all processes.
        inference: how the model is meant to be used: ``Predictor``'s sides and selection.
        data: the folder that the recipe's data sets lie in.
        weights: the folder that pretrained weights lie in.
        pretrained: a safetensors file for the backbone, "download" for its publisher's weights,
            or null to start from scratch.
        pretrained_rate: the factor on the rate of the part that ``pretrained`` fills.
        start: a model file, or the name of a model that ships, to go on from: all weights of
            this network are taken from there.
        matching: which windows are positive.
        sampling: how many windows take part.
        paste: the probability that a sample gets objects of another image.
        clip: the largest norm of a step's gradient.
        decay_average: what is evaluated and shipped is a moving average of the weights with this
            decay a step; 0 takes the last ones.
        precision: Lightning Fabric's name of it, "32-true" or "bf16-mixed".
        seed: all that is random follows from it.
        evaluate_every: steps between evaluations.
        evaluate_images: how many images of each data set an evaluation on the way looks at.
        save_every: steps between checkpoints.
        workers: processes that make samples.
        base: the recipe that ships which this one is laid over, or null; what this one leaves out
            is the base's. Of a class or a list that it names, nothing of the base's is left;
            ``inference`` is one value, too. On the command line a new class keeps those of the old
            one's arguments that it knows as well, as jsonargparse does it.

    """

    network: InstanceFCN
    train: list[Dataset]
    evaluate: list[Dataset]
    augmentation: Augmentation
    optimizer: Callable[[Iterable[Any]], Optimizer]
    schedule: Schedule
    steps: int
    batch: int
    inference: dict[str, Any]
    data: Path = Path("data")
    weights: Path = Path("weights")
    pretrained: str | None = None
    pretrained_rate: float = 1.0
    start: str | None = None
    matching: Matching = field(default_factory=Matching)
    sampling: Sampling = field(default_factory=Sampling)
    paste: float = 0.0
    clip: float = 10.0
    decay_average: float = 0.0
    precision: str = "32-true"
    seed: int = 0
    evaluate_every: int = 1000
    evaluate_images: int = 50
    save_every: int = 100
    workers: int = 1
    base: str | None = None

    def __post_init__(self) -> None:
        if not self.train:
            raise UserError("train: no data set to train on; name at least one")
        for name in ("steps", "batch", "evaluate_every", "evaluate_images", "save_every"):
            if getattr(self, name) < 1:
                raise UserError(f"{name}: {getattr(self, name)}; give 1 or more")


@dataclass(frozen=True)
class ReadRecipe:
    """A recipe, the network's description for a model file, and all its values as YAML."""

    recipe: Recipe
    description: Mapping[str, Any]
    text: str


def shipped_recipes() -> dict[str, Path]:
    """The recipes inside the package by name."""
    folder = Path(str(files("instancefcn"))) / "recipes"
    return {path.stem: path for path in sorted(folder.glob("*.yaml"))}


def read_recipe(source: str, overrides: Sequence[str] = ()) -> ReadRecipe:
    """Read a YAML file, or a recipe that ships by its name, with overrides as on a command line
    ("--steps=10"). The network's first weights follow from the recipe's seed.

    Raises ValueError, naming the file, for a recipe that cannot be built.
    """
    path = shipped_recipes().get(source, Path(source))
    if not path.is_file():
        raise UserError(
            f"{source}: no such recipe; give a YAML file or one of {', '.join(shipped_recipes())}"
        )
    parser = recipe_parser()
    *below, own = _layers(path)
    try:
        texts = (yaml.safe_dump(values, sort_keys=False) for values in below)
        layers = [f"--config={layer}" for layer in (*texts, path)]
        values = parser.parse_args([*layers, *overrides])
        if values.base != own.get("base"):
            raise TypeError(f"base {values.base!r} on the command line; write it into the file")
        text = parser.dump(values, skip_unset=False)
        torch.manual_seed(values.seed)
        built = parser.instantiate(values)
        recipe = Recipe(**{name: built[name] for name in Recipe.__dataclass_fields__})
    except (ArgumentError, TypeError, ValueError) as error:
        words = f" with {' '.join(overrides)}" if overrides else ""
        raise UserError(f"{path}{words}: {error}") from None
    return ReadRecipe(recipe, yaml.safe_load(text)["network"], text)


def _layers(path: Path) -> list[Mapping[str, Any]]:
    """A recipe's values, before them what it leaves of its bases'."""
    own = _values(path)
    base = own.get("base")
    if base is None:
        return [own]
    if not isinstance(base, str) or base not in shipped_recipes():
        raise UserError(
            f"{path}: its base {base!r} is no recipe that ships; give one of "
            f"{', '.join(shipped_recipes())}"
        )
    dotted = [name for name in own if "." in str(name)]
    if dotted:
        raise UserError(f"{path}: {dotted[0]!r} has a dot; write it nested, as its base does")
    return [*(_left(layer, own) for layer in _layers(shipped_recipes()[base])), own]


def _left(base: Mapping[str, Any], own: Mapping[str, Any]) -> dict[str, Any]:
    """The values that a recipe leaves of its base: those that it does not name, and of what it
    names in part, the other parts. Where it names a class or a list, nothing is left: the parser
    would pass on to them the base's arguments of the same names.
    """
    left = {}
    for name, value in base.items():
        if name not in own:
            left[name] = value
        elif isinstance(own[name], Mapping) and "class_path" not in own[name]:
            left[name] = _left(value, own[name]) if isinstance(value, Mapping) else value
    return left


def _values(path: Path) -> Mapping[str, Any]:
    """The values of a file; none of one that cannot be read: the parser will say why."""
    try:
        content = yaml.safe_load(path.read_text())
    except (OSError, ValueError, yaml.YAMLError):
        return {}
    return content if isinstance(content, Mapping) else {}


def recipe_parser() -> ArgumentParser:
    """The parser of recipes and their overrides."""
    parser = ArgumentParser(
        prog="instancefcn train RECIPE.yaml", exit_on_error=False, parser_mode="omegaconf+"
    )
    parser.add_argument("--config", action="config", help="a recipe")
    parser.add_class_arguments(Recipe)
    return parser
