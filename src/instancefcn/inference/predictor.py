"""An image of any kind -> proposals; a click -> one mask."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageOps

from instancefcn.core.errors import UserError
from instancefcn.core.geometry import paste
from instancefcn.core.types import Level, Proposals
from instancefcn.data.images import read_image, to_rgb
from instancefcn.inference.ranking import Selection, propose
from instancefcn.inference.sampling import sample
from instancefcn.inference.settings import Inference
from instancefcn.network.fcn import InstanceFCN
from instancefcn.network.models import load_model

AnyImage = str | Path | Image.Image | NDArray[Any]


class Predictor:
    """A network and the sizes at which it sees an image.

    sides: the shorter sides of the samplings, in pixels; each costs a forward pass in proportion
    to its square. selection: its ``windows`` are for each of the sides, so that what one sampling
    shows does not crowd out another's. longest: no longer side exceeds ``longest`` times its
    shorter side's aim.
    """

    def __init__(
        self,
        network: InstanceFCN,
        sides: Sequence[int],
        selection: Selection | None = None,
        longest: float = 2.5,
    ) -> None:
        self.network = network.eval()
        self.sides = tuple(sides)
        self.selection = selection or Selection()
        self.longest = longest

    @classmethod
    def from_pretrained(
        cls,
        name: str | Path,
        sides: Sequence[int] | None = None,
        selection: Selection | None = None,
        trust: Collection[str] = (),
    ) -> Predictor:
        """The predictor of a model file, or of a model that ships ("general").

        ``sides`` and ``selection`` take the place of the file's own settings. ``trust`` names the
        packages whose classes the file may name: see ``load_model``.
        """
        model = load_model(name, trust)
        settings = Inference.of(model.inference, str(name))
        if sides:
            settings = replace(settings, sides=tuple(sides))
        if selection:
            settings = replace(settings, selection=selection)
        return cls.of(model.network, settings)

    @classmethod
    def of(cls, network: InstanceFCN, settings: Inference) -> Predictor:
        """A predictor by the settings of a recipe or of a model file."""
        return cls(network, settings.sides, settings.selection, settings.longest)

    @torch.inference_mode()
    def __call__(self, image: AnyImage) -> Proposals:
        """Ranked proposals of a file, a PIL image or an array (see ``data.images.to_rgb``)."""
        pixels = to_pixels(image)
        height, width = pixels.shape[:2]
        return self.propose(self.levels(pixels), height, width)

    @torch.inference_mode()
    def levels(self, pixels: NDArray[np.uint8]) -> list[Level]:
        """All levels of an image (H, W, 3) uint8 RGB, in its own pixels."""
        multiple, device = self.network.backbone.multiple, self.network.backbone.mean.device
        levels: list[Level] = []
        for side in self.sides:
            sampling = sample(pixels, side, round(side * self.longest))
            levels += sampling.to_image(self.network(sampling.to_input(multiple).to(device)))
        return levels

    def with_selection(self, **changes: Any) -> Predictor:
        """The same predictor, some values of its ``Selection`` changed."""
        return Predictor(self.network, self.sides, replace(self.selection, **changes), self.longest)

    def propose(self, levels: Sequence[Level], height: int, width: int) -> Proposals:
        """What ``levels`` has shown of an image of height x width pixels -> proposals."""
        windows = self.selection.windows * len(self.sides)
        return propose(levels, height, width, replace(self.selection, windows=windows))

    def at(self, image: AnyImage, x: float, y: float) -> Proposals:
        """The best mask under a click: one proposal, or none where no mask covers the pixel.

        x, y: image pixels, right and down. ValueError if they lie outside the image.
        """
        pixels = to_pixels(image)
        height, width = pixels.shape[:2]
        if not (0 <= x < width and 0 <= y < height):
            raise UserError(
                f"a click at ({x}, {y}) on an image of {width} x {height} pixels; "
                "give x and y inside the image"
            )
        proposals = self(pixels)
        x0, y0, x1, y1 = proposals.boxes.T
        for i in ((x0 <= x) & (x < x1) & (y0 <= y) & (y < y1)).nonzero()[:, 0].tolist():
            if covers(proposals, i, int(x), int(y)):
                return proposals[i : i + 1]
        return proposals[:0]


def covers(proposals: Proposals, index: int, x: int, y: int) -> bool:
    """Does a proposal's mask hold the image's pixel (x, y)?"""
    mask = paste(
        proposals.logits[index], proposals.windows[index], proposals.height, proposals.width
    )
    return bool(mask[y, x])


def to_pixels(image: AnyImage) -> NDArray[np.uint8]:
    """An image file, turned upright by its EXIF orientation, a PIL image (likewise) or an array
    as (H, W, 3) uint8 RGB.
    """
    if isinstance(image, (str, Path)):
        return read_image(image)
    if not isinstance(image, Image.Image):
        return to_rgb(image)
    try:
        return to_rgb(ImageOps.exif_transpose(image))
    except OSError as error:
        raise UserError(f"a PIL image whose file is broken ({error}); open a whole one") from error
