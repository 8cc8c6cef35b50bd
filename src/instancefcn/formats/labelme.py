"""labelme's JSON, https://github.com/wkentaro/labelme, to correct proposals by hand.

Its "mask" shape (since version 5.4) is taken, not its polygons: those have no holes, and one
mask in two pieces would be two objects.
"""

from __future__ import annotations

import base64
import json
import os
from pathlib import Path
from typing import Any

import numpy as np

from instancefcn.core.files import whole_file
from instancefcn.core.proposals import Proposals
from instancefcn.formats.coco.writing import CATEGORY, short_score
from instancefcn.formats.png import to_png
from instancefcn.formats.prediction import Prediction, crop

VERSION = "5.4.0"


def write_labelme(folder: Path, prediction: Prediction) -> None:
    """Write an image's JSON file. It finds the image by the path from its own folder."""
    path = folder / f"{prediction.source.stem}.json"
    proposals = prediction.proposals
    content: dict[str, Any] = {
        "version": VERSION,
        "flags": {},
        "shapes": [shape(proposals, index) for index in range(len(proposals))],
        "imagePath": Path(os.path.relpath(prediction.source.path, path.parent)).as_posix(),
        "imageData": None,
        "imageHeight": proposals.height,
        "imageWidth": proposals.width,
    }
    with whole_file(path) as file:
        file.write(json.dumps(content, indent=1).encode("ascii"))


def shape(proposals: Proposals, index: int) -> dict[str, Any]:
    """One mask: a PNG of 0 and 1 that fills the box from its first to its last pixel, both in it.

    labelme shows the description, and keeps the score when it saves.
    """
    x, y, mask = crop(proposals, index)
    rows, columns = (np.flatnonzero(mask.any(axis)) for axis in (1, 0))
    top, left, bottom, right = rows[0], columns[0], rows[-1], columns[-1]
    tight = mask[top : bottom + 1, left : right + 1].astype(np.uint8)
    score = short_score(float(proposals.scores[index]))
    return {
        "label": CATEGORY["name"],
        "points": [[int(x + left), int(y + top)], [int(x + right), int(y + bottom)]],
        "group_id": None,
        "description": f"score {score:.3f}",
        "shape_type": "mask",
        "flags": {},
        "mask": base64.b64encode(to_png(tight)).decode("ascii"),
        "score": score,
    }
