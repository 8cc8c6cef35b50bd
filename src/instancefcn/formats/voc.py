"""PASCAL VOC 2012 segmentation: two label maps an image, of objects and of classes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from instancefcn.core.errors import UserError
from instancefcn.core.rle import encode
from instancefcn.core.types import AnnotatedImage, Instance
from instancefcn.data.checks import check_items
from instancefcn.data.dataset import Problem
from instancefcn.data.images import read_labels
from instancefcn.data.splits import image_id, read_split
from instancefcn.formats.format import Format
from instancefcn.formats.layouts import choose

VOC_CATEGORIES = dict(
    enumerate(
        (
            *("aeroplane", "bicycle", "bird", "boat", "bottle", "bus", "car", "cat", "chair"),
            *("cow", "diningtable", "dog", "horse", "motorbike", "person", "pottedplant"),
            *("sheep", "sofa", "train", "tvmonitor"),
        ),
        start=1,
    )
)
VOID = 255


class VocDataset:
    """VOC 2012 segmentation (Everingham et al. 2010), or a folder in its layout.

    An object is the pixels of one value of its SegmentationObject PNG, 0 being background and
    255 void; its class is the one most of these pixels have in SegmentationClass.

    root: the folder with JPEGImages, SegmentationClass, SegmentationObject and ImageSets.
    split: a list of names in ImageSets/Segmentation, e.g. "train".
    """

    def __init__(self, root: Path | str, split: str) -> None:
        self.root = Path(root)
        self.split = split
        self.categories: Mapping[int, str] = VOC_CATEGORIES

    @property
    def name(self) -> str:
        return f"{self.root.name} {self.split}"

    def __len__(self) -> int:
        return len(self._names)

    def __getitem__(self, index: int) -> AnnotatedImage:
        name = self._names[index]
        path = self.root / "SegmentationObject" / f"{name}.png"
        objects = read_labels(path)
        classes = read_labels(self.root / "SegmentationClass" / f"{name}.png")
        if objects.shape != classes.shape:
            raise UserError(
                f"{path}: {objects.shape[1]} x {objects.shape[0]} pixels, but the same image in "
                f"SegmentationClass has {classes.shape[1]} x {classes.shape[0]}; make them alike"
            )
        try:
            instances = objects_to_instances(objects, classes)
        except UserError as error:
            raise UserError(f"{path}: {error}") from error
        return AnnotatedImage(
            image_id=image_id(name),
            path=self.root / "JPEGImages" / f"{name}.jpg",
            height=objects.shape[0],
            width=objects.shape[1],
            instances=instances,
            void=encode(objects == VOID),
        )

    def problems(self, decode: bool = False) -> Iterator[Problem]:
        """See ``Dataset.problems``."""
        return check_items(self, decode)

    @cached_property
    def _names(self) -> tuple[str, ...]:
        return read_split(self.root / "ImageSets" / "Segmentation" / f"{self.split}.txt")


def objects_to_instances(
    objects: NDArray[np.integer[Any]], classes: NDArray[np.integer[Any]]
) -> tuple[Instance, ...]:
    """The instances of VOC's two maps (H, W), in the order of their values in ``objects``.

    Raises UserError for an object none of whose pixels has a class.
    """
    instances = []
    for value in np.unique(objects[(objects != 0) & (objects != VOID)]).tolist():
        mask = objects == value
        votes = np.bincount(classes[mask], minlength=256)[1 : len(VOC_CATEGORIES) + 1]
        if not votes.any():
            raise UserError(
                f"object {value} has no class in SegmentationClass; give its pixels one of "
                f"1..{len(VOC_CATEGORIES)}"
            )
        instances.append(Instance(encode(mask), int(votes.argmax()) + 1))
    return tuple(instances)


def _root(path: Path) -> Path:
    """Of VOCdevkit the folder of its year."""
    return path / "VOC2012" if (path / "VOC2012" / "ImageSets").is_dir() else path


def _recognises(path: Path) -> bool:
    return (_root(path) / "ImageSets").is_dir()


def _open(path: Path, split: str | None, images: Path | None) -> VocDataset:
    if images is not None:
        raise UserError(f"{path}: images of VOC lie in its JPEGImages; leave --images out")
    root = _root(path)
    lists = sorted((root / "ImageSets" / "Segmentation").glob("*.txt"))
    return VocDataset(root, choose(path, {p.stem: p.stem for p in lists}, split))


FORMAT = Format("VOC", "a VOC folder (VOCdevkit/VOC2012)", _recognises, _open)
