"""From an annotated image to a training sample: resize, crop, flip, colours, copy-paste.

Every function takes the torch.Generator that it draws from.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import exp, inf, log

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor
from torchvision.transforms.v2 import functional as tvf

from instancefcn.core.errors import UserError
from instancefcn.core.sample import Sample
from instancefcn.core.types import GREY, AnnotatedImage
from instancefcn.data.images import read_image
from instancefcn.data.placement import Placement, place_image, place_mask

LARGEST_SIDE = 10_000
"""Pixels along a sample: as far as inference goes."""


@dataclass(frozen=True)
class LargeScaleJitter:
    """Square crops of randomly resized images (Ghiasi et al., CVPR 2021, "LSJ").

    size: pixels along the sample's side. scales: the longer side of the image becomes ``size``
    times a factor drawn from this range, uniformly in its logarithm. aspect: width and height
    change against each other by up to this factor. colour: the strength of changes of brightness,
    contrast, saturation, 0 for none. What the image does not cover is mid-grey and background.
    """

    size: int
    scales: tuple[float, float] = (0.5, 1.75)
    aspect: float = 1.2
    colour: float = 0.4

    def __post_init__(self) -> None:
        require_side("size", self.size)
        if not (0 < self.scales[0] <= self.scales[1] < inf and 1 <= self.aspect < inf):
            raise UserError(
                f"scales: {list(self.scales)}, aspect: {self.aspect}; give two factors above 0, "
                "the smaller first, and 1 or more"
            )
        if not 0 <= self.colour <= 1:
            raise UserError(f"colour: {self.colour}; give 0 to 1")

    def __call__(self, image: AnnotatedImage, generator: torch.Generator) -> Sample:
        placement = self.place(image.width, image.height, generator)
        sample = render(image, placement, self.size, self.size, seed=_seed(generator))
        return replace(sample, image=jitter_colours(sample.image, self.colour, generator))

    def place(self, width: int, height: int, generator: torch.Generator) -> Placement:
        smallest, largest = self.scales
        factor = exp(_uniform(log(smallest), log(largest), generator))
        scale = self.size / max(width, height) * factor
        stretch = exp(_uniform(-log(self.aspect), log(self.aspect), generator) / 2)
        w = max(1, round(width * scale * stretch))
        h = max(1, round(height * scale / stretch))
        # Room to move: a larger image is cropped at random, a smaller one put anywhere.
        x = round(_uniform(0, 1, generator) * (self.size - w))
        y = round(_uniform(0, 1, generator) * (self.size - h))
        return Placement(w, h, x, y, mirrored=_uniform(0, 1, generator) < 0.5)


@dataclass(frozen=True)
class FullImages:
    """Whole images at one of several sizes (paper, section 3.3).

    sides: the shorter side becomes one of these, in pixels, each as likely as the others; the
    longer side is at most ``longest`` times that, and the shorter one less then, as in inference.
    mirrored: the probability that a sample is mirrored. Samples differ in size.
    """

    sides: tuple[int, ...]
    mirrored: float = 0.0
    longest: float = 2.5

    def __post_init__(self) -> None:
        if not self.sides:
            raise UserError("sides: none; give the shorter sides of samples, in pixels")
        for side in self.sides:
            require_side("sides", side)
        if not 1 <= self.longest < inf:
            raise UserError(f"longest: {self.longest}; give 1 or more")

    def __call__(self, image: AnnotatedImage, generator: torch.Generator) -> Sample:
        side = self.sides[int(torch.randint(len(self.sides), (), generator=generator))]
        ends = sorted((image.width, image.height))
        scale = min(side / ends[0], self.longest * side / ends[1])
        width, height = (max(1, round(end * scale)) for end in (image.width, image.height))
        mirrored = _uniform(0, 1, generator) < self.mirrored
        placement = Placement(width, height, 0, 0, mirrored)
        return render(image, placement, height, width, seed=_seed(generator))


def require_side(name: str, side: int) -> None:
    """Raises UserError for a side that no sample has."""
    if not 1 <= side <= LARGEST_SIDE:
        raise UserError(f"{name}: {side} pixels; give 1 to {LARGEST_SIDE}")


def render(
    image: AnnotatedImage, placement: Placement, height: int, width: int, seed: int
) -> Sample:
    """Draw an annotated image as a sample of height x width. Objects left without a pixel go."""
    pixels = place_image(read_image(image.path), placement, height, width, fill=GREY)
    masks = [place_mask(i.mask, placement, height, width) for i in image.instances]
    void = np.zeros((height, width), bool)
    if image.void is not None:
        void = place_mask(image.void, placement, height, width)
    kept = [i for i, mask in enumerate(masks) if mask.any()]
    return Sample(
        image=torch.from_numpy(pixels).permute(2, 0, 1).contiguous(),
        masks=torch.from_numpy(np.stack([masks[i] for i in kept]))
        if kept
        else torch.zeros(0, height, width, dtype=torch.bool),
        crowds=torch.tensor([image.instances[i].crowd for i in kept], dtype=torch.bool),
        categories=torch.tensor([image.instances[i].category for i in kept], dtype=torch.int64),
        void=torch.from_numpy(void),
        seed=seed,
    )


def jitter_colours(image: Tensor, strength: float, generator: torch.Generator) -> Tensor:
    """Change brightness, contrast and saturation of a uint8 image by factors 1 +- strength."""
    for change in (tvf.adjust_brightness, tvf.adjust_contrast, tvf.adjust_saturation):
        image = change(image, 1 + strength * _uniform(-1, 1, generator))
    return image


def copy_paste(sample: Sample, source: Sample, generator: torch.Generator) -> Sample:
    """Paste half of another sample's objects onto a sample (Ghiasi et al. 2021).

    What they cover is gone from the objects below; crowds and void of the source stay behind.
    The upper left corners of both are laid upon each other, and what of a larger source lies
    beyond the sample is cut off.
    """
    margin = [sample.image.shape[i] - source.image.shape[i] for i in (2, 1)]
    masks = F.pad(source.masks, (0, margin[0], 0, margin[1]))
    pixels = F.pad(source.image, (0, margin[0], 0, margin[1]))
    chosen = (torch.rand(len(masks), generator=generator) < 0.5) & ~source.crowds
    chosen &= masks.flatten(1).any(1)
    pasted = masks[chosen]
    cover = pasted.any(0)
    below = sample.masks & ~cover
    kept = below.flatten(1).any(1)
    return Sample(
        image=torch.where(cover, pixels, sample.image),
        masks=torch.cat([below[kept], pasted]),
        crowds=torch.cat([sample.crowds[kept], torch.zeros(len(pasted), dtype=torch.bool)]),
        categories=torch.cat([sample.categories[kept], source.categories[chosen]]),
        void=sample.void & ~cover,
        seed=sample.seed,
    )


def _uniform(low: float, high: float, generator: torch.Generator) -> float:
    return low + (high - low) * float(torch.rand((), generator=generator))


def _seed(generator: torch.Generator) -> int:
    return int(torch.randint(2**31, (), generator=generator))
