"""A training sample: an annotated image as torch learns from it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor


@dataclass(frozen=True)
class Sample:
    """A training sample: an image with its objects, resized, cropped and augmented.

    image (3, H, W) uint8 RGB; masks (n, H, W) bool; crowds (n,) bool;
    categories (n,) int64, the data set's own ids; void (H, W) bool. ``seed`` is the sample's own:
    whatever is still to be drawn for it is drawn from there, so that a step does not depend on how
    samples are spread over processes.
    """

    image: Tensor
    masks: Tensor
    crowds: Tensor
    categories: Tensor
    void: Tensor
    seed: int

    def __post_init__(self) -> None:
        size = self.image.shape[1:]
        assert self.image.dtype == torch.uint8
        assert self.image.shape[0] == 3
        assert self.masks.dtype == torch.bool
        assert self.masks.shape[1:] == self.void.shape == size
        assert self.crowds.shape == self.categories.shape == self.masks.shape[:1]

    @cached_property
    def boxes(self) -> Tensor:
        """Boxes (n, 4) float32, half open, tight around the masks; (0, 0, 0, 0) of an empty one."""
        if not len(self.masks):
            return torch.zeros(0, 4)
        ends = []
        for axis in (1, 2):  # columns, then rows
            hit = self.masks.any(axis).to(torch.uint8)
            ends.append((hit.argmax(1), hit.shape[1] - hit.flip(1).argmax(1)))
        (x0, x1), (y0, y1) = ends
        return torch.stack((x0, y0, x1, y1), 1).float() * hit.any(1, keepdim=True)

    @cached_property
    def unjudged(self) -> Tensor:
        """(H, W) bool: void or crowd, where no answer is right or wrong."""
        return self.void | self.masks[self.crowds].any(0)
