"""A recipe: the whole of a training run as typed values, read from YAML.

The network, data sets, augmentation, optimizer and schedule are named by
their class and its arguments (jsonargparse's class_path and init_args), so that a new one needs
no edit here. ``${data}`` in a recipe stands for its own field ``data``. A recipe may name another
one as its ``base``; what it leaves out is the base's. Bases, file and command line are layers of
plain values: see ``training.layers``.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from importlib.resources import files
from math import inf
from os.path import isfile, samefile  # unlike Path's they know no name that is too long
from pathlib import Path
from textwrap import indent
from typing import Any, get_type_hints

import docstring_parser
import torch
import yaml
from jsonargparse import ArgumentParser, Namespace
from torch.optim import Optimizer

from instancefcn.core.errors import UserError, nearest
from instancefcn.data.dataset import Dataset
from instancefcn.data.stream import Augmentation
from instancefcn.inference.settings import Inference
from instancefcn.labelling.network import LabelledNetwork
from instancefcn.network.fcn import InstanceFCN
from instancefcn.network.trust import shown
from instancefcn.network.typed import dumped, make, parse, plain_parser
from instancefcn.training.categories import fill_categories
from instancefcn.training.layers import Values, fill_in, lay_all, read_layer, words_to_layers
from instancefcn.training.rois import RoiSampling
from instancefcn.training.schedules import Schedule
from instancefcn.training.targets import Matching, WindowSampling


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
        inference: how the model is meant to be used: sides and selection.
        data: the folder that the recipe's data sets lie in.
        weights: the folder that pretrained weights lie in.
        pretrained: a safetensors file for the backbone, "download" for its publisher's weights,
            or null to start from scratch.
        pretrained_rate: the factor on the rate of the part that ``pretrained`` fills.
        start: a model file, or the name of a model that ships, to go on from: all weights of
            this network are taken from there.
        joint: of a network with a labeller, whether the network that finds masks learns too; else
            only the labeller does.
        matching: which windows are positive.
        sampling: how many windows of an image take part in a step.
        rois: of a network with a labeller, which masks take part in a step.
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

    Raises UserError, naming the value, for one out of range.

    """

    network: InstanceFCN
    train: list[Dataset]
    evaluate: list[Dataset]
    augmentation: Augmentation
    optimizer: Callable[[Iterable[Any]], Optimizer]
    schedule: Schedule
    steps: int
    batch: int
    inference: Inference
    data: Path = Path("data")
    weights: Path = Path("weights")
    pretrained: str | None = None
    pretrained_rate: float = 1.0
    start: str | None = None
    joint: bool = False
    matching: Matching = field(default_factory=Matching)
    sampling: WindowSampling = field(default_factory=WindowSampling)
    rois: RoiSampling = field(default_factory=RoiSampling)
    paste: float = 0.0
    clip: float = 10.0
    decay_average: float = 0.0
    precision: str = "32-true"
    seed: int = 0
    evaluate_every: int = 1000
    evaluate_images: int = 50
    save_every: int = 100
    workers: int = 1

    def __post_init__(self) -> None:
        if not self.train:
            raise UserError("train: no data set to train on; name at least one")
        for name, (low, high) in RANGES.items():
            value = getattr(self, name)
            if not low <= value <= high:
                limits = f"{low} or more" if high == inf else f"{low} to {high}"
                raise UserError(f"{name}: {value}; give {limits}")
        if self.joint and not isinstance(self.network, LabelledNetwork):
            raise UserError("joint: the recipe's network has no labeller; leave joint out")
        if not 0 < self.clip <= inf:
            raise UserError(f"clip: {self.clip}; give more than 0, .inf for none")
        for name, value in asdict(self.sampling).items():
            if value is not None and value < 1:
                raise UserError(f"sampling.{name}: {value}; give 1 or more, or null for all")


RANGES: Mapping[str, tuple[float, float]] = {
    **dict.fromkeys(["evaluate_every", "evaluate_images", "save_every"], (1, inf)),
    "steps": (1, 10**9),
    "batch": (1, 10**5),
    "pretrained_rate": (0, inf),
    "workers": (0, 1000),
    "seed": (0, 2**63 - 1),
    **dict.fromkeys(["paste", "decay_average"], (0, 1)),
}
"""The values that a recipe's numbers may have, from the first to the last."""


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


def read_recipe(
    source: str, overrides: Sequence[str] = (), trust: Collection[str] = ()
) -> ReadRecipe:
    """Read a YAML file, or a recipe that ships by its name, with overrides as on a command line
    ("--steps=10"). The network's first weights follow from the recipe's seed.

    ``trust`` names the packages whose classes it may name, beside our own and torch's. Raises
    UserError, naming the recipe, for one that cannot be built.
    """
    where = f"{source} with {shown(' '.join(overrides))}" if overrides else source
    parser = recipe_parser()
    values = merged_values(source, overrides, where)
    typed = parse(parser, values, HINTS, trust, where)
    fill_categories(typed, values, trust, where)
    text = dumped(parser, typed)
    torch.manual_seed(typed.seed)
    return ReadRecipe(_built(parser, typed, where), yaml.safe_load(text)["network"], text)


def _built(parser: ArgumentParser, typed: Namespace, where: str) -> Recipe:
    try:
        made = make(parser, typed)
        return Recipe(**{name: made[name] for name in Recipe.__dataclass_fields__})
    except (UserError, RuntimeError) as error:  # torch's word for a layer of -3 channels
        raise UserError(f"{where}: {' '.join(str(error).split())}") from None


def merged_values(source: str, overrides: Sequence[str], where: str) -> Values:
    """The plain values of a recipe: its bases', its own and those of the command line in one."""
    line = words_to_layers(overrides)
    if any("base" in layer for layer in line):
        raise UserError(f"{where}: base on the command line; write it into the file")
    values = lay_all([*_layers(_find(source)), *line])
    fields = Recipe.__dataclass_fields__
    places = {name: str(values.get(name, fields[name].default)) for name in ("data", "weights")}
    filled: Values = fill_in(values, places, where)
    return filled


def _find(source: str) -> Path:
    path = shipped_recipes().get(source, Path(source))
    if not isfile(path):
        raise UserError(
            f"{source}: no such recipe; give a YAML file, or {nearest(source, shipped_recipes())}"
        )
    return path


def _layers(path: Path) -> list[Values]:
    """The values of a recipe's bases, the lowest first, and its own."""
    paths, layers = [path], [read_layer(path)]
    while (name := layers[0].pop("base", None)) is not None:
        base = _find_base(name, paths[-1])
        if any(samefile(base, known) for known in paths):
            way = " -> ".join(map(str, [*paths, base]))
            raise UserError(f"{path}: its bases lead in a circle ({way}); take one of them out")
        paths.append(base)
        layers.insert(0, read_layer(base))
    return layers


def _find_base(name: object, path: Path) -> Path:
    """What a recipe's ``base`` names: a recipe that ships, or a file by its place beside it."""
    base = shipped_recipes().get(name, path.parent / name) if isinstance(name, str) else None
    if base is None or not isfile(base):
        raise UserError(
            f"{path}: its base {shown(name)!r} is no recipe that ships and no file beside it; "
            f"{nearest(name, shipped_recipes())}"
        )
    return base


def recipe_parser() -> ArgumentParser:
    """What makes plain values typed."""
    parser = plain_parser()
    parser.add_class_arguments(Recipe)
    return parser


def recipe_help(source: str, trust: Collection[str] = ()) -> str:
    """All values of a recipe as the command line takes them, with what they mean."""
    parser = recipe_parser()
    typed = parse(parser, merged_values(source, (), source), HINTS, trust, source)
    values = yaml.safe_load(dumped(parser, typed))
    lines = []
    for parameter in docstring_parser.parse(str(Recipe.__doc__)).params:
        flow = yaml.safe_dump(
            values[parameter.arg_name], default_flow_style=True, width=inf, sort_keys=False
        )
        value = flow.removesuffix("\n").removesuffix("\n...")
        lines.append(f"--{parameter.arg_name} {value}")
        lines.append(indent(str(parameter.description), "    "))
    return "\n".join(lines)


HINTS = get_type_hints(Recipe)
