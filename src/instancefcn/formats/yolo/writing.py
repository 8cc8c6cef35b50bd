"""YOLO's segmentation format, to train other models on proposals.

A line is one polygon: the parts of a mask are joined by a line there and back, which encloses
nothing; holes are lost; so are scores, but the best comes first.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from instancefcn.core.files import whole_file
from instancefcn.core.proposals import Proposals
from instancefcn.formats.coco.writing import CATEGORY
from instancefcn.formats.format import Lost, Writer
from instancefcn.formats.outlines import joined, outlines
from instancefcn.formats.prediction import Prediction, crop

DATA = f"""\
# Lay the images into the folder images, beside labels; or read this with --images FOLDER.
train: images
val: images
names:
  0: {CATEGORY["name"]}
"""


def write_yolo(folder: Path, prediction: Prediction) -> Lost:
    """Write an image's text file, and data.yaml unless it is there."""
    proposals = prediction.proposals
    made = [line(proposals, index) for index in range(len(proposals))]
    with whole_file(WRITER.path(folder, prediction.source)) as file:
        file.write("".join(text for text, _ in made).encode("ascii"))
    if not (folder / "data.yaml").exists():
        with whole_file(folder / "data.yaml") as file:
            file.write(DATA.encode("ascii"))
    lost = sum(holes for _, holes in made)
    return {"holes": lost} if lost else {}


def line(proposals: Proposals, index: int) -> tuple[str, int]:
    """One proposal's line, and how many holes are lost."""
    x, y, mask = crop(proposals, index)
    parts, holes = outlines(mask)
    points = (joined(parts) + np.array((x, y))) / (proposals.width, proposals.height)
    return f"0 {' '.join(np.char.mod('%.7f', points).ravel())}\n", holes


WRITER = Writer(
    "yolo",
    "yolo/labels/*.txt and data.yaml, polygons; holes are lost",
    "yolo",
    "labels/{}.txt",
    write_yolo,
)
