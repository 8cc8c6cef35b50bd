"""Files of tensors and arrays: equal content makes equal bytes; what is not ours is refused in one
line.
"""

from __future__ import annotations

import json
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from instancefcn.core.arrays import read_arrays, write_arrays
from instancefcn.core.errors import UserError
from instancefcn.core.tensors import read_tensors, write_tensors

GOOD = {"dtype": "F32", "shape": [2, 8], "data_offsets": [0, 64]}


def test_equal_content_makes_equal_bytes(tmp_path: Path) -> None:
    """Alone, safetensors writes the entries of its metadata in another order each time."""
    tensors = {"b": torch.ones(3), "a": torch.zeros(5, dtype=torch.float16)}
    header = {f"{letter}": {"text": "ä", "n": [1]} for letter in "qwertyuiop"}
    backwards = dict(reversed(header.items()))
    for number in range(12):
        write_tensors(tmp_path / str(number), tensors, backwards if number % 2 else header)
    contents = {(tmp_path / str(number)).read_bytes() for number in range(12)}
    assert len(contents) == 1
    length = int.from_bytes(contents.pop()[:8], "little")
    assert length % 8 == 0


def test_arrays_and_tensors_make_the_same_file(tmp_path: Path) -> None:
    tensors = {
        "transposed": torch.arange(6.0).view(2, 3).T,
        "none": torch.zeros(0, 4, dtype=torch.int64),
        "one": torch.tensor(True),
    }
    header = {"what": ["ä", 1]}
    write_tensors(tmp_path / "tensors", tensors, header)
    write_arrays(tmp_path / "arrays", {name: t.numpy() for name, t in tensors.items()}, header)
    assert (tmp_path / "tensors").read_bytes() == (tmp_path / "arrays").read_bytes()
    arrays, read = read_arrays(tmp_path / "tensors")
    assert read == header
    for name, tensor in tensors.items():
        np.testing.assert_array_equal(arrays[name], tensor)
        assert arrays[name].flags.writeable  # torch.from_numpy wants that


def write(path: Path, head: Any) -> None:
    text = head if isinstance(head, bytes) else json.dumps(head).encode()
    path.write_bytes(len(text).to_bytes(8, "little") + text + bytes(64))


def test_null_metadata_is_none(tmp_path: Path) -> None:
    write(tmp_path / "x", {"__metadata__": None, "a": GOOD})
    tensors, header = read_tensors(tmp_path / "x")
    assert header == {}
    assert torch.equal(tensors["a"], torch.zeros(2, 8))


def strange(kind: str) -> str:
    """What is said of a type that neither numpy nor torch has: safetensors before 0.6 does not know
    it either, and calls the file broken.
    """
    knows = tuple(map(int, version("safetensors").split(".")[:2])) >= (0, 6)
    return f"the type '{kind}'" if knows else "not a safetensors file"


@pytest.mark.parametrize(
    ("head", "reason"),
    [
        ({"__metadata__": 3}, "not a safetensors file"),
        ({"__metadata__": {"a": 3}}, "not a safetensors file"),
        ([], "not a safetensors file"),
        (b'{"__metadata__":' + b"[" * 5000 + b"]" * 5000 + b"}", "not a safetensors file"),
        ({"a": {**GOOD, "shape": [-2, -8]}}, "not a safetensors file"),
        ({"a": {**GOOD, "shape": [2**62, 2**62]}}, "not a safetensors file"),
        ({"a": {**GOOD, "dtype": "F4", "shape": [128]}}, strange("F4")),
        (
            {"a": {**GOOD, "dtype": "F8_E8M0", "shape": [64]}},
            strange("F8_E8M0"),
        ),
        ({"__metadata__": {"network": "[" * 100_000}, "a": GOOD}, "'network' .* too deep"),
    ],
)
def test_a_strange_header_is_one_line(head: Any, reason: str, tmp_path: Path) -> None:
    write(tmp_path / "x", head)
    for read in (read_tensors, read_arrays):
        with pytest.raises(UserError, match=f"x: .*{reason}") as error:
            read(tmp_path / "x")
        assert "\n" not in str(error.value)
