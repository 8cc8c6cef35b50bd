"""Pixels as PNG."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from instancefcn.core.files import whole_file


def write_png(path: Path, pixels: NDArray[np.uint8] | NDArray[np.uint16]) -> None:
    """Write (H, W, 3) uint8 RGB, or (H, W) uint8 or uint16 grey, as PNG."""
    with whole_file(path) as file:
        file.write(to_png(pixels))


def to_png(pixels: NDArray[np.uint8] | NDArray[np.uint16]) -> bytes:
    """The PNG of (H, W, 3) uint8 RGB, or of (H, W) uint8 or uint16 grey."""
    done, encoded = cv2.imencode(".png", pixels[..., ::-1] if pixels.ndim == 3 else pixels)
    assert done
    return encoded.tobytes()
