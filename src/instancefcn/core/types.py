"""What flows through the system: frozen dataclasses that validate themselves.

Legend of shapes, used in every docstring:

    B   images of a batch             H, W   cells (or pixels) of a level (or image)
    n   windows, or proposals         h, w   positions at which windows are centred
    m   cells along a window's side   k      parts along a window's side

Coordinates are continuous, x right, y down; pixel i spans [i, i + 1). Boxes are (x0, y0, x1, y1).
``grid`` owns this convention.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple, TypeGuard

import torch
from torch import Tensor

from instancefcn.core.errors import UserError

GREY = 128
"""The value of an input's pixels beyond the image, in training as in inference."""

_NO_NAME = re.compile(r"[\x00-\x1f\x7f\ud800-\udfff]")


def is_name(value: Any) -> TypeGuard[str]:
    """Whether this can be a category's name: a text of one line, not empty, fit for any file."""
    return isinstance(value, str) and value != "" and not _NO_NAME.search(value)


@dataclass(frozen=True)
class Rle:
    """A binary mask of a whole image, run-length encoded as COCO does (column by column).

    ``counts`` is COCO's compressed form. This is the one form in which full-size masks are
    kept and handed on; ``rle`` encodes and decodes it.
    """

    height: int
    width: int
    counts: bytes


class ScoredMask(NamedTuple):
    """A mask of the whole image, a score that ranks it among the image's, and its category."""

    mask: Rle
    score: float
    category: int = 1


@dataclass(frozen=True)
class Instance:
    """One annotated object. ``category`` is the data set's own id; a crowd is a group of
    objects that nobody separated: it is never a target and never counted.
    """

    mask: Rle
    category: int
    crowd: bool = False


@dataclass(frozen=True)
class AnnotatedImage:
    """An image file and what is known of it. ``void`` marks pixels nobody judged (VOC's 255)."""

    image_id: int
    path: Path
    height: int
    width: int
    instances: tuple[Instance, ...]
    void: Rle | None = None

    def __post_init__(self) -> None:
        for rle in (*(i.mask for i in self.instances), *([self.void] if self.void else [])):
            if (rle.height, rle.width) != (self.height, self.width):
                raise UserError(
                    f"{self.path}: a mask of {rle.width} x {rle.height} pixels on an image of "
                    f"{self.width} x {self.height}; draw the masks at the image's own size"
                )


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
