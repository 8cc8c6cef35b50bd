"""data.yaml: the names of the classes, and where the images of each split lie."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from reprlib import repr as short
from typing import Any

import yaml

from instancefcn.core.errors import UserError
from instancefcn.core.types import is_name
from instancefcn.formats.layouts import images_below, inside
from instancefcn.formats.yolo.lines import read_lines

SPLITS = ("train", "val", "test")


def read_yaml(path: Path) -> Mapping[str, Any]:
    """The values of data.yaml. Raises UserError, naming the file."""
    text = "\n".join(read_lines(path))
    try:
        content = None if _may_be_bomb(text) else yaml.safe_load(text)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise UserError(f"{path}: not YAML ({' '.join(str(error).split())}); mend it") from error
    if not isinstance(content, dict):
        raise UserError(f"{path}: data.yaml has names and the folders of train and val; write them")
    return content


def _may_be_bomb(text: str) -> bool:
    """Whether an alias repeats a part of it. An "&" alone may belong to a name."""
    return "&" in text and any(isinstance(token, yaml.AliasToken) for token in yaml.scan(text))


def names_of(names: Any, where: str) -> dict[int, str]:
    """The classes by number, of a list or of names by number; UserError else."""
    found = dict(enumerate(names)) if isinstance(names, list) else names
    if not isinstance(found, dict) or not all(
        type(number) is int and (isinstance(name, int) or is_name(name))
        for number, name in found.items()
    ):
        raise UserError(
            f"{where}: names is a list of classes, each a text of one line, got {short(names)}"
        )
    return {number: str(name) for number, name in found.items()}


def splits_of(content: Mapping[str, Any]) -> dict[str, Any]:
    """What data.yaml says of where the images of each split lie."""
    return {split: content[split] for split in SPLITS if content.get(split)}


def found_beside(entries: Any, file: Path) -> list[Path]:
    """The folders and lists that a split is, one or several of them, in the folder of data.yaml.

    Raises UserError, naming the file, for one that is not there.
    """
    found = []
    for entry in entries if isinstance(entries, list) else [entries]:
        path = inside(file.parent, entry) if isinstance(entry, str) else None
        if path is None:
            raise UserError(
                f"{file}: its images, {short(entry)}, are not beside it; put them there, or give "
                "--images"
            )
        found.append(path)
    return found


def images_of(entry: Path, root: Path) -> list[Path]:
    """The images of a folder, or those that a text file lists, a line each."""
    if entry.is_dir():
        return images_below(entry)
    images = []
    for number, line in enumerate(read_lines(entry), 1):
        image = inside(root, line.strip())
        if image:
            images.append(image)
        elif line.strip():
            raise UserError(
                f"{entry}: line {number}: its image {short(line)} is not beside it; put it there"
            )
    return images
