"""COCO's instance format: the records of its JSON, read with care.

https://cocodataset.org/#format-data. Each function raises UserError in one line for a record
that cannot be used, so that reading a data set and checking it are the same.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from os.path import isfile
from pathlib import Path
from reprlib import repr as short
from typing import Any

from instancefcn.core.errors import UserError
from instancefcn.core.rle import polygons_to_rle, rle_from_coco
from instancefcn.core.types import Rle, is_name
from instancefcn.data.image_files import MAX_PIXELS


@dataclass(frozen=True, slots=True)
class ImageEntry:
    """What the format says of an image."""

    image_id: int
    file_name: str
    height: int
    width: int


@dataclass(frozen=True, slots=True)
class Annotation:
    """What the format says of an object, its mask still as it stands there."""

    annotation_id: int
    image_id: int
    category: int
    crowd: bool
    segmentation: Any
    bbox: Any


LISTS = ("images", "annotations", "categories")
"""What a data set has."""


def to_image(record: Any) -> ImageEntry:
    """Of a record of "images". Raises UserError if anything needed is missing or of no use."""
    _require_record(record, "image")
    image = ImageEntry(
        _integer(record, "id"),
        _file_name(record),
        _integer(record, "height"),
        _integer(record, "width"),
    )
    if min(image.height, image.width) < 1 or image.height * image.width > MAX_PIXELS:
        raise UserError(
            f"an image has 1 to {MAX_PIXELS} pixels, this one {image.width} x {image.height} in "
            f"{short(record)}; give its own width and height"
        )
    return image


def to_annotation(record: Any) -> Annotation:
    """Of a record of "annotations". Raises UserError if anything needed is missing."""
    _require_record(record, "annotation")
    crowd = record.get("iscrowd")
    if crowd not in (0, 1, None):
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
    """Id and name of a record of "categories". Raises UserError if it has not both."""
    _require_record(record, "category")
    return _integer(record, "id"), _category_name(record)


PARSERS: Mapping[str, Callable[[Any], Any]] = {
    "images": to_image,
    "annotations": to_annotation,
    "categories": to_category,
}
"""What reads an entry of each list."""


def image_path(folder: Path, file_name: str, outside: bool) -> Path:
    """The file of an image's name. Windows' separators count as such where the name with them is
    no file; of a name from another computer, the part after the last one.

    Raises UserError if it leaves the folder, unless it may lie ``outside``.
    """
    if "\\" in file_name and not isfile(folder / file_name):
        parts = file_name.replace("\\", "/")
        inside = _within(folder, parts) and isfile(folder / parts)
        file_name = parts if inside else parts.rpartition("/")[2]
    if not outside and not _within(folder, file_name):
        raise UserError(
            f"the file_name {short(file_name)} leaves the image folder {folder}; give the folder "
            "that holds all images, or CocoDataset(..., outside=True)"
        )
    return folder / file_name


def _within(folder: Path, name: str) -> bool:
    """By its text alone: a link inside the folder is the user's own."""
    root = os.path.join(os.path.abspath(folder), "")
    return os.path.abspath(os.path.join(root, name)).startswith(root)


def has_mask(segmentation: Any) -> bool:
    """Whether anything was drawn: not where there is a box only, or lone points and lines."""
    if isinstance(segmentation, list):
        return not all(map(_covers_nothing, segmentation))
    return segmentation is not None


def _covers_nothing(polygon: Any) -> bool:
    return isinstance(polygon, list) and len(polygon) in (0, 2, 4) and _are_numbers(polygon)


def _are_numbers(values: list[Any]) -> bool:
    return set(map(type, values)) <= {int, float}


def to_rle(segmentation: Any, height: int, width: int) -> Rle:
    """The mask of an annotation: polygons, or an RLE of the image's size. Of polygons with fewer
    than three points, which cover nothing, it takes no notice.

    Raises UserError for anything else, and for polygons that stray further from the image than
    it is large: they belong to another one.
    """
    if isinstance(segmentation, dict):
        size = segmentation.get("size")
        if size != [height, width]:
            raise UserError(
                f"the RLE's size [height, width] is {short(size)}, the image's "
                f"[{height}, {width}]; draw the mask at the image's own size"
            )
        return rle_from_coco({**segmentation, "size": [height, width]})
    if not isinstance(segmentation, list) or not has_mask(segmentation):
        raise UserError(
            f"no mask, got {short(segmentation)}; draw the object's outline or take it out"
        )
    if len(segmentation) > 1 and _are_numbers(segmentation):
        raise UserError(
            f"the outline is one flat list of numbers, {short(segmentation)}; write a list of "
            "outlines, [[x0, y0, x1, y1, ...]]"
        )
    polygons = [polygon for polygon in segmentation if not _covers_nothing(polygon)]
    for polygon in polygons:
        _require_near(polygon, height, width)
    return polygons_to_rle(polygons, height, width)


def _require_near(polygon: Any, height: int, width: int) -> None:
    if not (isinstance(polygon, list) and polygon and _are_numbers(polygon)):
        raise UserError(
            "a segmentation is a list of polygons [x0, y0, x1, y1, ...], got "
            f"{short(polygon)} in it; export the outline again"
        )
    reach = 2 * max(height, width)
    if max(polygon) > reach or min(polygon) < -reach:
        raise UserError(
            f"a polygon's coordinate is {short(max(polygon, key=abs))} on an image of "
            f"{width} x {height}; draw it at the image's own size"
        )


def _require_record(record: Any, what: str) -> None:
    if not isinstance(record, dict):
        raise UserError(f"an {what} entry is a JSON object, got {short(record)}; take it out")


def whole(value: Any) -> int | None:
    """The integer that a value stands for: 7, 7.0, as of a column with gaps, or "7", not "007"."""
    if type(value) is float and value.is_integer():
        return int(value) if abs(value) < 1 << 53 else None
    if isinstance(value, str) and re.fullmatch("0|-?[1-9][0-9]{0,17}", value):
        return int(value)
    return value if type(value) is int and abs(value) < 1 << 63 else None


def _integer(record: Mapping[str, Any], key: str) -> int:
    value = record.get(key)
    if type(value) is int and abs(value) < 1 << 63:
        return value
    number = whole(value)
    if number is None:
        raise UserError(
            f'"{key}" is an integer of 64 bits, got {short(value)} in {short(record)}; {_WAY[key]}'
        )
    return number


_WAY = {
    "id": "number the entries",
    "image_id": 'give the "id" of its image',
    "category_id": 'if there is one kind of object, list one category and give its "id"',
    "height": "give the image's height in pixels",
    "width": "give the image's width in pixels",
}


def _file_name(record: Mapping[str, Any]) -> str:
    name = record.get("file_name")
    if not isinstance(name, str) or not name or "\0" in name:
        raise UserError(
            f'"file_name" is the path of the image in its folder, got {short(name)} in '
            f"{short(record)}; name the file"
        )
    return name


def _category_name(record: Mapping[str, Any]) -> str:
    name = record.get("name")
    if not is_name(name):
        raise UserError(
            f'"name" is a text of one line, got {short(name)} in {short(record)}; name the category'
        )
    return name
