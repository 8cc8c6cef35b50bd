"""Data sets in YOLO's segmentation format."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from reprlib import repr as short
from typing import Any

import yaml

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
    image_folder,
    images_below,
    inside,
    pair,
)
from instancefcn.formats.yolo.lines import MAX_BYTES, objects, parse, read_lines

SPLITS = ("train", "val", "test")
NAMES = ("data.yaml", "data.yml", "dataset.yaml", "dataset.yml")
NO_LABELS = ("classes.txt", "data.yaml", "train.txt", "val.txt", "test.txt", "README.txt")


class YoloDataset:
    """Images, and text files of the same names with a polygon a line. An image without a text
    file has no objects, as YOLO takes it. What covers no pixel is left out.

    root: a folder with data.yaml, or with images and labels; or the YAML file itself. Folders that
    data.yaml names are looked for in its own folder, under their whole path or its end, and
    nowhere else. split: train, val or test of data.yaml, or a folder in images and labels.
    images: the folder of the images, where they lie elsewhere.
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
            return _names(self._content["names"], str(self._file))
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
    def place(self) -> Place:
        """Where images and labels lie. Raises UserError if it takes more to tell."""
        if self.images:
            labels = self.root / "labels" if (self.root / "labels").is_dir() else self.root
            return Place(self.images, labels / (self.split or ""))
        if self._content and any(self._content.get(key) for key in SPLITS):
            return self._named(self._content)
        folder = image_folder(self.root, self.split)
        return Place(folder, beside(folder, self.root, "labels"))

    @cached_property
    def _pairs(self) -> Pairs:
        images = self.place.images
        return pair(images, images_below(images), self.place.labels, ".txt", NO_LABELS)

    def _named(self, content: Mapping[str, Any]) -> Place:
        """The folders of a split of data.yaml; of all splits if they are the same."""
        named = {key: content[key] for key in SPLITS if content.get(key)}
        entry = choose(self.root, _without_repeats(named) if not self.split else named, self.split)
        if not isinstance(entry, str):
            raise UserError(f"{self._file}: a split is one folder, got {short(entry)}; write one")
        folder = inside(self.root, entry)
        if folder is None or not folder.is_dir():
            raise UserError(
                f"{self._file}: its folder {short(entry)} is not beside it; put it there, or give "
                "--images"
            )
        return Place(folder, beside(folder, self.root, "labels"))


@dataclass(frozen=True)
class Place:
    """Two folders that go together."""

    images: Path
    labels: Path


def read_yaml(path: Path) -> Mapping[str, Any]:
    """The values of data.yaml. Raises UserError, naming the file."""
    text = "\n".join(read_lines(path))
    try:
        content = yaml.safe_load(text) if "&" not in text else None  # an anchor may be a bomb
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise UserError(f"{path}: not YAML ({' '.join(str(error).split())}); mend it") from error
    if not isinstance(content, dict):
        raise UserError(f"{path}: data.yaml has names and the folders of train and val; write them")
    return content


def _names(names: Any, where: str) -> dict[int, str]:
    """A list, or names by number."""
    found = dict(enumerate(names)) if isinstance(names, list) else names
    if not isinstance(found, dict) or not all(
        type(number) is int and isinstance(name, str | int) for number, name in found.items()
    ):
        raise UserError(f"{where}: names is a list of classes, got {short(names)}")
    return {number: str(name) for number, name in found.items()}


def _without_repeats(named: Mapping[str, Any]) -> dict[str, Any]:
    values = list(named.values())
    return {key: value for i, (key, value) in enumerate(named.items()) if value not in values[:i]}


def _recognises(path: Path) -> bool:
    if path.is_file():
        return path.suffix.lower() in (".yaml", ".yml") and path.stat().st_size <= MAX_BYTES
    if any((path / name).is_file() for name in NAMES):
        return True
    return any(any(path.glob(p)) for p in ("labels/*.txt", "labels/*/*.txt", "*/labels/*.txt"))


def _open(path: Path, split: str | None, images: Path | None) -> YoloDataset:
    dataset = YoloDataset(path, split, images)
    assert dataset.place  # what is missing is told now
    return dataset


FORMAT = Format("YOLO", "a YOLO folder with data.yaml, or images and labels", _recognises, _open)
