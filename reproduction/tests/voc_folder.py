"""A folder as ``make reproduce`` wants it, with next to nothing in it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from shapes import write_shapes

PLACES = ("data", "weights", "runs", "output")
"""What lies, or will lie, in the folder, as the command calls it."""


def write_voc(folder: Path) -> Path:
    """VOC with the splits fit and dev, of one image with four objects that touch: two cats and two
    dogs. Returns the folder.
    """
    write_shapes(folder, images=1)
    root = folder / "data" / "VOCdevkit" / "VOC2012"
    for name in ("JPEGImages", "SegmentationClass", "SegmentationObject", "ImageSets/Segmentation"):
        (root / name).mkdir(parents=True)
    with Image.open(folder / "1.png") as picture:
        picture.save(root / "JPEGImages" / "2007_000001.jpg")
        height, width = picture.height, picture.width
    labels = np.zeros((height, width), np.uint8)
    for number, (y, x) in enumerate([(5, 5), (5, 18), (18, 5), (18, 18)], start=1):
        labels[y : y + 12, x : x + 12] = number
    Image.fromarray(labels).save(root / "SegmentationObject" / "2007_000001.png")
    kinds = np.array([0, 8, 8, 12, 12], np.uint8)[labels]
    Image.fromarray(kinds).save(root / "SegmentationClass" / "2007_000001.png")
    for split in ("fit", "dev"):
        (root / "ImageSets" / "Segmentation" / f"{split}.txt").write_text("2007_000001\n")
    return folder
