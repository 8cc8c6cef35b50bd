"""Model files: a network's weights with a description from which it is built again.

A file is safetensors; its header holds ``network``, the class_path and init_args of the network
as in a recipe, ``inference``, how it is meant to be used, and ``card``, where it comes from.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from jsonargparse import ArgumentParser, Namespace
from torch import Tensor

from instancefcn.core.errors import UserError
from instancefcn.core.tensors import read_tensors, write_tensors
from instancefcn.network.fcn import InstanceFCN
from instancefcn.network.finding import find_model
from instancefcn.network.typed import make, one_line, parse, plain_parser


@dataclass(frozen=True)
class Model:
    """A network and what its file says of it, as plain values."""

    network: InstanceFCN
    description: Mapping[str, Any]
    inference: Mapping[str, Any]
    card: Mapping[str, Any]

    def save(self, path: Path) -> None:
        """Write a model file, weights as float16. Equal models make equal bytes."""
        write_tensors(
            path,
            {k: v.half() for k, v in self.network.state_dict().items()},
            {"network": self.description, "inference": self.inference, "card": self.card},
        )


def load_model(name: str | Path, trust: Collection[str] = ()) -> Model:
    """The model of a file, or one that ships with the package by its name ("general").

    ``trust`` names the packages whose classes the file may name, beside our own and torch's: to
    build a class is to run its code. Raises UserError, naming the file, for what is not a model
    file of ours. No more memory is taken than a network of the file's own weights needs.
    """
    path, weights, header = _read(name)
    parser, values = _parsed(header["network"], trust, str(path))
    _require_weights(_outline(parser, values, trust, str(path)), weights, path)
    network = _built(parser, values, trust, str(path))
    network.load_state_dict(weights)
    return Model(network.eval(), header["network"], header["inference"], header["card"])


def read_weights(name: str | Path) -> dict[str, Tensor]:
    """The weights of a model file as float32, its network not built. Raises as ``load_model``."""
    return _read(name)[1]


def read_card(name: str | Path) -> Mapping[str, Any]:
    """What a model file says of where it comes from. Raises as ``load_model``."""
    card: Mapping[str, Any] = _read(name)[2]["card"]
    return card


def build(description: Mapping[str, Any], source: str, trust: Collection[str] = ()) -> InstanceFCN:
    """The network that a description names, its weights random; ``source`` is for messages."""
    return _built(*_parsed(description, trust, source), trust, source)


def _read(name: str | Path) -> tuple[Path, dict[str, Tensor], dict[str, Any]]:
    path = find_model(name)
    tensors, header = read_tensors(path)
    entries = {"network", "inference", "card"}
    strange = any(tensor.is_complex() for tensor in tensors.values())
    if strange or not entries <= header.keys() or not isinstance(header["card"], dict):
        raise UserError(
            f"{path}: a safetensors file, but no InstanceFCN model; give one that "
            "`instancefcn train` wrote"
        )
    return path, {k: v.float() for k, v in tensors.items()}, header


def _parsed(
    description: Any, trust: Collection[str], source: str
) -> tuple[ArgumentParser, Namespace]:
    parser = plain_parser()
    parser.add_argument("--network", type=InstanceFCN, required=True)
    try:
        return parser, parse(
            parser, {"network": description}, {"network": InstanceFCN}, trust, source
        )
    except UserError as error:
        reason = str(error).removeprefix(f"{source}: ")
        raise UserError(f"{source}: describes no network of this version: {reason}") from None


SPOILT = (ArithmeticError, LookupError, RuntimeError, TypeError, ValueError)
"""What our classes raise for numbers that make no network."""


def _built(
    parser: ArgumentParser, values: Namespace, trust: Collection[str], source: str
) -> InstanceFCN:
    try:
        network = make(parser, values).network
    except SPOILT as error:
        if trust and not isinstance(error, UserError):
            raise  # someone's own class: its writer wants the traceback
        raise UserError(
            f"{source}: describes no network of this version ({one_line(error)}); "
            "write the model again"
        ) from None
    assert isinstance(network, InstanceFCN)
    return network.to(memory_format=torch.channels_last)


def _outline(
    parser: ArgumentParser, values: Namespace, trust: Collection[str], source: str
) -> Mapping[str, Tensor]:
    """The shapes of a network's weights, without memory for them: a small file may describe a
    network that no memory holds.
    """
    with torch.device("meta"):
        return _built(parser, values, trust, source).state_dict()


def _require_weights(
    outline: Mapping[str, Tensor], weights: Mapping[str, Tensor], path: Path
) -> None:
    wrong = differing(outline, weights)
    if wrong:
        raise UserError(
            f"{path}: its weights do not fit its own description: {len(wrong)} tensors are missing "
            f"on one side or of another shape, {wrong[0]!r} the first; write the model again"
        )


def differing(one: Mapping[str, Tensor], other: Mapping[str, Tensor]) -> list[str]:
    """The names, sorted, of tensors that only one of them has or that differ in shape."""
    shared = one.keys() & other.keys()
    return sorted(
        (one.keys() ^ other.keys()) | {n for n in shared if one[n].shape != other[n].shape}
    )
