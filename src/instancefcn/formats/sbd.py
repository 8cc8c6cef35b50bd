"""The Semantic Boundaries Dataset: VOC's images with more of them annotated."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from instancefcn.core.errors import UserError
from instancefcn.core.extras import extra
from instancefcn.core.rle import encode
from instancefcn.core.types import AnnotatedImage, Instance
from instancefcn.data.checks import check_items
from instancefcn.data.dataset import Problem
from instancefcn.data.splits import image_id, read_split
from instancefcn.formats.voc import VOC_CATEGORIES


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
            raise UserError(
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


def read_sbd(path: Path) -> tuple[NDArray[np.uint8], list[int]]:
    """Of an "inst" file: objects (H, W) uint8, 0 being background, and the class of each."""
    with extra("baselines"):
        from scipy.io import loadmat  # noqa: PLC0415
    try:
        instances: Any = loadmat(path, simplify_cells=True)["GTinst"]
        objects = np.atleast_2d(np.asarray(instances["Segmentation"], np.uint8))
        categories = np.atleast_1d(np.asarray(instances["Categories"], np.int64)).tolist()
    except Exception as error:  # loadmat raises nearly anything on a broken file.
        raise UserError(
            f"{path}: no SBD instances ({type(error).__name__}); expected a .mat file with "
            "GTinst.Segmentation and GTinst.Categories, download it again"
        ) from error
    return objects, categories
