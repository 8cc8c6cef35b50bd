"""One image's proposals as one file, by its suffix; behind ``Proposals.save``.

x.json         a COCO data set of this image, masks as RLE
x.png          a 16-bit label map: each pixel's best mask, counted from 1
x.safetensors  everything, bit for bit; ``load_proposals`` reads it back
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from instancefcn.core.arrays import read_arrays, write_arrays
from instancefcn.core.errors import UserError
from instancefcn.core.files import whole_file
from instancefcn.core.proposals import Proposals
from instancefcn.core.types import is_name
from instancefcn.formats.coco.records import whole
from instancefcn.formats.coco.writing import data_set
from instancefcn.formats.label_pngs import label_map
from instancefcn.formats.png import write_png
from instancefcn.formats.prediction import ImageMasks, Prediction, Source

ARRAYS = ("scores", "windows", "logits", "level", "labels")
ANSWERS = "answers."
"""Before the names of further heads' answers."""


def save(proposals: Proposals, path: Path) -> None:
    """Write them whole or not at all. Raises UserError for another suffix."""
    if path.suffix == ".json":
        source = Source(path, 1, path.stem, path.stem)
        pixels = np.zeros((0, 0, 3), np.uint8)  # a COCO file holds none
        masks = ImageMasks.of(Prediction.of(source, pixels, proposals))
        with whole_file(path) as file, data_set(file, proposals.categories) as add:
            add(source, masks)
    elif path.suffix == ".png":
        write_png(path, label_map(proposals))
    elif path.suffix == ".safetensors":
        described = {
            "height": proposals.height,
            "width": proposals.width,
            "categories": {str(key): name for key, name in proposals.categories.items()},
        }
        arrays = {name: getattr(proposals, name) for name in ARRAYS}
        arrays |= {f"{ANSWERS}{name}": answer for name, answer in proposals.answers.items()}
        write_arrays(path, arrays, {"proposals": described})
    else:
        raise UserError(f"{path}: proposals are saved as .json, .png or .safetensors; give one")


def load_proposals(path: Path | str) -> Proposals:
    """The proposals that were saved as .safetensors. Raises UserError for any other file."""
    arrays, header = read_arrays(Path(path))
    named = {name for name in arrays if not name.startswith(ANSWERS)}
    found = _described(header.get("proposals")) if named == set(ARRAYS) else None
    if found is None or not _fit(arrays, found.categories):
        raise UserError(f"{path}: holds no proposals; give a file that Proposals.save wrote")
    answers = {k.removeprefix(ANSWERS): arrays.pop(k) for k in sorted(arrays.keys() - named)}
    return Proposals(
        arrays["scores"],
        arrays["windows"],
        arrays["logits"],
        arrays["level"],
        found.height,
        found.width,
        answers,
        found.categories,
        arrays["labels"],
    )


class _Described(NamedTuple):
    """What a file's header says."""

    height: int
    width: int
    categories: Mapping[int, str]


def _described(header: Any) -> _Described | None:
    """None if something is missing or makes no sense."""
    if not isinstance(header, dict):
        return None
    height, width, named = map(header.get, ("height", "width", "categories"))
    if not (type(height) is type(width) is int and min(height, width) > 0):
        return None
    if not (isinstance(named, dict) and named and all(map(is_name, named.values()))):
        return None
    ids = {key: whole(key) for key in named}
    categories = {number: named[key] for key, number in ids.items() if number is not None}
    return _Described(height, width, categories) if len(categories) == len(named) else None


def _fit(arrays: Mapping[str, NDArray[Any]], categories: Mapping[int, str]) -> bool:
    """Whether the arrays are those of as many proposals, each of one of the categories."""
    n, m = arrays["scores"].size, arrays["logits"].shape[-1:]
    shapes = {"scores": (n,), "windows": (n, 4), "logits": (n, *m, *m), "level": (n,)}
    kinds = {"level": np.int64, "labels": np.int64}
    alike = all(
        arrays[name].shape == shape and arrays[name].dtype == kinds.get(name, np.float32)
        for name, shape in {**shapes, "labels": (n,)}.items()
    )
    return alike and categories.keys() >= set(arrays["labels"].tolist())
