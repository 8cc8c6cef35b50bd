"""PASCAL VOC 2012 segmentation, and SBD: the same images with more of them annotated."""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.io import loadmat

from instancefcn.data.checks import check_items
from instancefcn.data.dataset import Problem
from instancefcn.data.images import read_labels
from instancefcn.rle import encode
from instancefcn.types import AnnotatedImage, Instance

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
            raise ValueError(
                f"{path}: {objects.shape[1]} x {objects.shape[0]} pixels, but the same image in "
                f"SegmentationClass has {classes.shape[1]} x {classes.shape[0]}; make them alike"
            )
        try:
            instances = objects_to_instances(objects, classes)
        except ValueError as error:
            raise ValueError(f"{path}: {error}") from error
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


class SbdDataset:
    """The Semantic Boundaries Dataset (Hariharan et al. 2011), which has no void pixels.

    root: the folder with img, inst and the splits, or the one that holds it as "dataset".
    split: a list of names in it, e.g. "train" or "val".
    """

    def __init__(self, root: Path | str, split: str) -> None:
        root = Path(root)
        self.root = root / "dataset" if (root / "dataset").is_dir() else root
        self.split = split
        self.categories: Mapping[int, str] = VOC_CATEGORIES

    @property
    def name(self) -> str:
        return f"SBD {self.split}"

    def __len__(self) -> int:
        return len(self._names)

    def __getitem__(self, index: int) -> AnnotatedImage:
        name = self._names[index]
        path = self.root / "inst" / f"{name}.mat"
        objects, categories = read_sbd(path)
        ids = [i for i in np.unique(objects).tolist() if i]
        if ids and ids[-1] > len(categories):
            raise ValueError(
                f"{path}: {len(categories)} categories for an object {ids[-1]}; download it again"
            )
        return AnnotatedImage(
            image_id=image_id(name),
            path=self.root / "img" / f"{name}.jpg",
            height=objects.shape[0],
            width=objects.shape[1],
            instances=tuple(Instance(encode(objects == i), categories[i - 1]) for i in ids),
        )

    def problems(self, decode: bool = False) -> Iterator[Problem]:
        """See ``Dataset.problems``."""
        return check_items(self, decode)

    @cached_property
    def _names(self) -> tuple[str, ...]:
        return read_split(self.root / f"{self.split}.txt")


def image_id(name: str) -> int:
    """A number for an image's name, the same in every split: 2007000033 for "2007_000033"."""
    digits = name.replace("_", "")
    return int(digits) if digits.isdecimal() else zlib.crc32(name.encode())


def read_split(path: Path) -> tuple[str, ...]:
    """The names a split lists, one a line. Raises ValueError if it cannot be read."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, ValueError):
        others = ", ".join(sorted(p.stem for p in path.parent.glob("*.txt"))) or "none"
        raise ValueError(f"{path}: no such split; splits found there: {others}") from None
    return tuple(line.split()[0] for line in lines if line.strip())


def objects_to_instances(
    objects: NDArray[np.uint8], classes: NDArray[np.uint8]
) -> tuple[Instance, ...]:
    """The instances of VOC's two maps (H, W), in the order of their values in ``objects``.

    Raises ValueError for an object none of whose pixels has a class.
    """
    instances = []
    for value in np.unique(objects[(objects != 0) & (objects != VOID)]).tolist():
        mask = objects == value
        votes = np.bincount(classes[mask], minlength=256)[1 : len(VOC_CATEGORIES) + 1]
        if not votes.any():
            raise ValueError(
                f"object {value} has no class in SegmentationClass; give its pixels one of "
                f"1..{len(VOC_CATEGORIES)}"
            )
        instances.append(Instance(encode(mask), int(votes.argmax()) + 1))
    return tuple(instances)


def read_sbd(path: Path) -> tuple[NDArray[np.uint8], list[int]]:
    """Of an "inst" file: objects (H, W) uint8, 0 being background, and the class of each."""
    try:
        instances: Any = loadmat(path, simplify_cells=True)["GTinst"]
        objects = np.atleast_2d(np.asarray(instances["Segmentation"], np.uint8))
        categories = np.atleast_1d(np.asarray(instances["Categories"], np.int64)).tolist()
    except Exception as error:  # loadmat raises nearly anything on a broken file.
        raise ValueError(
            f"{path}: no SBD instances ({type(error).__name__}); expected a .mat file with "
            "GTinst.Segmentation and GTinst.Categories, download it again"
        ) from error
    return objects, categories
