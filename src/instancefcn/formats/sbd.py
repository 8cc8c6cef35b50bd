"""The Semantic Boundaries Dataset: VOC's images with more of them annotated."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from instancefcn.core.errors import UserError
from instancefcn.core.limits import limit
from instancefcn.core.rle import encode_labels
from instancefcn.core.types import AnnotatedImage, Instance
from instancefcn.data.checks import check_items
from instancefcn.data.dataset import Problem
from instancefcn.data.splits import image_id, read_split
from instancefcn.formats.format import Format
from instancefcn.formats.layouts import choose
from instancefcn.formats.matlab import read_struct
from instancefcn.formats.voc import VOC_CATEGORIES

MAX_SBD_BYTES = limit("MAX_SBD_BYTES", 16 << 20)
"""Of a .mat file, and of what is unpacked from it. SBD's own have 20 kB, and 1 MB unpacked."""


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
        last = int(objects.max())
        if last > len(categories):
            raise UserError(
                f"{path}: {len(categories)} categories for an object {last}; download it again"
            )
        masks = encode_labels(objects)
        return AnnotatedImage(
            image_id=image_id(name),
            path=self.root / "img" / f"{name}.jpg",
            height=objects.shape[0],
            width=objects.shape[1],
            instances=tuple(Instance(mask, categories[i - 1]) for i, mask in masks.items() if i),
        )

    def problems(self, decode: bool = False) -> Iterator[Problem]:
        """See ``Dataset.problems``."""
        return check_items(self, decode)

    @cached_property
    def _names(self) -> tuple[str, ...]:
        return read_split(self.root / f"{self.split}.txt")


def read_sbd(path: Path) -> tuple[NDArray[np.int64], list[int]]:
    """Of an "inst" file: objects (H, W) int64, 0 being background, and the class of each."""
    try:
        with path.open("rb") as file:
            content = file.read(MAX_SBD_BYTES + 1)
        if len(content) > MAX_SBD_BYTES:
            raise UserError(f"more than {MAX_SBD_BYTES} bytes, raise INSTANCEFCN_MAX_SBD_BYTES")
        fields = read_struct(content, "GTinst", MAX_SBD_BYTES)
        if not {"Segmentation", "Categories"} <= set(fields):
            raise UserError(f"the fields {sorted(fields)}")
        objects, categories = _whole(fields["Segmentation"]), _whole(fields["Categories"])
        if objects.ndim != 2 or not objects.size:
            raise UserError(f"a Segmentation of shape {objects.shape}")
    except (UserError, OSError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise UserError(
            f"{path}: no SBD instances ({reason}); expected a .mat file with "
            "GTinst.Segmentation (rows, columns) and GTinst.Categories, download it again"
        ) from error
    return objects, categories.ravel().tolist()


def _whole(numbers: NDArray[Any]) -> NDArray[np.int64]:
    """Raises UserError for what is no number of an object or a class."""
    if numbers.size and not ((numbers >= 0) & (numbers < 2**31)).all():
        raise UserError("numbers below 0 or beyond 2147483647")
    return numbers.astype(np.int64)


def _recognises(path: Path) -> bool:
    return any((folder / "inst").is_dir() for folder in (path, path / "dataset"))


def _open(path: Path, split: str | None, images: Path | None) -> SbdDataset:
    if images is not None:
        raise UserError(f"{path}: images of SBD lie in its img; leave --images out")
    lists = sorted(SbdDataset(path, "").root.glob("*.txt"))
    return SbdDataset(path, choose(path, {p.stem: p.stem for p in lists}, split))


FORMAT = Format("SBD", "an SBD folder (dataset/inst)", _recognises, _open)
