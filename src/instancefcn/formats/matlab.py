"""MATLAB 5 files, as much of them as SBD's are: structs of numbers, compressed or not.

A reader of ours because scipy's, in C, takes the interpreter with it where a byte is damaged.
Here every size is compared with the bytes that are there. Sparse matrices and cells are skipped.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from instancefcn.core.errors import UserError

_HEADER = 128
_MATRIX, _COMPRESSED = 14, 15
_STRUCT, _NUMBERS = 2, range(6, 16)
_DTYPES = {1: "i1", 2: "u1", 3: "i2", 4: "u2", 5: "i4", 6: "u4", 7: "f4", 9: "f8"}
_DTYPES |= {12: "i8", 13: "u8"}

Array = NDArray[np.generic]


def read_struct(content: bytes, name: str, most: int) -> Mapping[str, Array]:
    """The fields that are numbers, each (rows, columns ..), of a struct with one element.

    Raises UserError if the file is damaged or has no such struct, or for a variable of more than
    ``most`` bytes.
    """
    if len(content) < _HEADER or content[126:128] not in (b"IM", b"MI"):
        raise UserError("not a MATLAB 5 file")
    order = "<" if content[126:128] == b"IM" else ">"
    for variable in _elements(content[_HEADER:], order):
        kind, body = variable
        if kind == _COMPRESSED:
            kind, body = next(_elements(_unpacked(body, most), order), (0, b""))
        if kind == _MATRIX:
            found, value = _matrix(body, order)
            if found == name and isinstance(value, dict):
                return value
    raise UserError(f"no struct {name} in it")


def _unpacked(body: bytes, most: int) -> bytes:
    inflate = zlib.decompressobj()
    try:
        content = inflate.decompress(body, most)
    except zlib.error as error:
        raise UserError(f"damaged ({error})") from error
    if inflate.unconsumed_tail:
        raise UserError(f"a variable of more than {most} bytes")
    return content


def _elements(content: bytes, order: str) -> Iterator[tuple[int, bytes]]:
    """Types and bytes of what stands one after another."""
    at = 0
    while at + 8 <= len(content):
        (tag,) = struct.unpack_from(f"{order}I", content, at)
        if tag >> 16:  # a small one: its length, its type and up to four bytes in one
            kind, length, start, after = tag & 0xFFFF, tag >> 16, at + 4, at + 8
            fits = length <= 4
        else:
            kind, (length,) = tag, struct.unpack_from(f"{order}I", content, at + 4)
            start = at + 8
            after = start + length + (0 if kind == _COMPRESSED else -length % 8)
            fits = start + length <= len(content)
        if not fits:
            raise UserError("damaged (an element is longer than the file)")
        yield kind, content[start : start + length]
        at = after


def _matrix(body: bytes, order: str) -> tuple[str, Any]:
    """Name and value: an array, a dictionary of arrays, or None for what is not read."""
    parts = list(_elements(body, order))
    if len(parts) < 3 or len(parts[0][1]) < 4 or len(parts[1][1]) % 4:
        raise UserError("damaged (a matrix without a head)")
    kind = struct.unpack_from(f"{order}I", parts[0][1])[0] & 0xFF
    shape = np.frombuffer(parts[1][1], f"{order}i4").tolist()
    name = parts[2][1].decode("latin-1")
    if kind == _STRUCT:
        return name, _fields(parts[3:], shape, order)
    if kind in _NUMBERS:
        return name, _numbers(parts[3:], shape, order)
    return name, None


def _numbers(parts: list[tuple[int, bytes]], shape: list[int], order: str) -> Array:
    kind, body = parts[0] if parts else (0, b"")
    dtype = np.dtype(order + _DTYPES.get(kind, "V1"))
    size = 1
    for length in shape:
        size *= length
    if kind not in _DTYPES or min(shape, default=-1) < 0 or size * dtype.itemsize != len(body):
        raise UserError("damaged (a matrix of another size than it says)")
    return np.frombuffer(body, dtype).reshape(shape, order="F")


def _fields(parts: list[tuple[int, bytes]], shape: list[int], order: str) -> dict[str, Array]:
    if len(parts) < 2 or len(parts[0][1]) != 4 or set(shape) != {1}:
        raise UserError("damaged (a struct without fields, or with several elements)")
    (length,) = struct.unpack(f"{order}i", parts[0][1])
    packed = parts[1][1]
    if length < 1 or len(packed) != length * (len(parts) - 2):
        raise UserError("damaged (not as many names as fields)")
    fields = {}
    for place, (kind, body) in enumerate(parts[2:]):
        field = packed[place * length : (place + 1) * length].split(b"\0")[0].decode("latin-1")
        value = _matrix(body, order)[1] if kind == _MATRIX and body else None
        if isinstance(value, np.ndarray):
            fields[field] = value
    return fields
