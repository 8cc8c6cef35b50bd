"""Model files: a network's weights with a description from which it is built again.

A file is safetensors; its header holds ``network``, the class_path and init_args of the network
as in a recipe, ``inference``, how it is meant to be used, and ``card``, where it comes from.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

import torch
from jsonargparse import ArgumentError, ArgumentParser

from instancefcn.core.errors import UserError
from instancefcn.network.fcn import InstanceFCN
from instancefcn.network.tensors import read_tensors, write_tensors

OURS = "instancefcn."
"""Where the classes that a model file may name live: a file must not choose what code runs."""

NAMES = ("encoder",)
"""The arguments of our classes that are names, not classes."""


@dataclass(frozen=True)
class Model:
    """A network and what its file says of it."""

    network: InstanceFCN
    description: Mapping[str, Any]
    inference: Mapping[str, Any]
    card: Mapping[str, Any]

    def save(self, path: Path) -> None:
        """Write a model file, weights as float16."""
        write_tensors(
            path,
            {k: v.half() for k, v in self.network.state_dict().items()},
            {"network": self.description, "inference": self.inference, "card": self.card},
        )


def shipped() -> list[str]:
    """The names of the models inside the package."""
    return sorted(f.name[: -len(SUFFIX)] for f in WEIGHTS.iterdir() if f.name.endswith(SUFFIX))


SUFFIX = ".safetensors"
WEIGHTS = Path(str(files("instancefcn"))) / "weights"


def load_model(name: str | Path, trust: Sequence[str] = ()) -> Model:
    """The model of a file, or one that ships with the package by its name ("general").

    trust: packages whose classes the file may name beside ours.

    Raises ValueError, naming the file, for what is not a model file of ours.
    """
    path = WEIGHTS / f"{name}{SUFFIX}" if name in shipped() else Path(name)
    if not path.exists():
        raise UserError(
            f"{name}: no such model; give a file that `instancefcn train` wrote, "
            f"or one of {', '.join(shipped())}"
        )
    tensors, header = read_tensors(path)
    if not {"network", "inference", "card"} <= header.keys():
        raise UserError(
            f"{path}: a safetensors file, but no InstanceFCN model; give one that "
            "`instancefcn train` wrote"
        )
    network = build(header["network"], str(path), trust)
    try:
        network.load_state_dict({k: v.float() for k, v in tensors.items()})
    except RuntimeError as error:
        raise UserError(
            f"{path}: its weights do not fit its own description "
            f"({str(error).splitlines()[-1].strip()}); write the model again"
        ) from None
    return Model(network.eval(), header["network"], header["inference"], header["card"])


def build(description: Mapping[str, Any], source: str, trust: Sequence[str] = ()) -> InstanceFCN:
    """The network that a description names, its weights random; ``source`` is for messages."""
    for path in _class_paths(description):
        if not path.startswith((OURS, *(f"{package}." for package in trust))):
            raise UserError(
                f"{source}: names the class {path}, and a model file may only name classes of "
                f"{OURS[:-1]}; build the network from its recipe and load the weights into it"
            )
    parser = ArgumentParser(exit_on_error=False)
    parser.add_argument("--network", type=InstanceFCN, required=True)
    try:
        # A copy, since the parser writes into what it is given.
        values = parser.parse_object({"network": deepcopy(description)})
        network = parser.instantiate(values).network
    except (ArgumentError, ValueError, TypeError) as error:
        reason = " ".join(str(error).split())
        raise UserError(
            f"{source}: describes no network of this version ({reason}); write the model again"
        ) from None
    assert isinstance(network, InstanceFCN)
    return network.to(memory_format=torch.channels_last)


def _class_paths(description: Any) -> Iterator[str]:
    """All strings that the parser might take for the path of a class, ``class_path`` or not."""
    if isinstance(description, str):
        yield description
    elif isinstance(description, list):
        for value in description:
            yield from _class_paths(value)
    elif isinstance(description, Mapping):
        for key, value in description.items():
            if key not in NAMES:
                yield from _class_paths(value)
