"""YOLO's segmentation format, to train other models on proposals.

A line is one polygon: the parts of a mask are joined by a line there and back, which encloses
nothing; holes are lost; so are scores, but the best comes first. Classes are counted from 0, in
the order of the categories' ids.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path

import numpy as np
import yaml

from instancefcn.core.errors import UserError
from instancefcn.core.files import whole_file, writing
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


def make_room(
    folder: Path, categories: Mapping[int, str], replaced: Collection[Path] | None
) -> None:
    """See ``Writer.before``: a data.yaml of ours that names other classes goes, and with it all
    files that count by it. None of them may stay.
    """
    path = folder / "data.yaml"
    if not path.exists() or _fits(path, categories):
        return
    if not _is_own(path):
        raise _unfit(path, "move it away")
    if replaced is None:
        raise _unfit(path, "--overwrite to replace it")
    counted = sorted((folder / "labels").rglob("*.txt"))
    others = [file for file in counted if file not in replaced]
    if others:
        raise UserError(
            f"{others[0]}: counts classes by {path}, which is to be replaced; name its image too, "
            "give another --output, or move it away"
        )
    with writing(folder):
        for file in (*counted, path):
            file.unlink()


def _write_names(path: Path, categories: Mapping[int, str]) -> None:
    if not path.exists():
        with whole_file(path) as file:
            file.write(_text(_names(categories)).encode())
    elif not _fits(path, categories):
        raise _unfit(path, "move it away")


def _names(categories: Mapping[int, str]) -> dict[int, str]:
    return dict(enumerate(categories[category] for category in sorted(categories)))


def _text(names: Mapping[int, str]) -> str:
    return DATA + yaml.safe_dump({"names": names}, allow_unicode=True)


def _fits(path: Path, categories: Mapping[int, str]) -> bool:
    """Whether data.yaml names these classes. What nobody labelled may be called anything."""
    there, names = _there(path), _names(categories)
    return there == names or (categories == CLASS_AGNOSTIC and there.keys() == names.keys())


def _is_own(path: Path) -> bool:
    """Whether data.yaml is as we write it, whatever the names."""
    return path.read_text("utf-8") == _text(_there(path))


def _there(path: Path) -> dict[int, str]:
    return names_of(read_yaml(path).get("names"), str(path))


def _unfit(path: Path, way: str) -> UserError:
    words = "its names are not those of the proposals' classes"
    return UserError(f"{path}: {words}; give another --output, or {way}")


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
    make_room,
)
