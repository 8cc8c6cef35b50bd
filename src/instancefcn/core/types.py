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
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias, TypeGuard

import numpy as np
from numpy.typing import NDArray

from instancefcn.core.errors import UserError

Floats: TypeAlias = NDArray[np.floating[Any]]
"""float32, unless a docstring says otherwise."""

Integers: TypeAlias = NDArray[np.integer[Any]]
"""int64, unless a docstring says otherwise."""

GREY = 128
"""The value of an input's pixels beyond the image, in training as in inference."""

BACKGROUND = -16.0
"""The logit of what lies outside a level: as a probability below float16's resolution at 1,
yet finite, so that losses and interpolation stay finite."""

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
