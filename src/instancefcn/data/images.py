"""Image files and arrays of every kind -> RGB arrays (H, W, 3) uint8."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from instancefcn.core.errors import UserError
from instancefcn.data.image_files import (
    AnyFile,
    has_16_bit_colours,
    is_sideways,
    laid_down,
    name_of,
    opened,
    orientation_of,
    take_lower_bytes,
    upright_size,
)

BAND_PIXELS = 2**20
"""Images are converted so many pixels at a time, so that no second copy of them is made."""

Pixels = NDArray[np.uint8]
Rows = Callable[[int, int], Pixels]
"""Rows y0 .. y1 of an image as RGB."""


def read_image(file: AnyFile) -> Pixels:
    """The image of a file, (H, W, 3) uint8 RGB, turned upright as its EXIF orientation says. The
    file is given by its path, as its bytes, or opened to read bytes.

    Takes JPEG, PNG, TIFF, WebP, BMP, GIF, PPM, JPEG 2000 and AVIF; see ``to_rgb`` for the modes.
    Of an animation it is the first frame; of a TIFF of several pages the first, with a warning.
    Raises UserError, naming the file, for anything that is no whole image or that exceeds
    ``image_files.MAX_PIXELS`` or ``MAX_BYTES``. ``image_size`` is its shape.
    """
    with opened(file) as image:
        orientation = orientation_of(image)
        deep = has_16_bit_colours(image)
        pages = image.format == "TIFF" and getattr(image, "is_animated", False)
        image.load()
    if pages:
        warnings.warn(f"{name_of(file)}: a file of several pages, the first is used", stacklevel=2)
    highest = np.max(image.getextrema()) if deep else 255
    if highest < 64:  # at most 14 of 16 bits, of which Pillow gives the upper 8
        with opened(file) as lower:
            take_lower_bytes(lower)
            lower.load()
        return _deep_to_rgb(image, lower, 256 * int(highest) + 255, orientation)
    try:
        return _pil_to_rgb(image, orientation)
    except UserError as error:
        raise UserError(f"{name_of(file)}: {error}") from error


def image_size(file: AnyFile) -> tuple[int, int]:
    """Height and width of what ``read_image`` would return, from the file's header alone."""
    with opened(file) as image:
        return upright_size(image)


def read_labels(file: AnyFile) -> NDArray[np.integer[Any]]:
    """The values (H, W) of a label map: a palette's indices, not its colours, or grey.

    uint8 of 8 bits, uint16 of 16 bits. Raises UserError, naming the file, if it is neither.
    """
    with opened(file) as image:
        image.load()
    if image.mode in ("P", "L", "I;16"):
        return np.array(image)
    if image.mode in ("I", "I;16B"):
        values = np.asarray(image)
        if values.min() >= 0 and values.max() <= 65535:
            return values.astype(np.uint16)
    raise UserError(
        f"{name_of(file)}: a label map has a palette, or is grey of 8 or 16 bits, this is "
        f"{image.mode}; save the labels themselves, not their colours"
    )


def to_rgb(image: Image.Image | NDArray[Any]) -> Pixels:
    """An image as (H, W, 3) uint8 RGB. A PIL image is taken as it lies, its EXIF unread.

    Arrays are (H, W) grey, (H, W, 1) grey, (H, W, 3) RGB or (H, W, 4) RGBA; uint8, bool, uint16
    or floating from 0 to 1. PIL's 16 and 32-bit grey modes count as uint16, its "F" as floating.
    What is transparent shows white. No file says how many of its 16 bits are used, so white is
    the largest value of the smallest of 8, 10, 12, 14 and 16 bits that hold the whole image.

    Raises UserError for any other shape, type or range. Invariant: RGB uint8 is returned as is.
    """
    if isinstance(image, np.ndarray):
        return _array_to_rgb(image)
    if not isinstance(image, Image.Image):
        raise UserError(
            f"an image is a PIL image or an array, or for a Predictor a file, got "
            f"{type(image).__name__}; convert it, e.g. with numpy.asarray"
        )
    return _pil_to_rgb(image, orientation=1)


def _pil_to_rgb(image: Image.Image, orientation: int) -> Pixels:
    deep = image.mode in ("I", "F") or image.mode.startswith("I;16")
    mode = "RGBA" if image.has_transparency_data else "RGB"
    extrema: Any = image.getextrema() if deep else None
    white = _white(*extrema) if deep and image.mode != "F" else 1

    def rows(y0: int, y1: int) -> Pixels:
        band = image.crop((0, y0, image.width, y1))
        return _three_channels(_to_uint8(np.asarray(band if deep else band.convert(mode)), white))

    return _in_bands(rows, image.height, image.width, orientation)


def _deep_to_rgb(upper: Image.Image, lower: Image.Image, most: int, orientation: int) -> Pixels:
    """Of the two bytes of 16-bit colours of at most ``most``."""

    def rows(y0: int, y1: int) -> Pixels:
        box = (0, y0, upper.width, y1)
        high = np.asarray(upper.crop(box)).astype(np.uint16)
        return _to_uint8(high * np.uint16(256) + np.asarray(lower.crop(box)), _white(0, most))

    return _in_bands(rows, upper.height, upper.width, orientation)


def _array_to_rgb(array: NDArray[Any]) -> Pixels:
    channels = 1 if array.ndim == 2 else array.shape[-1]
    if array.ndim not in (2, 3) or channels not in (1, 3, 4) or array.size == 0:
        raise UserError(
            f"an image array is (H, W), (H, W, 3) or (H, W, 4), got shape {array.shape}; "
            "channels come last"
        )
    if array.dtype == np.uint8 and channels == 3:
        pixels: Pixels = array
        return pixels
    white = _white(array.min(), array.max()) if array.dtype == np.uint16 else 1
    return _in_bands(
        lambda y0, y1: _three_channels(_to_uint8(array[y0:y1], white)), *array.shape[:2]
    )


def _in_bands(rows: Rows, height: int, width: int, orientation: int = 1) -> Pixels:
    """A whole image of its rows, turned upright."""
    size = (width, height) if is_sideways(orientation) else (height, width)
    upright = np.empty((*size, 3), np.uint8)
    lying = laid_down(upright, orientation)
    step = max(1, BAND_PIXELS // width)
    for y in range(0, height, step):
        lying[y : y + step] = rows(y, min(y + step, height))
    return upright


def _white(low: float, high: float) -> int:
    """The largest value of the fewest bits that hold an image of 16 bits."""
    if low < 0 or high > 65535:
        raise UserError(
            f"a 32-bit grey image goes from 0 to 65535, this one from {low:.0f} to {high:.0f}; "
            "save it with 8 or 16 bits"
        )
    return 2 ** next(bits for bits in (8, 10, 12, 14, 16) if high < 2**bits) - 1


def _to_uint8(array: NDArray[Any], white: int) -> Pixels:
    if array.dtype == np.uint8:
        pixels: Pixels = array
        return pixels
    if array.dtype == np.bool_:
        return array.astype(np.uint8) * np.uint8(255)
    if np.issubdtype(array.dtype, np.floating):
        scaled: Pixels = np.rint(_from_0_to_1(array) * 255).astype(np.uint8)
        return scaled
    if array.dtype.kind in "iu" and white > 1:
        return ((array.astype(np.uint32) * 255 + white // 2) // white).astype(np.uint8)
    raise UserError(
        f"an image array is uint8, uint16, bool or floating, got {array.dtype}; "
        "convert it, e.g. with .astype(np.uint8)"
    )


def _from_0_to_1(array: NDArray[Any]) -> NDArray[Any]:
    low, high = array.min(), array.max()
    if low >= 0 and high <= 1:
        return array
    if not np.isfinite(low + high):
        remedy = "holds infinite values or NaN; replace them"
    elif low < 0:
        remedy = "has negative values; subtract its minimum, then divide by its maximum"
    else:
        remedy = f"goes on to {high:g} or beyond; divide by its maximum"
    raise UserError(f"a floating image goes from 0 to 1, this one {remedy}")


def _three_channels(pixels: Pixels) -> Pixels:
    """Of rows (h, w), (h, w, 1), (h, w, 3) or (h, w, 4): grey repeated, RGBA laid on white."""
    if pixels.ndim == 2 or pixels.shape[2] == 1:
        return np.repeat(pixels.reshape(*pixels.shape[:2], 1), 3, axis=2)
    if pixels.shape[2] == 3:
        return pixels
    white = Image.new("RGBA", (pixels.shape[1], pixels.shape[0]), "white")
    white.alpha_composite(Image.fromarray(np.ascontiguousarray(pixels)))
    return np.asarray(white.convert("RGB"))
