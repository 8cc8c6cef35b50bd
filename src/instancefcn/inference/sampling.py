"""Samplings of an image: the sizes and parts at which a network sees it, and the exact way back."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from instancefcn.core.types import GREY, Floats

Pixels = NDArray[np.uint8]
"""An image (H, W, 3), RGB."""

PAPER_SIDES = tuple(round(600 * 1.5**n) for n in range(-4, 2))
"""The shorter sides of the paper's image pyramid (section 3.3): 600 x 1.5^{-4 .. 1}."""


@dataclass(frozen=True)
class Sampling:
    """An image, or a part of it (a tile), at one size.

    pixels (H, W, 3) uint8 RGB. scale: how many pixels of the image one of these stands for (x, y).
    height, width: of the part, in pixels of the image. origin: (x, y), the pixel of the image at
    which the part begins; what an engine finds is told in pixels from there. What makes an input's
    sides multiples is grey: fit for the image's border, but a part that ends inside the image had
    better need none.
    """

    pixels: Pixels
    scale: tuple[float, float]
    height: int
    width: int
    origin: tuple[int, int] = (0, 0)

    def input_size(self, multiple: int) -> tuple[int, int]:
        """Height and width of the input, whose sides are multiples of ``multiple``."""
        height, width = self.pixels.shape[:2]
        return height + -height % multiple, width + -width % multiple

    def to_input(self, multiple: int) -> Floats:
        """As a network takes it: (1, 3, H, W) float32 in 0..1, made up with grey at the right and
        the bottom. In memory the channels of a pixel lie side by side.
        """
        bottom, right = np.subtract(self.input_size(multiple), self.pixels.shape[:2])
        padded = np.pad(self.pixels, ((0, bottom), (0, right), (0, 0)), constant_values=GREY)
        return np.divide(padded, 255, dtype=np.float32).transpose(2, 0, 1)[None]


def sample(image: Pixels, shorter_side: int, longest: int) -> Sampling:
    """Resize an image (H, W, 3) uint8 to a shorter side, its longer side at most ``longest``.

    Areas are averaged when it shrinks, and interpolated when it grows.
    """
    height, width = image.shape[:2]
    factor = min(shorter_side / min(height, width), longest / max(height, width))
    new = max(1, round(height * factor)), max(1, round(width * factor))
    resized = cv2.resize(
        image, new[::-1], interpolation=cv2.INTER_AREA if factor < 1 else cv2.INTER_LINEAR
    )
    scale = (width / new[1], height / new[0])
    return Sampling(np.asarray(resized, np.uint8), scale, height, width)
