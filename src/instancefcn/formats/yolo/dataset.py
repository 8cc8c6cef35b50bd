"""Data sets in YOLO's segmentation format."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

from instancefcn.core.errors import UserError
from instancefcn.core.rle import mask_area
from instancefcn.core.types import AnnotatedImage, Instance
from instancefcn.data.checks import check_items
from instancefcn.data.dataset import Problem
from instancefcn.data.images import image_size
from instancefcn.formats.format import Format
from instancefcn.formats.layouts import (
    Pairs,
    beside,
    choose,
    files_below,
    image_folder,
    pair,
    pair_folders,
)
from instancefcn.formats.yolo.lines import objects, parse, read_lines
from instancefcn.formats.yolo.yamls import (
    found_beside,
    images_of,
    names_of,
    read_yaml,
    splits_of,
)

NAMES = ("data.yaml", "data.yml", "dataset.yaml", "dataset.yml")
NO_LABELS = ("classes.txt", "data.yaml", "train.txt", "val.txt", "test.txt", "README.txt")


class YoloDataset:
    """Images, and text files of the same names with a polygon a line. An image without a text
    file has no objects, as YOLO takes it. What covers no pixel is left out.

    root: a folder with data.yaml, or with images and labels; or the YAML file itself. What it
    names is looked for in its own folder, under the whole path or its end, and nowhere else.
    split: train, val or test of data.yaml, or a folder in images and labels. images: the folder
    of the images, where they lie elsewhere.
    """

    def __init__(
        self, root: Path | str, split: str | None = None, images: Path | str | None = None
    ) -> None:
        path = Path(root)
        is_yaml = path.suffix.lower() in (".yaml", ".yml")
        self.root = path.parent if is_yaml else path
        self.split = split
        self.images = None if images is None else Path(images)
        self._given = path if is_yaml else None

    @property
    def name(self) -> str:
        return f"{self.root.name} {self.split or ''}".strip()

    @cached_property
    def categories(self) -> Mapping[int, str]:
        """Of data.yaml or classes.txt, or "class 0" and so on of the classes there are."""
        if self._content and "names" in self._content:
            return names_of(self._content["names"], str(self._file))
        listed = self.root / "classes.txt"
        if listed.is_file():
            return dict(enumerate(filter(None, map(str.strip, read_lines(listed)))))
        return {number: f"class {number}" for number in sorted(self._classes())}

    def __len__(self) -> int:
        return len(self._pairs.images)

    def __getitem__(self, index: int) -> AnnotatedImage:
        image, labels = self._pairs.images[index]
        height, width = image_size(image)
        found = objects(labels, height, width) if labels else ()
        instances = tuple(Instance(mask, number) for number, mask in found if mask_area(mask))
        return AnnotatedImage(index + 1, image, height, width, instances)

    def problems(self, decode: bool = False) -> Iterator[Problem]:
        """See ``Dataset.problems``."""
        try:
            pairs, _ = self._pairs, self.categories
        except UserError as error:
            yield Problem("error", "unreadable data set", self.name, str(error))
            return
        yield from check_items(self, decode)
        yield from pairs.problems(str(self.root), "they count as images without objects")

    def _classes(self) -> set[int]:
        found = set()
        for _, labels in self._pairs.labelled:
            try:
                found |= {parse(line)[0] for line in read_lines(labels) if line.strip()}
            except UserError:  # The item will say what is wrong.
                continue
        return found

    @cached_property
    def _file(self) -> Path | None:
        found = (self.root / name for name in NAMES)
        return self._given or next((path for path in found if path.is_file()), None)

    @cached_property
    def _content(self) -> Mapping[str, Any] | None:
        return read_yaml(self._file) if self._file else None

    @cached_property
    def _pairs(self) -> Pairs:
        if self.images:
            labels = self.root / "labels" if (self.root / "labels").is_dir() else self.root
            return pair_folders(self.images, labels / (self.split or ""), ".txt")
        found = self.entries()
        images = [image for entry in found for image in images_of(entry, self.root)]
        folders = {beside(entry, self.root, "labels") for entry in found if entry.is_dir()}
        every = [path for folder in sorted(folders) for path in files_below(folder, (".txt",))]
        return pair(
            images,
            lambda image: beside(image.parent, self.root, "labels") / image.name,
            ".txt",
            [path for path in every if path.name not in NO_LABELS],
        )

    def entries(self) -> list[Path]:
        """The folders of the images, or files that list them. Raises UserError if it takes more to
        tell, or if they are not there.
        """
        splits = splits_of(self._content or {})
        if not self._file or not splits:
            return [image_folder(self.root, self.split)]
        same = all(value == next(iter(splits.values())) for value in splits.values())
        split = next(iter(splits)) if same and self.split is None else self.split
        return found_beside(choose(self.root, splits, split), self._file)


def _recognises(path: Path) -> bool:
    if path.is_file():
        return path.suffix.lower() in (".yaml", ".yml")
    if any((path / name).is_file() for name in NAMES):
        return True
    return any(any(path.glob(p)) for p in ("labels/*.txt", "labels/*/*.txt", "*/labels/*.txt"))


def _open(path: Path, split: str | None, images: Path | None) -> YoloDataset:
    dataset = YoloDataset(path, split, images)
    if images is None:
        dataset.entries()  # what is missing is told now
    return dataset


FORMAT = Format("YOLO", "a YOLO folder (data.yaml, or images and labels)", _recognises, _open)
