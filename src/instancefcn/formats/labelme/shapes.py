"""labelme's shapes, read with care: each becomes a mask of the whole image.

Coordinates are continuous, pixel i spans [i, i + 1), as labelme's window shows them; a pixel is
inside if its centre is. Each function raises UserError in one line for what cannot be used.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from math import cos, dist, pi, sin
from reprlib import repr as short
from typing import Any, TypeAlias

import numpy as np

from instancefcn.core.errors import UserError
from instancefcn.core.rle import encode, polygons_to_rle
from instancefcn.core.types import Rle, is_name
from instancefcn.formats.png import from_png

POLYGONS = ("polygon", "oriented_rectangle", "rotation")
AREAS = (*POLYGONS, "rectangle", "circle", "mask")
"""The shapes that are areas. Points and lines are none, and are left out."""

CORNERS = 90
"""A circle is read as a polygon of so many corners."""

Points: TypeAlias = list[tuple[float, float]]


def shape_type(record: Any) -> str:
    """Of a shape; polygon where nothing is said, as before labelme 3."""
    if not isinstance(record, dict):
        raise UserError(f"a shape is a JSON object, got {short(record)}")
    kind = record.get("shape_type") or "polygon"
    if not isinstance(kind, str):
        raise UserError(f'"shape_type" is a text, got {short(kind)}')
    return kind


def label(record: Mapping[str, Any]) -> str:
    name = record.get("label")
    if not is_name(name):
        raise UserError(f'"label" is a text of one line, got {short(name)}')
    return name


def group(record: Mapping[str, Any]) -> int | None:
    """Shapes of one label and group are the parts of one object."""
    number = record.get("group_id")
    if number is not None and type(number) is not int:
        raise UserError(f'"group_id" is an integer or null, got {short(number)}')
    return number


def to_mask(record: Mapping[str, Any], height: int, width: int) -> Rle:
    """The mask of a shape that is an area, on an image of this size; it may be empty."""
    kind = shape_type(record)
    points = _points(record, height, width)
    if kind == "mask":
        return _pasted(record, points, height, width)
    if kind == "circle":
        points = _circle(points)
    if kind == "rectangle":
        points = _rectangle(points)
    if len(points) < 3:
        raise UserError(f"a {kind} of {len(points)} points encloses nothing; draw it again")
    return polygons_to_rle([[v for point in points for v in point]], height, width)


def _points(record: Mapping[str, Any], height: int, width: int) -> Points:
    points, reach = record.get("points"), 2 * max(height, width)
    if not isinstance(points, list):
        raise UserError(f'"points" is a list of [x, y], got {short(points)}')
    for point in points:
        numbers = isinstance(point, list) and all(type(v) in (int, float) for v in point)
        if not numbers or len(point) != 2:
            raise UserError(f"a point is [x, y] in pixels, got {short(point)}")
        if not all(abs(v) <= reach for v in point):
            raise UserError(
                f"a point is {short(point)} on an image of {width} x {height}; draw it at the "
                "image's own size"
            )
    return [(x, y) for x, y in points]


def _circle(points: Points) -> Points:
    """Of its centre and a point on it."""
    if len(points) != 2:
        raise UserError(f"a circle has 2 points, its centre and one on it, got {len(points)}")
    (x, y), radius = points[0], dist(*points)
    angles = [2 * pi * i / CORNERS for i in range(CORNERS)]
    return [(x + radius * cos(a), y + radius * sin(a)) for a in angles]


def _rectangle(points: Points) -> Points:
    """Of two opposite corners, or of all four."""
    if len(points) not in (2, 4):
        raise UserError(f"a rectangle has 2 opposite corners, got {len(points)} points")
    (x0, y0), (x1, y1) = map(min, zip(*points, strict=True)), map(max, zip(*points, strict=True))
    return [(x0, y0), (x1, y0), (x1, y1), (x0, y1)]


def _pasted(record: Mapping[str, Any], points: Points, height: int, width: int) -> Rle:
    """A PNG that fills the box from its first to its last pixel, both in it."""
    if len(points) != 2:
        raise UserError(f"a mask has 2 points, its first and last pixel, got {len(points)}")
    (x0, y0), (x1, y1) = ((int(x), int(y)) for x, y in points)
    if not (0 <= x0 <= x1 < width and 0 <= y0 <= y1 < height):
        raise UserError(
            f"a mask's box is {x0}, {y0} to {x1}, {y1} on an image of {width} x {height}; "
            "draw it at the image's own size"
        )
    text = record.get("mask")
    if not isinstance(text, str):
        raise UserError(f'"mask" is a PNG in base64, got {short(text)}')
    try:
        content = base64.b64decode(text, validate=True)
    except ValueError as error:
        raise UserError(f'"mask" is a PNG in base64 ({error}), got {short(text)}') from error
    mask = np.zeros((height, width), np.bool_)
    mask[y0 : y1 + 1, x0 : x1 + 1] = from_png(content, y1 - y0 + 1, x1 - x0 + 1) > 0
    return encode(mask)
