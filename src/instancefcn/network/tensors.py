"""Safetensors files: tensors and a JSON header; no pickle."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

from instancefcn.core.errors import UserError
from instancefcn.core.files import whole_file


def write_tensors(path: Path, tensors: Mapping[str, Tensor], header: Mapping[str, Any]) -> None:
    """Write a safetensors file whole or not at all."""
    content = save(
        {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()},
        {key: json.dumps(value) for key, value in header.items()},
    )
    with whole_file(path) as file:
        file.write(content)


def read_tensors(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """The tensors and the header of a safetensors file; ValueError if it is not one.

    The file is opened once: safetensors' ``safe_open`` opens it a second time for the tensors, and
    would pair the header of one state with the tensors of the next that is renamed over it.
    """
    try:
        content = path.read_bytes()
        return load(content), {key: _value(text) for key, text in _metadata(content).items()}
    except FileNotFoundError:
        raise UserError(f"{path}: no such file; check the path") from None
    except (SafetensorError, OSError) as error:
        reason = " ".join(str(error).split())
        raise UserError(
            f"{path}: not a safetensors file ({reason}); give one that `instancefcn train` wrote"
        ) from None


def _metadata(content: bytes) -> dict[str, str]:
    """A file's text entries. Its first 8 bytes are the length of the JSON that follows."""
    length = int.from_bytes(content[:8], "little")
    metadata: dict[str, str] = json.loads(content[8 : 8 + length]).get("__metadata__", {})
    return metadata


def _value(text: str) -> Any:
    """The JSON of a header's entry; other programs write plain words, as {"format": "pt"}."""
    try:
        return json.loads(text)
    except json.JSONDecodeError:
        return text
