"""A path on a command line -> a data set, by what lies there."""

from __future__ import annotations

from pathlib import Path

from instancefcn.core.errors import UserError
from instancefcn.data.dataset import Dataset
from instancefcn.formats.coco import CocoDataset
from instancefcn.formats.sbd import SbdDataset
from instancefcn.formats.voc import VocDataset


def open_dataset(path: Path, split: str | None = None, images: Path | None = None) -> Dataset:
    """A COCO JSON with its ``images`` folder, or a VOC or SBD folder with its ``split``.

    A recipe names a data set by its class instead, and so reaches classes not known here.
    Raises ValueError where the path is none of these, or what it needs was not given.
    """
    if path.is_file():
        if images is None:
            raise UserError(f"{path}: a COCO file wants the folder of its images; give --images")
        return CocoDataset(path, images)
    for folder, dataset in (("ImageSets", VocDataset), ("inst", SbdDataset)):
        if (path / folder).is_dir() or (path / "dataset" / folder).is_dir():
            if split is None:
                raise UserError(f"{path}: which images of it? give --split, e.g. --split val")
            return dataset(path, split)
    raise UserError(
        f"{path}: no data set; give a COCO JSON file, a folder like VOCdevkit/VOC2012 with "
        "ImageSets, or SBD's folder with dataset/inst"
    )
