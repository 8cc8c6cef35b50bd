"""Safetensors files of torch's tensors and a JSON header: see ``arrays``."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from safetensors.torch import load, save
from torch import Tensor

from instancefcn.core.arrays import read_with, write_with


def write_tensors(path: Path, tensors: Mapping[str, Tensor], header: Mapping[str, Any]) -> None:
    """Write a safetensors file whole or not at all. Equal content makes equal bytes."""
    whole = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    write_with(lambda described: save(whole, described), path, header)


def read_tensors(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """The tensors and the header of a safetensors file; UserError if it is not one."""
    return read_with(load, path)
