"""Image files opened as PIL images: only formats that are meant, within limits, nothing run."""

from __future__ import annotations

import os
import struct
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from io import BytesIO
from os.path import isfile, lexists
from pathlib import Path
from typing import IO, Any, TypeAlias, TypeGuard

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image, ImageFile, TiffImagePlugin

from instancefcn.core.errors import UserError
from instancefcn.core.limits import limit

AnyFile: TypeAlias = Path | str | bytes | IO[bytes]
"""An image file: its path, its bytes, or the file itself, opened to read bytes. Such a one is read
from its beginning, however much of it has been read, and is left open.
"""

MAX_PIXELS = limit("MAX_PIXELS", 200_000_000)
"""The most pixels of an image."""

MAX_BYTES = limit("MAX_BYTES", 1_500_000_000)
"""The most bytes that an image may take while it is decoded and converted, without the file's own.

A small file can take this much. Both limits are environment variables too: see ``core.limits``.
"""

_FORMATS = ("JPEG", "PNG", "TIFF", "WEBP", "BMP", "GIF", "PPM", "JPEG2000", "AVIF")
"""Those of Pillow's that read no more than a header while they open; an MPO is a JPEG."""

_UNREAD = {
    **dict.fromkeys((b"ftyphei", b"ftyphev"), "HEIC"),
    b"ftypavif": "AVIF",  # by a Pillow without it
    **dict.fromkeys((b"\xff\x0a", b"\0\0\0\x0cJXL "), "JPEG XL"),
    b"8BPS": "PSD",
}
"""Photos of kinds that are not read, by how their files begin."""

_BYTES_A_PIXEL = {"1": 1, "L": 1, "P": 1, "I;16": 2}
_DECODER_BYTES = {"AVIF": 10, "WEBP": 17, "JPEG2000": 20, "progressive": 10}
"""Bytes a pixel while these are decoded, measured. TIFFs may be held twice, others once."""

_FOREIGN = "RGB;16B" if sys.byteorder == "little" else "RGB;16L"
_OTHER_BYTES = {"RGB;16B": "RGB;16L", "RGB;16L": "RGB;16B", "RGB;16N": _FOREIGN}
"""Of Pillow's raw modes: each keeps the more significant byte. N is this machine's."""

_EXIF = ("exif", "xmp", "XML:com.adobe.xmp", "Raw profile type exif")


def is_file(image: object) -> TypeGuard[AnyFile]:
    """Whether this is a file, given in one of the ways."""
    return isinstance(image, (str, Path, bytes)) or hasattr(image, "read")


def name_of(file: AnyFile) -> str:
    """What messages call a file."""
    name = file if isinstance(file, (str, Path)) else getattr(file, "name", None)
    return str(name) if isinstance(name, (str, Path)) else "an image given as bytes"


@contextmanager
def opened(file: AnyFile) -> Iterator[ImageFile.ImageFile]:
    """The file as a PIL image that is not decoded yet; decode it inside the block.

    Whatever goes wrong in the block is a UserError that names the file.
    """
    try:
        with _to_read(file) as content:
            # Pillow maps what has a name into memory, whatever lies there by then.
            name = os.fspath(file) if isinstance(file, (str, Path)) else ""
            image = _identified(content, name)
            _require_within_limits(image)
            yield image
    except UserError as error:
        raise UserError(f"{name_of(file)}: {error}") from error
    except Exception as error:  # Pillow's decoders raise nearly anything on a broken file.
        reason = " ".join(str(error).split()) or type(error).__name__
        raise UserError(
            f"{name_of(file)}: cannot be read ({reason}); copy or export the image again"
        ) from error


def _to_read(file: AnyFile) -> AbstractContextManager[IO[bytes]]:
    """A file opened to read bytes, at its beginning."""
    if isinstance(file, bytes):
        return BytesIO(file)
    if isinstance(file, (str, Path)):
        if not isfile(file):
            there = ", but a folder, a pipe or a link to nothing" if lexists(file) else ""
            raise UserError(f"no such file{there}; check the path")
        return open(file, "rb")
    try:
        file.seek(0)
    except OSError as error:
        raise UserError(
            f"it cannot be read twice ({error}); give its bytes, file.read()"
        ) from error
    if not isinstance(file.read(0), bytes):
        raise UserError('a file opened as text; open it with open(path, "rb")')
    return nullcontext(file)


def orientation_of(image: Image.Image) -> int:
    """1 to 8, how an image lies once it is decoded. Pillow turns TIFFs upright while it does."""
    return 1 if image.format == "TIFF" else _exif_orientation(image)


def upright_size(image: Image.Image) -> tuple[int, int]:
    """Height and width of an image turned upright, before it is decoded."""
    width, height = image.size
    known = ExifTags.Base.Orientation in getattr(image, "tag_v2", {})  # a TIFF's size is upright
    sideways = not known and is_sideways(_exif_orientation(image))
    return (width, height) if sideways else (height, width)


def is_sideways(orientation: int) -> bool:
    """Whether width and height change places when an image is turned upright."""
    return orientation >= 5


def laid_down(upright: NDArray[Any], orientation: int) -> NDArray[Any]:
    """A view of an upright array (H, W, ...) as a file of this orientation stores it."""
    lying = upright
    if orientation in (3, 4, 7, 8):
        lying = lying[::-1]
    if orientation in (2, 3, 6, 7):
        lying = lying[:, ::-1]
    return np.swapaxes(lying, 0, 1) if is_sideways(orientation) else lying


def has_16_bit_colours(image: ImageFile.ImageFile) -> bool:
    """Whether Pillow will decode no more than the upper bytes of an RGB image of 16 bits."""
    return bool(image.tile) and all(_raw_mode(tile[3]) in _OTHER_BYTES for tile in image.tile)


def take_lower_bytes(image: ImageFile.ImageFile) -> None:
    """Have the lower bytes of 16-bit colours decoded: they are the upper ones the other way on."""
    for number, (codec, box, offset, raw) in enumerate(image.tile):
        other: Any = _OTHER_BYTES[_raw_mode(raw)]
        arguments = other if isinstance(raw, str) else (other, *(raw or ())[1:])
        image.tile[number] = ImageFile._Tile(codec, box, offset, arguments)


def _raw_mode(arguments: Any) -> Any:
    return arguments if isinstance(arguments, str) or not arguments else arguments[0]


def _exif_orientation(image: Image.Image) -> int:
    """By EXIF, if it comes before the pixels: else Pillow would decode the file to look for it."""
    if not any(key in image.info for key in _EXIF):
        return 1
    orientation: Any = image.getexif().get(ExifTags.Base.Orientation)
    return orientation if orientation in range(1, 9) else 1


def _identified(file: IO[bytes], name: str) -> ImageFile.ImageFile:
    """As Image.open does it, but without its limit, which is global and comes after opening."""
    Image.init()
    prefix = file.read(16)
    if not prefix:
        raise UserError("the file is empty; copy or export it again")
    for kind in _FORMATS:
        factory, accept = Image.OPEN.get(kind, (None, None))
        try:
            if factory is not None and accept is not None and accept(prefix) is True:
                file.seek(0)
                return factory(file, name)
        except (SyntaxError, IndexError, TypeError, struct.error) as error:
            if str(error) == "unknown pixel mode":
                raise UserError(
                    f"a TIFF of {_pixels_of_tiff(file)} is not read; save it with 8 bits a "
                    "channel, as grey or RGB"
                ) from error
            raise UserError(f"a broken {kind} ({error}); copy or export it again") from error
    for start, unread in _UNREAD.items():
        if prefix.startswith(start) or prefix[4:].startswith(start):
            raise UserError(f"{unread} is not read; convert to JPEG")
    raise UserError("not an image; give a JPEG, PNG, TIFF, WebP or BMP")


def _pixels_of_tiff(file: IO[bytes]) -> str:
    """What its pixels are, such as "1 channel of 64-bit floating", of a TIFF with good tags."""
    file.seek(0)
    header = file.read(8)
    tags = TiffImagePlugin.ImageFileDirectory_v2(
        header + file.read(8) if header[2] == 43 else header
    )
    file.seek(tags.next)
    tags.load(file)
    bits = tags.get(TiffImagePlugin.BITSPERSAMPLE, (1,))
    number = tags.get(TiffImagePlugin.SAMPLESPERPIXEL, len(bits))
    kinds = {1: "unsigned", 2: "signed", 3: "floating"}
    kind = kinds.get(tags.get(TiffImagePlugin.SAMPLEFORMAT, (1,))[0], "unknown")
    return f"{number} channel{'s' * (number != 1)} of {max(bits)}-bit {kind} values"


def _require_within_limits(image: ImageFile.ImageFile) -> None:
    pixels = image.width * image.height
    size = f"{image.width} x {image.height} pixels"
    if pixels > MAX_PIXELS:
        raise UserError(
            f"{size} are more than {MAX_PIXELS / 1e6:g} megapixels; make the image smaller, cut it "
            f"into tiles, or set INSTANCEFCN_MAX_PIXELS={pixels}"
        )
    needed = _peak_bytes(image)
    if needed > MAX_BYTES:
        raise UserError(
            f"{size} of a {image.format} take {needed / 1e6:.0f} MB, more than "
            f"{MAX_BYTES / 1e6:g} MB; make the image smaller, cut it into tiles, or set "
            f"INSTANCEFCN_MAX_BYTES={needed}"
        )


def _peak_bytes(image: ImageFile.ImageFile) -> int:
    """At the peak of decoding, or of converting: what the decoder holds, then image and RGB."""
    held = 8 if has_16_bit_colours(image) else _BYTES_A_PIXEL.get(image.mode, 4)
    kind = "progressive" if image.info.get("progressive") else image.format or ""
    decoding = _DECODER_BYTES.get(kind, 2 * held if kind == "TIFF" else held)
    return image.width * image.height * max(decoding, held + 3) + _tile_bytes(image)


def _tile_bytes(image: ImageFile.ImageFile) -> int:
    """Of a tile of a TIFF, which may be larger than the image."""
    tags = getattr(image, "tag_v2", {})
    width, height = (
        tags.get(tag, 0) for tag in (TiffImagePlugin.TILEWIDTH, TiffImagePlugin.TILELENGTH)
    )
    return int(width * height * sum(tags.get(TiffImagePlugin.BITSPERSAMPLE, (1,))) // 8)
