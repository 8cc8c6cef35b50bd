"""COCO's instance format: the records of its JSON, read with care.

https://cocodataset.org/#format-data. Each function raises ValueError in one line for a record
that cannot be used, so that reading a data set and checking it are the same.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from reprlib import repr as short
from typing import Any

from instancefcn.core.errors import UserError
from instancefcn.core.rle import polygons_to_rle, rle_from_coco
from instancefcn.core.types import Rle
from instancefcn.data.image_files import MAX_PIXELS

_UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f\ud800-\udfff]")


@dataclass(frozen=True)
class ImageEntry:
    """What the format says of an image."""

    image_id: int
    file_name: str
    height: int
    width: int


@dataclass(frozen=True)
class Annotation:
    """What the format says of an object, its mask still as it stands there."""

    annotation_id: int
    image_id: int
    category: int
    crowd: bool
    segmentation: Any
    bbox: Any


LISTS = ("images", "annotations", "categories")


def read_coco(path: Path, lists: Sequence[str] = LISTS) -> dict[str, list[Any]]:
    """A COCO file's lists. Raises ValueError, naming the file, if it has not all of these."""
    try:
        content = json.loads(path.read_bytes())
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror}); check the path") from error
    except (ValueError, RecursionError) as error:
        raise UserError(f"{path}: not JSON ({error}); export the annotations again") from error
    if isinstance(content, dict) and all(isinstance(content.get(key), list) for key in lists):
        return {key: content[key] for key in lists}
    found = sorted(map(str, content)) if isinstance(content, dict) else type(content).__name__
    raise UserError(
        f"{path}: a COCO data set has the lists {', '.join(lists)}, got "
        f"{short(found)}; export the annotations as COCO instances"
    )


def to_image(record: Any) -> ImageEntry:
    """Of a record of "images". Raises ValueError if anything needed is missing or of no use."""
    _require_record(record, "image")
    image = ImageEntry(
        _integer(record, "id"),
        _text(record, "file_name"),
        _integer(record, "height"),
        _integer(record, "width"),
    )
    if min(image.height, image.width) < 1 or image.height * image.width > MAX_PIXELS:
        raise UserError(
            f"an image has 1 to {MAX_PIXELS} pixels, this one {image.width} x {image.height} in "
            f"{short(record)}"
        )
    return image


def to_annotation(record: Any) -> Annotation:
    """Of a record of "annotations". Raises ValueError if anything needed is missing."""
    _require_record(record, "annotation")
    crowd = record.get("iscrowd", 0)
    if crowd not in (0, 1):
        raise UserError(f'"iscrowd" is 0 or 1, got {short(crowd)} in {short(record)}')
    return Annotation(
        _integer(record, "id"),
        _integer(record, "image_id"),
        _integer(record, "category_id"),
        bool(crowd),
        record.get("segmentation"),
        record.get("bbox"),
    )


def to_category(record: Any) -> tuple[int, str]:
    """Id and name of a record of "categories". Raises ValueError if it has not both."""
    _require_record(record, "category")
    return _integer(record, "id"), _text(record, "name")


def to_rle(segmentation: Any, height: int, width: int) -> Rle:
    """The mask of an annotation: polygons, or an RLE of the image's size.

    Raises ValueError for anything else, and for polygons that stray further from the image than
    it is large: they belong to another one (and would take pycocotools hours to fill).
    """
    if isinstance(segmentation, dict):
        if segmentation.get("size") != [height, width]:
            raise UserError(
                f"the RLE's size [height, width] is {short(segmentation.get('size'))}, the "
                f"image's [{height}, {width}]; draw the mask at the image's own size"
            )
        return rle_from_coco(segmentation)
    if not isinstance(segmentation, list) or not segmentation:
        raise UserError(
            f"no mask, got {short(segmentation)}; draw the object's outline or take it out"
        )
    reach = 2 * max(height, width)
    for polygon in segmentation:
        if not (isinstance(polygon, list) and all(type(v) in (int, float) for v in polygon)):
            raise UserError(
                f"a segmentation is a list of polygons [x0, y0, x1, y1, ...], got "
                f"{short(polygon)} in it"
            )
        if any(abs(value) > reach for value in polygon):
            raise UserError(
                f"a polygon's coordinate is {short(max(polygon, key=abs))} on an image of "
                f"{width} x {height}; draw it at the image's own size"
            )
    return polygons_to_rle(segmentation, height, width)


def _require_record(record: Any, what: str) -> None:
    if not isinstance(record, dict):
        raise UserError(f"an {what} entry is a JSON object, got {short(record)}")


def _integer(record: Mapping[str, Any], key: str) -> int:
    value = record.get(key)
    if type(value) is not int or abs(value) >= 1 << 63:
        raise UserError(f'"{key}" is an integer of 64 bits, got {short(value)} in {short(record)}')
    return value


def _text(record: Mapping[str, Any], key: str) -> str:
    value = record.get(key)
    if not isinstance(value, str) or not value or _UNPRINTABLE.search(value):
        raise UserError(f'"{key}" is a text of one line, got {short(value)} in {short(record)}')
    return value
