"""What the panels of a picture of score maps hold. In each, a unit is a pixel of the image."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from instancefcn.core.drawing import paste
from instancefcn.core.extras import extra
from instancefcn.core.proposals import Proposals
from instancefcn.core.types import Floats
from instancefcn.figures.separation import ScoreMaps
from instancefcn.formats.overlay import resized

with extra("plot"):
    import matplotlib
    from matplotlib.axes import Axes
    from matplotlib.colors import Normalize, to_rgb
    from matplotlib.patches import Rectangle
    from matplotlib.patheffects import withStroke

COLOURS = ("#19d3f3", "#2fd65b", "#ff6fd0", "#4f74ff")  # of windows; none is among HEAT's
HEAT = matplotlib.colormaps["inferno"]
LIMIT = 5
"""Logits beyond are drawn as this: a probability of 0.7 % or 99.3 %."""

SCALE = Normalize(-LIMIT, LIMIT, clip=True)
FINEST = 800
"""A photo is shrunk to this many pixels on its longer side: no panel shows more."""

DIM = 0.45
DARK = 128
"""A photo with hardly a value of this or more is drawn brighter: one could not see it else."""


@dataclass(frozen=True)
class Photo:
    """Pixels (H, W, 3) uint8 RGB to be drawn, and the size of the image that they show."""

    pixels: NDArray[np.uint8]
    width: int
    height: int

    @classmethod
    def of(cls, image: NDArray[np.uint8]) -> Photo:
        """Of an image (H, W, 3) uint8 RGB, shrunk if it is larger than what a panel shows, and
        brightened if it is ``DARK``.
        """
        height, width = image.shape[:2]
        factor = min(1, FINEST / max(height, width))
        size = max(1, round(width * factor)), max(1, round(height * factor))
        pixels = np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8)
        return cls(brightened(pixels), width, height)

    def dim(self) -> Photo:
        """Grey and dark, so that what is drawn over it stands out."""
        grey = self.pixels.mean(2, keepdims=True).repeat(3, 2) * DIM
        return Photo(grey.astype(np.uint8), self.width, self.height)


def brightened(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """A dark image made brighter, so that its 99.5th percentile is white; any other as it is. It is
    dark if that percentile is below ``DARK``.
    """
    white = max(1.0, float(np.percentile(pixels, 99.5)))
    if white >= DARK:
        return pixels
    return (pixels * (255 / white)).clip(max=255).round().astype(np.uint8)


def draw_photo(axes: Axes, photo: Photo) -> None:
    axes.imshow(photo.pixels, extent=(0, photo.width, photo.height, 0), interpolation="bilinear")
    axes.set(xlim=(0, photo.width), ylim=(photo.height, 0))


def draw_map(axes: Axes, photo: Photo, maps: ScoreMaps, i: int = 0, j: int = 0) -> None:
    """The map of part (i, j) over the dim photo, which shows where the map says no."""
    draw_photo(axes, photo.dim())
    logits = maps.logits[i, j]
    width, height = maps.size
    heat = HEAT(SCALE(logits))
    heat[..., 3] = 0.1 + 0.85 * SCALE(logits)
    axes.imshow(heat, extent=(0, width, height, 0), interpolation="nearest")
    axes.set(xlim=(0, photo.width), ylim=(photo.height, 0))


def draw_boxes(axes: Axes, boxes: Floats, line: float) -> None:
    """Outlines of n boxes (n, 4), in the windows' colours, set off by a shadow."""
    for (x0, y0, x1, y1), colour in zip(boxes.tolist(), COLOURS, strict=False):
        box = Rectangle((x0, y0), x1 - x0, y1 - y0, fill=False, ec=colour, lw=line)
        box.set_path_effects([withStroke(linewidth=line + 1.2, foreground="black")])
        axes.add_patch(box)


def draw_masks(axes: Axes, photo: Photo, proposals: Proposals) -> None:
    """The full-size masks over the photo; a better mask covers a worse one."""
    draw_photo(axes, photo)
    height, width = photo.pixels.shape[:2]
    shown = resized(proposals, width, height)
    for index in reversed(range(len(shown))):
        mask = paste(shown.logits[index], shown.windows[index], height, width)
        if not mask.any():  # smaller than a pixel of the shrunk photo
            continue
        veil = np.zeros((height, width, 4))
        veil[mask] = (*to_rgb(COLOURS[index]), 0.4)
        axes.imshow(veil, extent=(0, photo.width, photo.height, 0))
        draw_edge(axes, photo, mask, COLOURS[index], 1.4)
    axes.set(xlim=(0, photo.width), ylim=(photo.height, 0))


def draw_edge(axes: Axes, photo: Photo, mask: NDArray[np.bool_], colour: str, line: float) -> None:
    """The outline of a mask, which has the shape of the photo's pixels and is not empty."""
    height, width = mask.shape
    x = (np.arange(-1, width + 1) + 0.5) * photo.width / width
    y = (np.arange(-1, height + 1) + 0.5) * photo.height / height
    axes.contour(x, y, np.pad(mask, 1), [0.5], colors=colour, linewidths=line)


def draw_cells(axes: Axes, logits: Floats, box: Sequence[float]) -> None:
    """Logits (h, w), one a cell, that fill a box."""
    x0, y0, x1, y1 = box
    axes.imshow(logits, HEAT, SCALE, extent=(x0, x1, y1, y0))


def draw_borders(axes: Axes, boxes: Floats) -> None:
    """Thin lines between a window's parts, whose boxes are (k, k, 4)."""
    for x0 in boxes[0, 1:, 0].tolist():
        axes.axvline(x0, color="white", lw=0.6, alpha=0.8)
    for y0 in boxes[1:, 0, 1].tolist():
        axes.axhline(y0, color="white", lw=0.6, alpha=0.8)


def draw_outline(axes: Axes, logits: Floats, box: Sequence[float], colour: str) -> None:
    """Where logits (h, w) that fill a box are 0 between their cells' centres; beyond it is no."""
    x0, y0, x1, y1 = box
    ringed = np.pad(logits.clip(-LIMIT, LIMIT), 1, constant_values=-LIMIT)
    if ringed.max() < 0:
        return
    height, width = logits.shape
    x = x0 + (np.arange(-1, width + 1) + 0.5) / width * (x1 - x0)
    y = y0 + (np.arange(-1, height + 1) + 0.5) / height * (y1 - y0)
    axes.contour(x, y, ringed, [0], colors=colour, linewidths=1.4)


def look_at(axes: Axes, window: Floats, colour: str) -> None:
    """Show no more than the window (4,), in a frame of its colour. It may leave the image."""
    x0, y0, x1, y1 = window.tolist()
    axes.set(xlim=(x0, x1), ylim=(y1, y0), aspect="auto")
    axes.spines[:].set(visible=True, color=colour, linewidth=2)


def look_around(axes: Axes, photo: Photo, windows: Floats) -> None:
    """Show the photo and all of its windows (n, 4), though they leave it, in the photo's shape."""
    size = np.array([photo.width, photo.height], np.float32)
    whole = np.concatenate((windows, [[0, 0, *size]]))
    first, last = whole[:, :2].min(0), whole[:, 2:].max(0)
    scale = ((last - first) / size).max() * (1.02 if len(windows) else 1)  # room for the lines
    x0, y0 = ((first + last - scale * size) / 2).tolist()
    x1, y1 = ((first + last + scale * size) / 2).tolist()
    axes.set(xlim=(x0, x1), ylim=(y1, y0))
