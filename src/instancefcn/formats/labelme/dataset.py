"""Data sets of labelme's files."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from reprlib import repr as short
from typing import Any

from pycocotools import mask as coco_mask

from instancefcn.core.errors import UserError
from instancefcn.core.rle import mask_area, rle_from_coco, rle_to_coco
from instancefcn.core.types import AnnotatedImage, Instance, Rle
from instancefcn.data.checks import check_items
from instancefcn.data.dataset import Problem
from instancefcn.data.image_files import MAX_PIXELS
from instancefcn.data.images import image_size
from instancefcn.formats.format import Format
from instancefcn.formats.labelme.shapes import AREAS, group, label, shape_type, to_mask
from instancefcn.formats.layouts import GIVE_IMAGES, choose, files_below, head, inside

MAX_BYTES = 256 << 20
"""The largest file that is read: images inside it, which are not needed, make it large."""


class LabelmeDataset:
    """labelme's JSON files of a folder and of the folders in it, by name; labels are categories.

    Polygons, rectangles, circles and masks are objects; those of one label and group_id are one.
    Points and lines are left out, and so is what covers no pixel. JSON files without "shapes" are
    not labelme's. ``problems`` counts what was left out.

    An image is looked for beside its JSON file and in ``images``, under the imagePath or its end;
    nowhere else, though the imagePath be absolute or lead out of the folder.
    """

    def __init__(self, root: Path | str, images: Path | str | None = None) -> None:
        self.root = Path(root)
        self.images = None if images is None else Path(images)

    @property
    def name(self) -> str:
        return "/".join(self.root.parts[-2:])

    @property
    def categories(self) -> Mapping[int, str]:
        return {number: name for name, number in self._index.categories.items()}

    def __len__(self) -> int:
        return len(self._index.files)

    def __getitem__(self, index: int) -> AnnotatedImage:
        file = self._index.files[index]
        content = read_labelme(file)
        try:
            path = self._image(file, content.get("imagePath"))
            height, width = _size(content) or image_size(path)
            instances = tuple(_instances(content, height, width, self._index.categories))
        except UserError as error:
            raise UserError(f"{file}: {error}") from error
        return AnnotatedImage(index + 1, path, height, width, instances)

    def problems(self, decode: bool = False) -> Iterator[Problem]:
        """See ``Dataset.problems``."""
        yield from check_items(self, decode)
        for what, count in sorted(self._index.left_out.items()):
            message = f"{count} of them; they are left out"
            yield Problem("warning", f"left out: {what}", str(self.root), message)

    def _image(self, file: Path, name: Any) -> Path:
        if not isinstance(name, str) or not name:
            raise UserError(f'"imagePath" is the name of the image, got {short(name)}')
        for folder in (file.parent, self.images):
            found = inside(folder, name) if folder else None
            if found:
                return found
        raise UserError(f"its image {short(name)} is not beside it; put it there, or {GIVE_IMAGES}")

    @cached_property
    def _index(self) -> _Index:
        return _Index.of(self.root)


@dataclass(frozen=True)
class _Index:
    """files: labelme's, sound or not. categories: ids of labels, from 1 on, by name."""

    files: Sequence[Path]
    categories: Mapping[str, int]
    left_out: Mapping[str, int]

    @classmethod
    def of(cls, root: Path) -> _Index:
        files, labels, left_out = [], set[str](), Counter[str]()
        for path in files_below(root, (".json",)):
            try:
                content = read_labelme(path)
            except UserError:  # The item will say what is wrong.
                files.append(path)
                continue
            if "shapes" not in content:
                left_out["JSON files without shapes"] += 1
                continue
            files.append(path)
            for record in content["shapes"] if isinstance(content["shapes"], list) else ():
                kind = record.get("shape_type") if isinstance(record, dict) else None
                if isinstance(kind, str) and kind not in AREAS:
                    left_out[f"shapes of type {short(kind)}"] += 1
                elif isinstance(record, dict) and isinstance(record.get("label"), str):
                    labels.add(record["label"])
        numbers = {name: number for number, name in enumerate(sorted(labels), 1)}
        return cls(files, numbers, left_out)


def read_labelme(path: Path) -> dict[str, Any]:
    """The JSON object of a file of at most ``MAX_BYTES``. Raises UserError, naming the file."""
    try:
        size = path.stat().st_size
        if size > MAX_BYTES:
            raise UserError(
                f"{path}: {size >> 20} MiB are more than {MAX_BYTES >> 20}; save it without "
                "imageData"
            )
        content = json.loads(path.read_bytes())
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror}); check the path") from error
    except UserError:
        raise
    except (ValueError, RecursionError) as error:
        raise UserError(f"{path}: not JSON ({error}); save it with labelme again") from error
    if not isinstance(content, dict):
        raise UserError(f"{path}: a labelme file is a JSON object, got {short(content)}")
    return content


def _size(content: Mapping[str, Any]) -> tuple[int, int] | None:
    """Height and width as the file has them; None if it has not both."""
    height, width = content.get("imageHeight"), content.get("imageWidth")
    if height is None or width is None:
        return None
    if type(height) is not int or type(width) is not int or min(height, width) < 1:
        raise UserError(
            f'"imageHeight" and "imageWidth" are pixels, got {short(height)}, {short(width)}'
        )
    if height * width > MAX_PIXELS:
        raise UserError(f"{width} x {height} pixels are more than {MAX_PIXELS}; make it smaller")
    return height, width


def _instances(
    content: Mapping[str, Any], height: int, width: int, categories: Mapping[str, int]
) -> Iterator[Instance]:
    """In the order in which their first shapes come."""
    shapes = content.get("shapes")
    if not isinstance(shapes, list):
        raise UserError(f'"shapes" is a list, got {short(shapes)}')
    objects: dict[tuple[str, int, int], list[Rle]] = {}
    for number, record in enumerate(shapes):
        try:
            if shape_type(record) not in AREAS:
                continue
            name, part_of = label(record), group(record)
            key = (name, 1, number) if part_of is None else (name, 0, part_of)
            objects.setdefault(key, []).append(to_mask(record, height, width))
        except UserError as error:
            raise UserError(f"shape {number + 1} of {len(shapes)}: {error}") from error
    for (name, *_), parts in objects.items():
        mask = parts[0] if len(parts) == 1 else _union(parts)
        if mask_area(mask):
            yield Instance(mask, categories[name])


def _union(masks: Sequence[Rle]) -> Rle:
    return rle_from_coco(coco_mask.merge([rle_to_coco(mask) for mask in masks]))


def _recognises(path: Path) -> bool:
    files = (file for pattern in ("*.json", "*/*.json") for file in path.glob(pattern))
    return any(word in head(file) for file in files for word in (b'"shapes"', b'"imageData"'))


def _open(path: Path, split: str | None, images: Path | None) -> LabelmeDataset:
    if split is None:
        return LabelmeDataset(path, images)
    folders = {folder.name: folder for folder in sorted(path.glob("*")) if _recognises(folder)}
    if not folders:
        raise UserError(
            f"{path}: no folder {split} in it; lay each split's images and JSON files into a "
            "folder of its name"
        )
    return LabelmeDataset(choose(path, folders, split), images)


FORMAT = Format("labelme", "a labelme folder (*.json)", _recognises, _open)
