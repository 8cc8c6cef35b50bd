"""labelme's files, to correct proposals by hand, as polygons or as masks.

Polygons have vertices to move; a mask in several parts is several polygons of one group_id, and
holes are lost. Masks (since labelme 5.4) keep every pixel, but labelme can only delete, move or
name them.
"""

from __future__ import annotations

import base64
import json
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

from instancefcn.core.files import whole_file
from instancefcn.core.proposals import Proposals
from instancefcn.formats.format import Lost, Writer
from instancefcn.formats.outlines import outlines
from instancefcn.formats.png import to_png
from instancefcn.formats.prediction import Prediction, crop, short_score

VERSION = "5.4.0"
FILE = "{}.json"

Shapes: TypeAlias = tuple[Sequence[dict[str, Any]], int]
"""The shapes of one proposal, and how many holes are lost."""


def write_polygons(folder: Path, prediction: Prediction) -> Lost:
    """Write an image's JSON file: a polygon a part, see ``outlines`` for its tolerance."""
    return _write(folder, prediction, polygons)


def write_masks(folder: Path, prediction: Prediction) -> Lost:
    """Write an image's JSON file: a mask a proposal, to the pixel."""
    return _write(folder, prediction, masks)


def polygons(proposals: Proposals, index: int) -> Shapes:
    """Those of more than one part have the group_id index + 1."""
    x, y, mask = crop(proposals, index)
    parts, holes = outlines(mask)
    group = index + 1 if len(parts) > 1 else None
    made = [
        {
            **_head(proposals, index),
            "points": (points + np.array((x, y))).tolist(),
            "group_id": group,
            "shape_type": "polygon",
        }
        for points in parts
    ]
    return made, holes


def masks(proposals: Proposals, index: int) -> Shapes:
    """A PNG of 0 and 1 that fills the box from its first to its last pixel, both in it."""
    x, y, mask = crop(proposals, index)
    rows, columns = (np.flatnonzero(mask.any(axis)) for axis in (1, 0))
    top, left, bottom, right = rows[0], columns[0], rows[-1], columns[-1]
    tight = mask[top : bottom + 1, left : right + 1].astype(np.uint8)
    made = {
        **_head(proposals, index),
        "points": [[int(x + left), int(y + top)], [int(x + right), int(y + bottom)]],
        "group_id": None,
        "shape_type": "mask",
        "mask": base64.b64encode(to_png(tight)).decode("ascii"),
    }
    return [made], 0


def _head(proposals: Proposals, index: int) -> dict[str, Any]:
    """The description is shown in labelme; the score is kept when labelme saves."""
    score = short_score(float(proposals.scores[index]))
    return {
        "label": proposals.names[index],
        "description": f"score {score:.3f}",
        "flags": {},
        "score": score,
    }


def _write(folder: Path, prediction: Prediction, make: Callable[[Proposals, int], Shapes]) -> Lost:
    """It finds the image by the path from its own folder, whose links are followed: that is how the
    system takes "..".
    """
    path, proposals = folder / FILE.format(prediction.source.stem), prediction.proposals
    made = [make(proposals, index) for index in range(len(proposals))]
    image = os.path.relpath(os.path.abspath(prediction.source.path), path.parent.resolve())
    content: dict[str, Any] = {
        "version": VERSION,
        "flags": {},
        "shapes": [shape for shapes, _ in made for shape in shapes],
        "imagePath": Path(image).as_posix(),
        "imageData": None,
        "imageHeight": proposals.height,
        "imageWidth": proposals.width,
    }
    with whole_file(path) as file:
        file.write(json.dumps(content, indent=1).encode("ascii"))
    lost = sum(holes for _, holes in made)
    return {"holes": lost} if lost else {}


POLYGONS = Writer(
    "labelme",
    "labelme/*.json, polygons to correct by hand; holes are lost",
    "labelme",
    FILE,
    write_polygons,
)
MASKS = Writer(
    "labelme-masks",
    "labelme-masks/*.json, every pixel kept; labelme 5.4 or later",
    "labelme-masks",
    FILE,
    write_masks,
)
