"""Pixels as PNG."""

from __future__ import annotations

import io
import struct
import warnings
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from instancefcn.core.errors import UserError
from instancefcn.core.files import whole_file

SIGNATURE = b"\x89PNG\r\n\x1a\n"


def write_png(path: Path, pixels: NDArray[np.uint8] | NDArray[np.uint16]) -> None:
    """Write (H, W, 3) uint8 RGB, or (H, W) uint8 or uint16 grey, as PNG."""
    with whole_file(path) as file:
        file.write(to_png(pixels))


def to_png(pixels: NDArray[np.uint8] | NDArray[np.uint16]) -> bytes:
    """The PNG of (H, W, 3) uint8 RGB, or of (H, W) uint8 or uint16 grey."""
    done, encoded = cv2.imencode(".png", pixels[..., ::-1] if pixels.ndim == 3 else pixels)
    assert done
    return encoded.tobytes()


def from_png(content: bytes, height: int, width: int) -> NDArray[Any]:
    """The values (height, width) of a grey PNG, or a palette's indices.

    Raises UserError if it is none, or of another size; nothing is allocated before that is known.
    """
    if not content.startswith(SIGNATURE) or len(content) < 24:
        raise UserError("no PNG; save it again")
    size = struct.unpack(">II", content[16:24])
    if size != (width, height):
        raise UserError(f"a PNG of {size[0]} x {size[1]} pixels where {width} x {height} belong")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of large images: the caller knows this one's size
            image = Image.open(io.BytesIO(content), formats=("PNG",))
            pixels = np.array(image)
    except Exception as error:  # Pillow's decoders raise nearly anything on a broken file.
        reason = " ".join(str(error).split()) or type(error).__name__
        raise UserError(f"a PNG that cannot be read ({reason}); save it again") from error
    if pixels.shape != (height, width):
        raise UserError(f"a PNG of mode {image.mode}; save it as grey")
    return pixels
