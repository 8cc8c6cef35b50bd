"""Label maps: PNGs whose pixels are numbers of objects. The non-overlapping form of proposals."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from instancefcn.core.errors import UserError
from instancefcn.core.proposals import CLASS_AGNOSTIC, Proposals
from instancefcn.core.rle import encode_labels
from instancefcn.core.types import AnnotatedImage, Instance, Rle
from instancefcn.data.checks import check_items
from instancefcn.data.dataset import Problem
from instancefcn.data.images import read_labels
from instancefcn.formats.format import Format, Lost, Writer
from instancefcn.formats.layouts import Pairs, beside, image_folder, pair_folders
from instancefcn.formats.png import write_png
from instancefcn.formats.prediction import Prediction, crop

MOST = 65_535
FOLDERS = ("labels", "masks")


class LabelPngDataset:
    """Images, and label maps of the same names: each value but 0 is one object, in one piece or
    more. 8 or 16-bit grey, or a palette's indices. Images without a label map are left out.

    root: a folder with images, and labels or masks; of a split images/SPLIT and labels/SPLIT, or
    SPLIT/images and SPLIT/labels. With ``images``, a folder elsewhere, the label maps may also
    lie in root itself.
    """

    categories: Mapping[int, str] = CLASS_AGNOSTIC

    def __init__(
        self, root: Path | str, split: str | None = None, images: Path | str | None = None
    ) -> None:
        self.root = Path(root)
        self.split = split
        self.images = None if images is None else Path(images)

    @property
    def name(self) -> str:
        return f"{self.root.name} {self.split or ''}".strip()

    def __len__(self) -> int:
        return len(self._pairs.labelled)

    def __getitem__(self, index: int) -> AnnotatedImage:
        image, path = self._pairs.labelled[index]
        labels = read_labels(path)
        instances = tuple(Instance(mask, 1) for mask in objects(labels).values())
        return AnnotatedImage(index + 1, image, labels.shape[0], labels.shape[1], instances)

    def problems(self, decode: bool = False) -> Iterator[Problem]:
        """See ``Dataset.problems``."""
        try:
            pairs = self._pairs
        except UserError as error:
            yield Problem("error", "unreadable data set", self.name, str(error))
            return
        yield from check_items(self, decode)
        yield from pairs.problems(str(self.root), "they are left out")

    @cached_property
    def _pairs(self) -> Pairs:
        images = self.images or image_folder(self.root, self.split)
        labels = label_folder(self.root, self.split, self.images)
        return pair_folders(images, labels, ".png")


def label_folder(root: Path, split: str | None, images: Path | None) -> Path:
    """Where the label maps lie, see ``LabelPngDataset``."""
    if images is None:
        found = [beside(image_folder(root, split), root, name) for name in FOLDERS]
    else:
        found = [root / name / (split or "") for name in FOLDERS]
    first = next((folder for folder in found if folder.is_dir()), None)
    if first is None and images is None:
        raise UserError(
            f"{root}: no folder {found[0].relative_to(root)} with label maps; give a folder with "
            "images and labels, or the label maps' own folder with --images"
        )
    return first or root / (split or "")


def objects(labels: NDArray[Any]) -> dict[int, Rle]:
    """The mask of each value but 0 of a label map (H, W), in the order of the values."""
    return {value: mask for value, mask in encode_labels(labels).items() if value}


def write_labels(folder: Path, prediction: Prediction) -> Lost:
    """Write an image's label map as a 16-bit PNG. Lost is what no pixel is left for, and what each
    mask is called: a pixel says which mask, not of which category.
    """
    proposals = prediction.proposals
    labels = label_map(proposals)
    write_png(WRITER.path(folder, prediction.source), labels)
    hidden = len(proposals) - np.count_nonzero(np.bincount(labels.ravel())[1:])
    named = 0 if proposals.categories == CLASS_AGNOSTIC else len(proposals)
    lost = {"masks that better ones cover": int(hidden), "names": named}
    return {what: number for what, number in lost.items() if number}


def label_map(proposals: Proposals) -> NDArray[np.uint16]:
    """(H, W) uint16: each pixel's best proposal, counted from 1 in the order of scores; 0 where
    there is none.

    A proposal that better ones cover wholly has no pixel. At most ``MOST`` are drawn, the best.
    """
    # Column by column, as masks are decoded: in the other order this takes eight times as long.
    labels = np.zeros((proposals.height, proposals.width), np.uint16, order="F")
    for index in reversed(range(min(len(proposals), MOST))):
        x, y, mask = crop(proposals, index)
        height, width = mask.shape
        labels[y : y + height, x : x + width][mask] = index + 1
    return np.ascontiguousarray(labels)


def _recognises(path: Path) -> bool:
    return any(path.glob("*.png")) or any(
        any(path.glob(f"{place}/*.png"))
        for name in FOLDERS
        for place in (name, f"{name}/*", f"*/{name}")
    )


def _open(path: Path, split: str | None, images: Path | None) -> LabelPngDataset:
    label_folder(path, split, images)  # it tells now what is missing
    return LabelPngDataset(path, split, images)


FORMAT = Format(
    "label PNGs", "a folder of label maps (images and labels/*.png)", _recognises, _open
)
WRITER = Writer(
    "png",
    "labels/*.png, 16-bit: each pixel's best mask, counted from 1; 0 is background",
    "labels",
    "{}.png",
    write_labels,
)
