"""Training on crops around objects, DeepMask's way, which the paper compares with whole images."""

from __future__ import annotations

from dataclasses import dataclass
from math import inf

import numpy as np
import torch
from numpy.typing import NDArray

from instancefcn.core.errors import UserError
from instancefcn.core.rle import mask_area, mask_box
from instancefcn.core.sample import Sample
from instancefcn.core.types import AnnotatedImage
from instancefcn.data.augmentation import render, require_side
from instancefcn.data.placement import Placement


@dataclass(frozen=True)
class ObjectCrops:
    """Square crops around one object each (paper, section 4.1; DeepMask, section 3.2).

    size: pixels along the crop. side: the longer side of the object in it; jitter: it is changed
    by up to this factor, uniformly in the logarithm; shift: the object is off the middle by up to
    so many pixels. enlarged: an image is enlarged by at most this factor, which bounds memory; the
    smallest objects then stay smaller. mirrored: the probability that a crop is mirrored. The
    defaults are DeepMask's.

    Half of the crops are centred anywhere, on an object's scale, so that there are windows without
    an object too; so are all of an image without objects.
    """

    size: int = 224
    side: float = 128.0
    jitter: float = 2**0.25
    shift: float = 16.0
    enlarged: float = 3.0
    mirrored: float = 0.5

    def __post_init__(self) -> None:
        require_side("size", self.size)
        for name in ("side", "jitter", "enlarged"):
            if not 0 < getattr(self, name) < inf:
                raise UserError(f"{name}: {getattr(self, name)}; give more than 0")

    def __call__(self, image: AnnotatedImage, generator: torch.Generator) -> Sample:
        placement = self.place(image, generator)
        seed = int(torch.randint(2**31, (), generator=generator))
        return render(image, placement, self.size, self.size, seed)

    def place(self, image: AnnotatedImage, generator: torch.Generator) -> Placement:
        draw: NDArray[np.float64] = torch.rand(6, generator=generator, dtype=torch.float64).numpy()
        x0, y0, x1, y1 = self._box(image, draw[0])
        scale = self.side * self.jitter ** (2 * draw[1] - 1) / max(x1 - x0, y1 - y0)
        scale = min(scale, self.enlarged)
        width, height = max(1, round(image.width * scale)), max(1, round(image.height * scale))
        if draw[2] < 0.5:
            off = self.shift * (2 * draw[3:5] - 1)
            x, y = (x0 + x1) / 2 * scale + off[0], (y0 + y1) / 2 * scale + off[1]
        else:
            x, y = draw[3] * width, draw[4] * height
        mirrored = bool(draw[5] < self.mirrored)
        x = width - x if mirrored else x
        return Placement(
            width, height, round(self.size / 2 - x), round(self.size / 2 - y), mirrored
        )

    def _box(self, image: AnnotatedImage, share: float) -> tuple[int, int, int, int]:
        """Of an object drawn by ``share`` of 0..1; of the whole image if it has none."""
        objects = [i for i in image.instances if not i.crowd and mask_area(i.mask)]
        if not objects:
            return 0, 0, image.width, image.height
        x, y, width, height = (int(v) for v in mask_box(objects[int(share * len(objects))].mask))
        return x, y, x + width, y + height
