"""Images and what belongs to them, found by their names: what the folders of most formats share.

A name that a file gives is looked for in folders that the user gave, and nowhere else.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TypeVar

from instancefcn.core.errors import UserError
from instancefcn.core.words import counted
from instancefcn.data.dataset import Problem

IMAGE_SUFFIXES = (
    *(".avif", ".bmp", ".gif", ".jfif", ".jp2", ".jpe", ".jpeg", ".jpg", ".pgm", ".png", ".ppm"),
    *(".tif", ".tiff", ".webp"),
)
"""What counts as an image in a folder or for a pattern. A file that is named is always taken."""

DEEPEST = 32
"""How many parts of a name, from its end, are looked at."""

GIVE_IMAGES = "give --images (in a recipe: images)"
"""The way out where images lie elsewhere."""

HEAD = 1 << 14
"""How many bytes of a file are looked at to tell what it is."""

T = TypeVar("T")


def choose(root: Path, found: Mapping[str, T], split: str | None) -> T:
    """What was found under a split's name; without a name, the only one.

    Raises UserError, naming all that were found, if there is none or more than one.
    """
    names = ", ".join(found) or "none"
    if split is None:
        if len(found) == 1:
            return next(iter(found.values()))
        raise UserError(f"{root}: which split of it? give --split; found there: {names}")
    if split not in found:
        raise UserError(f"{root}: no split {split}; give --split; found there: {names}")
    return found[split]


def inside(folder: Path, name: str) -> Path | None:
    """The file or folder that a name means, in this folder: under the whole name, or else under
    as much of its end as there is. None if there is nothing.

    Names may be Windows', absolute or with "..": what lies outside the folder is never taken.
    """
    parts = PurePosixPath(name.replace("\\", "/")).parts[-DEEPEST:]
    parts = tuple(p for p in parts if p not in ("/", "..") and not p.endswith(":"))
    for start in range(len(parts)):
        path = folder.joinpath(*parts[start:])
        if os.path.exists(path):  # Path.exists raises for a name that is too long
            return path
    return None


def head(path: Path) -> bytes:
    """The first bytes of a file; none of what cannot be read."""
    try:
        with path.open("rb") as file:
            return file.read(HEAD)
    except OSError:
        return b""


def files_below(folder: Path, suffixes: tuple[str, ...]) -> list[Path]:
    """Its files, and those of the folders in it, with one of these suffixes; hidden ones not."""
    found = (path for path in folder.rglob("*") if path.suffix.lower() in suffixes)
    return sorted(
        path
        for path in found
        if path.is_file() and not any(p.startswith(".") for p in path.relative_to(folder).parts)
    )


def image_folder(root: Path, split: str | None) -> Path:
    """Where the images of a data set lie: images, or of a split images/SPLIT or SPLIT/images."""
    whole = root / "images"
    if split is None and whole.is_dir():
        return whole
    found = {path.name: path for path in sorted(whole.glob("*")) if path.is_dir()}
    found |= {path.parent.name: path for path in sorted(root.glob("*/images")) if path.is_dir()}
    if not found:
        raise UserError(f"{root}: no folder of images beside the labels; {GIVE_IMAGES}")
    return choose(root, found, split)


def beside(images: Path, root: Path, name: str) -> Path:
    """The folder that goes with one of images: the same path, its last "images" another name.

    Without "images" in it, below the data set's root, it is the folder itself.
    """
    parts = list(images.relative_to(root).parts)
    if "images" not in parts:
        return images
    last = len(parts) - 1 - parts[::-1].index("images")
    return root.joinpath(*parts[:last], name, *parts[last + 1 :])


@dataclass(frozen=True)
class Pairs:
    """Images and their label files, by name; None for an image that has none.

    lone: label files whose image was not found.
    """

    images: tuple[tuple[Path, Path | None], ...]
    lone: tuple[Path, ...]

    @property
    def labelled(self) -> tuple[tuple[Path, Path], ...]:
        return tuple((image, labels) for image, labels in self.images if labels is not None)

    def problems(self, where: str, taken: str) -> Iterator[Problem]:
        """One warning of each kind. taken: what an image without labels counts as."""
        bare = [image for image, labels in self.images if labels is None]
        if bare:
            message = f"{counted(len(bare), 'image')} without labels, such as {bare[0]}; {taken}"
            yield Problem("warning", "image without labels", where, message)
        if self.lone:
            message = (
                f"{counted(len(self.lone), 'label file')} without an image, such as "
                f"{self.lone[0]}; left out: put the images beside them, or {GIVE_IMAGES}"
            )
            yield Problem("warning", "labels without image", where, message)


def pair(
    images: Iterable[Path],
    labels_of: Callable[[Path], Path],
    suffix: str,
    every: Iterable[Path] = (),
) -> Pairs:
    """Images and the label files of the same names.

    labels_of: where the labels of an image lie, as if they had its name. Those of "x.jpg" are
    "x.jpg.png" if it is there, else "x.png". every: the label files, to find those without image.
    Raises UserError if two images would share one label file.
    """
    taken: dict[Path, Path] = {}
    found: list[tuple[Path, Path | None]] = []
    for image in images:
        name = labels_of(image)
        own = (name.with_name(name.name + suffix), name.with_suffix(suffix))
        path = next((p for p in own if p.is_file() and p != image), None)
        if path and taken.setdefault(path, image) is not image:
            raise UserError(f"{path}: labels of both {taken[path]} and {image}; rename one of them")
        found.append((image, path))
    return Pairs(tuple(found), tuple(path for path in every if path not in taken))


def pair_folders(images: Path, labels: Path, suffix: str) -> Pairs:
    """The images of a folder, and the label files under the same names in another one, which has
    to be there: UserError else.
    """
    if not labels.is_dir():
        raise UserError(f"{labels}: no such folder of labels; check the path and --split")
    every = files_below(labels, (suffix,)) if labels != images else []
    return pair(
        images_below(images), lambda image: labels / image.relative_to(images), suffix, every
    )


def images_below(folder: Path) -> list[Path]:
    """All images of a folder and of the folders in it, by name."""
    return files_below(folder, IMAGE_SUFFIXES)
