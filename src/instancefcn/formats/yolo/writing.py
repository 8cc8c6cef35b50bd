"""YOLO's segmentation format, to train other models on proposals.

A line is one polygon: the parts of a mask are joined by a line there and back, which encloses
nothing; holes are lost; so are scores, but the best comes first. Classes are counted from 0, in
the order of the categories' ids.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import yaml

from instancefcn.core.errors import UserError
from instancefcn.core.files import whole_file
from instancefcn.core.proposals import CLASS_AGNOSTIC, Proposals
from instancefcn.formats.format import Lost, Writer
from instancefcn.formats.outlines import joined, outlines
from instancefcn.formats.prediction import Prediction, crop
from instancefcn.formats.yolo.yamls import names_of, read_yaml

DATA = """\
# Lay the images into the folder images, beside labels; or read this with --images FOLDER.
train: images
val: images
"""


def write_yolo(folder: Path, prediction: Prediction) -> Lost:
    """Write an image's text file, and data.yaml unless it is there.

    Raises UserError if it is there and numbers other classes: the lines would say something false.
    """
    proposals = prediction.proposals
    _write_names(folder / "data.yaml", proposals.categories)
    made = [line(proposals, index) for index in range(len(proposals))]
    with whole_file(WRITER.path(folder, prediction.source)) as file:
        file.write("".join(text for text, _ in made).encode("ascii"))
    lost = sum(holes for _, holes in made)
    return {"holes": lost} if lost else {}


def _write_names(path: Path, categories: Mapping[int, str]) -> None:
    names = dict(enumerate(categories[category] for category in sorted(categories)))
    if not path.exists():
        with whole_file(path) as file:
            text = DATA + yaml.safe_dump({"names": names}, allow_unicode=True)
            file.write(text.encode())
        return
    there = names_of(read_yaml(path).get("names"), str(path))
    renamed = categories == CLASS_AGNOSTIC and there.keys() == names.keys()
    if there != names and not renamed:
        raise UserError(
            f"{path}: its names are not those of the proposals' classes; give another --output, or "
            "move it away"
        )


def line(proposals: Proposals, index: int) -> tuple[str, int]:
    """One proposal's line, and how many holes are lost."""
    x, y, mask = crop(proposals, index)
    parts, holes = outlines(mask)
    points = (joined(parts) + np.array((x, y))) / (proposals.width, proposals.height)
    number = sorted(proposals.categories).index(int(proposals.labels[index]))
    return f"{number} {' '.join(np.char.mod('%.7f', points).ravel())}\n", holes


WRITER = Writer(
    "yolo",
    "yolo/labels/*.txt and data.yaml, polygons; holes are lost",
    "yolo",
    "labels/{}.txt",
    write_yolo,
)
