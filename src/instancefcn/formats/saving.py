"""One image's proposals as one file, by its suffix; behind ``Proposals.save``.

x.json         a COCO data set of this image, masks as RLE
x.png          a 16-bit label map: each pixel's best mask, counted from 1
x.safetensors  everything, bit for bit; ``load_proposals`` reads it back
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from instancefcn.core.errors import UserError
from instancefcn.core.files import whole_file
from instancefcn.core.proposals import Proposals
from instancefcn.core.tensors import read_tensors, write_tensors
from instancefcn.formats.coco.writing import ImageMasks, data_set
from instancefcn.formats.label_pngs import label_map
from instancefcn.formats.png import write_png
from instancefcn.formats.prediction import Prediction, Source

TENSORS = ("scores", "windows", "logits", "level", "labels")
ANSWERS = "answers."
"""Before the names of further heads' answers."""


def save(proposals: Proposals, path: Path) -> None:
    """Write them whole or not at all. Raises UserError for another suffix."""
    if path.suffix == ".json":
        source = Source(path, 1, path.stem, path.stem)
        pixels = np.zeros((0, 0, 3), np.uint8)  # a COCO file holds none
        masks = ImageMasks.of(Prediction.of(source, pixels, proposals))
        with whole_file(path) as file, data_set(file) as add:
            add(source, masks)
    elif path.suffix == ".png":
        write_png(path, label_map(proposals))
    elif path.suffix == ".safetensors":
        described = {
            "height": proposals.height,
            "width": proposals.width,
            "categories": {str(key): name for key, name in proposals.categories.items()},
        }
        tensors = {name: getattr(proposals, name) for name in TENSORS}
        tensors |= {f"{ANSWERS}{name}": answer for name, answer in proposals.answers.items()}
        write_tensors(path, tensors, {"proposals": described})
    else:
        raise UserError(f"{path}: proposals are saved as .json, .png or .safetensors; give one")


def load_proposals(path: Path | str) -> Proposals:
    """The proposals that were saved as .safetensors. Raises UserError for any other file."""
    tensors, header = read_tensors(Path(path))
    described = header.get("proposals")
    named = {name for name in tensors if not name.startswith(ANSWERS)}
    if not isinstance(described, dict) or named != set(TENSORS):
        raise UserError(f"{path}: holds no proposals; give a file that Proposals.save wrote")
    answers = {k.removeprefix(ANSWERS): tensors.pop(k) for k in sorted(tensors.keys() - named)}
    return Proposals(
        tensors["scores"],
        tensors["windows"],
        tensors["logits"],
        tensors["level"],
        int(described["height"]),
        int(described["width"]),
        answers,
        {int(key): name for key, name in described["categories"].items()},
        tensors["labels"],
    )
