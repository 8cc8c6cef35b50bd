"""The lines of YOLO's text files: a class and a polygon, in shares of the image's sides."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from reprlib import repr as short

from instancefcn.core.errors import UserError
from instancefcn.core.rle import polygons_to_rle
from instancefcn.core.types import Rle

MAX_BYTES = 64 << 20
"""The largest text file that is read."""

ROUNDING = 0.01
"""By how much a coordinate may leave 0 to 1."""


def read_lines(path: Path) -> list[str]:
    """The lines of a text file of at most ``MAX_BYTES``. Raises UserError, naming the file."""
    try:
        size = path.stat().st_size
        if size <= MAX_BYTES:
            return path.read_text(encoding="utf-8-sig").splitlines()
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror}); check the path") from error
    except ValueError as error:
        raise UserError(f"{path}: not a text in UTF-8; export it again") from error
    raise UserError(
        f"{path}: {size >> 20} MiB are more than {MAX_BYTES >> 20}; is this a label file?"
    )


def objects(path: Path, height: int, width: int) -> Iterator[tuple[int, Rle]]:
    """Class and mask of each line; masks may be empty. Raises UserError, naming file and line."""
    for number, line in enumerate(read_lines(path), 1):
        if not line.strip():
            continue
        try:
            category, polygon = parse(line)
            pixels = [v * (height if i % 2 else width) for i, v in enumerate(polygon)]
            mask = polygons_to_rle([pixels], height, width)
        except UserError as error:
            raise UserError(f"{path}: line {number}: {error}") from error
        yield category, mask


def parse(line: str) -> tuple[int, list[float]]:
    """The class and the polygon [x0, y0, x1, y1, ...] of a line, from 0 to 1."""
    first, *words = line.split()
    if len(words) == 4:
        raise UserError("a box, not an outline; export the data set for segmentation")
    if not first.isdecimal() or len(first) > 9:
        raise UserError(f"a line begins with the number of a class, got {short(first)}")
    if len(words) < 6 or len(words) % 2:
        raise UserError(
            f"{len(words)} numbers after the class; an outline has at least 3 points, x and y each"
        )
    try:
        polygon = [float(word) for word in words]
    except ValueError as error:
        raise UserError(f"{error}; an outline is x and y of its points") from error
    outside = [v for v in polygon if not -ROUNDING <= v <= 1 + ROUNDING]
    if outside:
        raise UserError(
            f"a coordinate is {outside[0]:g}; give shares of the image's width and height, 0 to 1"
        )
    return int(first), polygon
