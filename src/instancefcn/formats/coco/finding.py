"""Where COCO's files and their images lie, in the layouts that are usual.

train.json            train/        instances_dev.json               dev/
instances.json        images/       annotations/instances_val.json   val/
annotations.json      *.jpg         train/_annotations.coco.json     train/*.jpg
"""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path

from instancefcn.core.errors import UserError
from instancefcn.formats.coco.dataset import CocoDataset
from instancefcn.formats.format import Format
from instancefcn.formats.layouts import IMAGE_SUFFIXES, choose, head

OTHERS = ("captions_", "person_keypoints_", "image_info_", "panoptic_", "stuff_")
"""Files that COCO publishes beside its instances begin so."""


def is_coco(path: Path) -> bool:
    """Whether a JSON file begins like COCO's."""
    start = head(path)
    return b'"shapes"' not in start and any(
        word in start for word in (b'"images"', b'"annotations"', b'"categories"', b'"info"')
    )


def coco_files(folder: Path) -> list[Path]:
    """COCO's files of instances: in a folder, in its annotations, or with a split's images."""
    found = [
        *folder.glob("*.json"),
        *folder.glob("annotations/*.json"),
        *folder.glob("*/_annotations.coco.json"),
    ]
    return [p for p in sorted(found) if not p.name.startswith(OTHERS) and is_coco(p)]


def split_of(path: Path) -> str:
    """What a COCO file's split is called: "val" of instances_val.json."""
    if path.name == "_annotations.coco.json":
        return path.parent.name
    return path.stem.removeprefix("instances_")


def images_of(path: Path) -> Path | None:
    """The folder of a COCO file's images: of the split's name, or images, or the file's own."""
    folder = path.parent.parent if path.parent.name == "annotations" else path.parent
    split = split_of(path)
    for images in (folder / split, folder / "images" / split, folder / "images"):
        if images.is_dir():
            return images
    own = any(p.suffix.lower() in IMAGE_SUFFIXES for p in folder.iterdir())
    return folder if own else None


def _open(path: Path, split: str | None, images: Path | None) -> CocoDataset:
    if path.is_file() and split is not None:
        raise UserError(f"{path}: a COCO file is one split; leave --split out, or give its folder")
    file = _file(path, split) if path.is_dir() else path
    found = images or images_of(file)
    if found is None:
        raise UserError(f"{file}: no folder of its images beside it; give --images")
    return CocoDataset(file, found)


def _file(folder: Path, split: str | None) -> Path:
    files = defaultdict(list)
    for file in coco_files(folder):
        files[split_of(file)].append(file)
    first, *others = choose(folder, files, split)
    if others:
        raise UserError(f"{folder}: both {first} and {others[0]} are there; give one, and --images")
    return first


def _recognises(path: Path) -> bool:
    """Any JSON file that is not seen to be another format's, so that reading says what is wrong."""
    if path.is_file():
        return path.suffix.lower() not in (".yaml", ".yml") and b'"shapes"' not in head(path)
    return bool(coco_files(path))


FORMAT = Format("COCO", "a COCO file (JSON) or its folder", _recognises, _open)
