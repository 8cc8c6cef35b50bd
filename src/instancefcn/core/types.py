"""What flows through the system: frozen dataclasses that validate themselves.

Legend of shapes, used in every docstring:

    B   images of a batch             H, W   cells (or pixels) of a level (or image)
    n   windows, or proposals         h, w   positions at which windows are centred
    m   cells along a window's side   k      parts along a window's side

Coordinates are continuous, x right, y down; pixel i spans [i, i + 1). Boxes are (x0, y0, x1, y1).
``geometry`` owns this convention.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor

from instancefcn.core.errors import UserError

GREY = 128
"""The value of an input's pixels beyond the image, in training as in inference."""


@dataclass(frozen=True)
class Rle:
    """A binary mask of a whole image, run-length encoded as COCO does (column by column).

    ``counts`` is COCO's compressed form. This is the one form in which full-size masks are
    kept and handed on; ``rle`` encodes and decodes it.
    """

    height: int
    width: int
    counts: bytes


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

    image (3, H, W) uint8 RGB; masks (n, H, W) bool; crowds (n,) bool; void (H, W) bool.
    ``seed`` is the sample's own: whatever is still to be drawn for it is drawn from there, so
    that a step does not depend on how samples are spread over processes.
    """

    image: Tensor
    masks: Tensor
    crowds: Tensor
    void: Tensor
    seed: int

    def __post_init__(self) -> None:
        size = self.image.shape[1:]
        assert self.image.dtype == torch.uint8
        assert self.image.shape[0] == 3
        assert self.masks.dtype == torch.bool
        assert self.masks.shape[1:] == self.void.shape == size
        assert self.crowds.shape == self.masks.shape[:1]

    @property
    def unjudged(self) -> Tensor:
        """(H, W) bool: void or crowd, where no answer is right or wrong."""
        return self.void | self.masks[self.crowds].any(0)


@dataclass(frozen=True)
class Windows:
    """n square windows of one level, each centred on a cell.

    image (n,) index in the batch; y, x (n,) the centre cell; all int64. A window spans the
    cells y - m // 2 .. y + m // 2 and may leave the level.
    """

    image: Tensor
    y: Tensor
    x: Tensor

    def __post_init__(self) -> None:
        assert self.image.ndim == 1
        assert self.image.shape == self.y.shape == self.x.shape
        assert self.image.dtype == self.y.dtype == self.x.dtype == torch.int64

    def __len__(self) -> int:
        return len(self.image)

    def __getitem__(self, index: Tensor) -> Windows:
        return Windows(self.image[index], self.y[index], self.x[index])

    def to(self, device: torch.device) -> Windows:
        return Windows(self.image.to(device), self.y.to(device), self.x.to(device))


Fill = Callable[[Tensor, Windows, int], Tensor]
"""What fills a window: (maps (B, C, H, W), n windows, m) -> mask logits (n, m, m)."""


@dataclass(frozen=True)
class Level:
    """What the network says about one sampling of the image, for windows of one size.

    maps (B, C, H, W): what ``fill`` makes mask logits of; k * k score maps in the paper.
    objectness (B, h, w): logits, one a window; position (y, x) is the window centred on cell
    (y * step + step // 2, x * step + step // 2).
    cell: width and height of a cell in pixels of the image. m: cells along a window's side, odd.
    """

    maps: Tensor
    objectness: Tensor
    cell: tuple[float, float]
    m: int
    step: int
    fill: Fill

    def __post_init__(self) -> None:
        assert self.maps.ndim == 4
        assert self.objectness.ndim == 3
        assert self.maps.shape[0] == self.objectness.shape[0]
        assert self.m % 2 == 1
        assert self.step >= 1

    def windows(self, image: Tensor, y: Tensor, x: Tensor) -> Windows:
        """The windows at the objectness positions (y, x) of the batch's images; each (n,)."""
        half = self.step // 2
        return Windows(image, y * self.step + half, x * self.step + half)

    def centres(self) -> tuple[Tensor, Tensor]:
        """Where the windows are centred, in pixels of the image: y (h,) and x (w,) float."""
        height, width = self.objectness.shape[1:]
        half = self.step // 2 + 0.5
        device = self.objectness.device
        y, x = (torch.arange(n, device=device) * self.step + half for n in (height, width))
        return y * self.cell[1], x * self.cell[0]

    def logits(self, windows: Windows) -> Tensor:
        """Mask logits (n, m, m) of these windows."""
        logits = self.fill(self.maps, windows, self.m)
        assert logits.shape == (len(windows), self.m, self.m)
        return logits

    def rescaled(self, scale: tuple[float, float]) -> Level:
        """The same level for an image ``scale`` = (x, y) times the size of the network's input."""
        return replace(self, cell=(self.cell[0] * scale[0], self.cell[1] * scale[1]))


@dataclass(frozen=True)
class Proposals:
    """Ranked instance masks of one image, kept compact: 1,000 of them weigh a few megabytes
    however large the image is.

    scores (n,) float32, descending; boxes (n, 4) float32, tight around the masks; windows
    (n, 4) float32, what the m x m cells span, may leave the image; logits (n, m, m) float,
    above 0 inside an object. ``geometry`` makes full-size masks and RLE of them on demand.
    """

    scores: Tensor
    boxes: Tensor
    windows: Tensor
    logits: Tensor
    height: int
    width: int

    def __post_init__(self) -> None:
        n, m = len(self.scores), self.logits.shape[-1]
        assert self.scores.shape == (n,)
        assert self.boxes.shape == self.windows.shape == (n, 4)
        assert self.logits.shape == (n, m, m)

    def __len__(self) -> int:
        return len(self.scores)

    def __getitem__(self, index: Tensor | slice) -> Proposals:
        """A subset; the order of ``index`` must keep the scores descending."""
        return replace(
            self,
            scores=self.scores[index],
            boxes=self.boxes[index],
            windows=self.windows[index],
            logits=self.logits[index],
        )
