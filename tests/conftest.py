"""A small sound COCO data set on disk, for tests to break."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from instancefcn.core.rle import encode, rle_to_coco
from instancefcn.formats.coco import CocoDataset

HEIGHT, WIDTH = 6, 8


def rectangle(x0: int, y0: int, x1: int, y1: int) -> np.ndarray[Any, np.dtype[np.bool_]]:
    mask = np.zeros((HEIGHT, WIDTH), np.bool_)
    mask[y0:y1, x0:x1] = True
    return mask


SOUND: dict[str, Any] = {
    "images": [
        {"id": 7, "file_name": "b.png", "height": HEIGHT, "width": WIDTH},
        {"id": 3, "file_name": "a.png", "height": HEIGHT, "width": WIDTH},
    ],
    "categories": [{"id": 1, "name": "cat"}, {"id": 18, "name": "dog"}],
    "annotations": [
        {
            "id": 1,
            "image_id": 3,
            "category_id": 1,
            "segmentation": [[1, 1, 5, 1, 5, 4, 1, 4]],
            "bbox": [1, 1, 4, 3],
        },
        {
            "id": 2,
            "image_id": 7,
            "category_id": 18,
            # Column by column: 2 columns and a row of background, 4 pixels, the rest.
            "segmentation": {"size": [HEIGHT, WIDTH], "counts": [13, 4, 31]},
            "bbox": [2, 1, 1, 4],
            "iscrowd": 1,
        },
        {
            "id": 3,
            "image_id": 7,
            "category_id": 1,
            "segmentation": rle_to_coco(encode(rectangle(4, 2, 8, 5))),
            "bbox": [4, 2, 4, 3],
            "iscrowd": 0,
        },
    ],
}


@pytest.fixture
def sound() -> dict[str, Any]:
    """A COCO data set without problems, to change at will."""
    return copy.deepcopy(SOUND)


@pytest.fixture
def coco(tmp_path: Path) -> Callable[[Any], CocoDataset]:
    """Writes a COCO file, and the two images of ``sound``, and opens them as a data set."""
    for name in ("a.png", "b.png"):
        Image.new("RGB", (WIDTH, HEIGHT)).save(tmp_path / name)

    def write(content: Any) -> CocoDataset:
        path = tmp_path / "instances.json"
        path.write_text(json.dumps(content))
        return CocoDataset(path, tmp_path)

    return write
