"""Safetensors files of arrays and a JSON header; no pickle, and no torch. ``tensors`` is for its
tensors.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load, save

from instancefcn.core.errors import UserError
from instancefcn.core.files import whole_file

METADATA = "__metadata__"

Values = TypeVar("Values")


def write_arrays(path: Path, arrays: Mapping[str, NDArray[Any]], header: Mapping[str, Any]) -> None:
    """Write a safetensors file whole or not at all. Equal content makes equal bytes."""
    whole = {name: np.asarray(array, order="C") for name, array in arrays.items()}
    write_with(lambda described: save(whole, described), path, header)


def read_arrays(path: Path) -> tuple[dict[str, NDArray[Any]], dict[str, Any]]:
    """The arrays and the header of a safetensors file; UserError if it is not one."""
    return read_with(load, path)


def write_with(
    save: Callable[[dict[str, str]], bytes], path: Path, header: Mapping[str, Any]
) -> None:
    """Write what ``save`` makes of a header's entries, each as JSON."""
    content = save({key: json.dumps(value) for key, value in header.items()})
    with whole_file(path) as file:
        file.write(_sorted(content))


def read_with(load: Callable[[bytes], Values], path: Path) -> tuple[Values, dict[str, Any]]:
    """What ``load`` makes of a file, and its header.

    The file is opened once: safetensors' ``safe_open`` opens it a second time for the tensors, and
    would pair the header of one state with the tensors of the next that is renamed over it.
    """
    try:
        content = path.read_bytes()
        values = load(content)
    except FileNotFoundError:
        raise UserError(f"{path}: no such file; check the path") from None
    except (SafetensorError, OSError) as error:
        reason = " ".join(str(error).split())
        raise UserError(
            f"{path}: not a safetensors file ({reason}); give one that `instancefcn` wrote"
        ) from None
    except KeyError as error:  # safetensors looks up a type's name in a dictionary
        raise UserError(
            f"{path}: holds tensors of the type {error}, which are not read here; "
            "give a file that `instancefcn` wrote"
        ) from None
    metadata = _head(content).get(METADATA) or {}
    return values, {key: _value(text, key, path) for key, text in metadata.items()}


def _head(content: bytes) -> dict[str, Any]:
    """The JSON that a file begins with. Its first 8 bytes are its length."""
    length = int.from_bytes(content[:8], "little")
    head: dict[str, Any] = json.loads(content[8 : 8 + length])
    return head


def _sorted(content: bytes) -> bytes:
    """The same file, the entries of its metadata in order: safetensors writes them in any."""
    length = int.from_bytes(content[:8], "little")
    head = _head(content)
    head[METADATA] = dict(sorted((head.get(METADATA) or {}).items()))
    text = json.dumps(head, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)  # the tensors stay aligned
    return len(text).to_bytes(8, "little") + text + content[8 + length :]


def _value(text: str, key: str, path: Path) -> Any:
    """The JSON of a header's entry; other programs write plain words, as {"format": "pt"}."""
    try:
        return json.loads(text)
    except json.JSONDecodeError:
        return text
    except RecursionError:
        raise UserError(
            f"{path}: the entry {key!r} of its header is nested too deep; "
            "give a file that `instancefcn` wrote"
        ) from None
