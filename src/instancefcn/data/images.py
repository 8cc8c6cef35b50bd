"""Image files and arrays of every kind -> RGB arrays (H, W, 3) uint8."""

from __future__ import annotations

import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from os.path import isfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image, UnidentifiedImageError

from instancefcn.core.errors import UserError

MAX_PIXELS = 200_000_000

_EXIF = ("exif", "xmp", "XML:com.adobe.xmp", "Raw profile type exif")
_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_SIDEWAYS = (5, 6, 7, 8)
_opening = threading.Lock()


def read_image(path: Path | str) -> NDArray[np.uint8]:
    """The image of a file, (H, W, 3) uint8 RGB, turned upright as its EXIF orientation says.

    Takes whatever Pillow reads, see ``to_rgb`` for the modes; of an animation the first frame.
    Raises ValueError, naming the file, for anything that is no whole image of at most
    ``MAX_PIXELS``. ``image_size`` is its shape.
    """
    with _opened(path) as image:
        orientation = _orientation(image)
        image.load()
    upright = image if orientation == 1 else image.transpose(_UPRIGHT[orientation])
    try:
        return to_rgb(upright)
    except ValueError as error:
        raise UserError(f"{path}: {error}") from error


def image_size(path: Path | str) -> tuple[int, int]:
    """Height and width of what ``read_image`` would return, from the file's header alone."""
    with _opened(path) as image:
        width, height = image.size
        return (width, height) if _orientation(image) in _SIDEWAYS else (height, width)


def to_rgb(image: Image.Image | NDArray[Any]) -> NDArray[np.uint8]:
    """An image as (H, W, 3) uint8 RGB. A PIL image is taken as it lies, its EXIF unread.

    Arrays are (H, W) grey, (H, W, 1) grey, (H, W, 3) RGB or (H, W, 4) RGBA; uint8, bool, uint16
    (0..65535, so that 16 bits become 8 by / 257) or floating from 0 to 1. PIL's 16 and 32-bit
    grey modes count as uint16, its "F" as floating. What is transparent shows white.

    Raises ValueError for any other shape, type or range. Invariant: RGB uint8 is returned as is.
    """
    if isinstance(image, np.ndarray):
        return _array_to_rgb(image)
    if not isinstance(image, Image.Image):
        raise UserError(
            f"an image is a PIL image or an array, or for a Predictor a path, got a "
            f"{type(image).__name__}; convert it, e.g. with numpy.asarray"
        )
    if image.mode == "I" or image.mode.startswith("I;16"):
        return _array_to_rgb(_as_uint16(np.asarray(image)))
    if image.mode == "F":
        return _array_to_rgb(np.asarray(image))
    if image.has_transparency_data:
        return _array_to_rgb(np.asarray(image.convert("RGBA")))
    return np.array(image if image.mode == "RGB" else image.convert("RGB"))


def read_labels(path: Path | str) -> NDArray[Any]:
    """The values (H, W) of a label map, uint8 or uint16: a palette's indices, not its colours, or
    grey of at most 16 bits.

    Raises ValueError, naming the file, if it is neither.
    """
    with _opened(path) as image:
        image.load()
    if image.mode in ("I", "I;16", "I;16B", "I;16L"):  # "I": of PNG, by older Pillows
        return _as_uint16(np.asarray(image))
    if image.mode not in ("P", "L"):
        raise UserError(
            f"{path}: a label map has a palette or is grey of 8 or 16 bits, this is {image.mode}; "
            "save the labels themselves, not their colours"
        )
    return np.array(image)


def _array_to_rgb(array: NDArray[Any]) -> NDArray[np.uint8]:
    pixels = _to_uint8(array)
    if pixels.ndim == 2:
        pixels = pixels[:, :, None]
    if pixels.ndim != 3 or pixels.shape[2] not in (1, 3, 4) or pixels.size == 0:
        raise UserError(
            f"an image array is (H, W), (H, W, 3) or (H, W, 4), got shape {array.shape}; "
            "channels come last"
        )
    if pixels.shape[2] == 4:
        return _over_white(pixels)
    return pixels if pixels.shape[2] == 3 else np.repeat(pixels, 3, axis=2)


def _to_uint8(array: NDArray[Any]) -> NDArray[np.uint8]:
    if array.dtype == np.uint8:
        pixels: NDArray[np.uint8] = array
        return pixels
    if array.dtype == np.bool_:
        return array.astype(np.uint8) * np.uint8(255)
    if array.dtype == np.uint16:
        return ((array.astype(np.uint32) + 128) // 257).astype(np.uint8)
    if np.issubdtype(array.dtype, np.floating):
        if not (array.min(initial=0) >= 0 and array.max(initial=0) <= 1):
            raise UserError(
                "a floating image goes from 0 to 1, this one leaves that range; "
                "divide by its maximum"
            )
        scaled: NDArray[np.uint8] = np.rint(array * 255).astype(np.uint8)
        return scaled
    raise UserError(
        f"an image array is uint8, uint16, bool or floating, got {array.dtype}; "
        "convert it, e.g. with .astype(np.uint8)"
    )


def _as_uint16(grey: NDArray[Any]) -> NDArray[np.uint16]:
    """Of Pillow's "I;16" and of "I", in which it holds 16 bits of some formats."""
    if grey.min(initial=0) < 0 or grey.max(initial=0) > 65535:
        raise UserError(
            "a 32-bit grey image goes from 0 to 65535, this one leaves that range; "
            "save it with 8 or 16 bits"
        )
    return grey.astype(np.uint16)


def _over_white(rgba: NDArray[np.uint8]) -> NDArray[np.uint8]:
    white = Image.new("RGBA", (rgba.shape[1], rgba.shape[0]), "white")
    white.alpha_composite(Image.fromarray(np.ascontiguousarray(rgba)))
    return np.array(white.convert("RGB"))


@contextmanager
def _opened(path: Path | str) -> Iterator[Image.Image]:
    """The file as a lazily decoded PIL image; whatever fails inside is a ValueError naming it."""
    if not isfile(path):
        raise UserError(f"{path}: no such file; check the path")
    if Path(path).stat().st_size == 0:
        raise UserError(f"{path}: the file is empty; copy or export it again")
    try:
        with _open(path) as image:
            if image.width * image.height <= MAX_PIXELS:
                yield image
                return
    except UnidentifiedImageError:
        raise UserError(f"{path}: not an image; give a JPEG, PNG, TIFF, WebP or BMP") from None
    except Exception as error:  # Pillow's decoders raise nearly anything on a broken file.
        reason = " ".join(str(error).split()) or type(error).__name__
        raise UserError(
            f"{path}: cannot be read ({reason}); copy or export the image again"
        ) from error
    raise UserError(
        f"{path}: {image.width} x {image.height} pixels are more than "
        f"{MAX_PIXELS // 1_000_000} megapixels; make it smaller or cut it into tiles"
    )


def _open(path: Path | str) -> Image.Image:
    """Without Pillow's own limit, which warns from 89 megapixels on, and without its warnings of
    what it tried on a broken file. Both are global, hence the lock.
    """
    with _opening, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        limit, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None
        try:
            return Image.open(path)
        finally:
            Image.MAX_IMAGE_PIXELS = limit


def _orientation(image: Image.Image) -> int:
    """By EXIF, if it comes before the pixels: else Pillow would decode the file to look for it."""
    if not any(key in image.info for key in _EXIF):
        return 1
    orientation: Any = image.getexif().get(ExifTags.Base.Orientation)
    return orientation if orientation in _UPRIGHT else 1
