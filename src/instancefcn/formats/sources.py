"""The images that paths name, and what their outputs are called."""

from __future__ import annotations

import os
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from glob import escape, glob, has_magic
from pathlib import Path, PurePath

from instancefcn.core.errors import UserError
from instancefcn.core.words import counted
from instancefcn.formats.layouts import IMAGE_SUFFIXES
from instancefcn.formats.ledger import written_names
from instancefcn.formats.prediction import Source

UNREAD = (
    *(".eps", ".exr", ".hdr", ".heic", ".heif", ".icns", ".ico", ".jxl", ".psd", ".svg", ".tga"),
    *(".arw", ".cr2", ".cr3", ".dng", ".nef", ".orf", ".raf", ".rw2"),
)
"""Photos of kinds that are not read, and that nobody should take for done."""

DEEP = "**"


@dataclass(frozen=True)
class Found:
    """What paths name. images: to work on. unread: photos of kinds that are not read. own: of
    ``propose``, which are no photos.
    """

    images: Sequence[Path]
    unread: Sequence[Path]
    own: Sequence[Path]

    def left_out(self) -> list[str]:
        """In words, a line for each reason."""
        lines = [_unread_words(self.unread)] if self.unread else []
        return lines + ([_own_words(self.own)] if self.own else [])


def find_images(paths: Sequence[str]) -> Found:
    """The images of files, folders and glob patterns, each once, in the order of the paths; within
    a folder or for a pattern by name. A link to an image is that image.

    A folder's own folders are left out; the pattern "folder/**" takes them in. A file need not
    exist: reading it will tell. Raises UserError for a folder or a pattern without images.
    """
    images: dict[str, Path] = {}
    unread: dict[str, Path] = {}
    own: dict[str, Path] = {}
    for path in paths:
        if _is_named(path):
            images.setdefault(os.path.realpath(path), Path(path))
            continue
        found = _look(path)
        if not found.images:
            raise UserError(f"{path}: {_nothing(found)}")
        for names, kept in ((found.images, images), (found.unread, unread), (found.own, own)):
            for name in names:
                kept.setdefault(os.path.realpath(name), name)
    return Found(*(list(kept.values()) for kept in (images, unread, own)))


def to_sources(images: Sequence[Path]) -> list[Source]:
    """Ids from 1 on in the order given, and names relative to the deepest folder of them all.

    Stems have the image's suffix only if outputs of two images could not be told apart else, or
    if the output of one would have the name of another one's folder.
    """
    root = os.path.commonpath([os.path.dirname(os.path.abspath(image)) for image in images])
    names = [PurePath(os.path.relpath(os.path.abspath(image), root)) for image in images]
    stems = [name.with_suffix("").as_posix() for name in names]
    if _collide(stems):
        stems = [name.as_posix() for name in names]
    return [
        Source(image, number, name.as_posix(), stem)
        for number, (image, name, stem) in enumerate(zip(images, names, stems, strict=True), 1)
    ]


def _collide(stems: Sequence[str]) -> bool:
    """Would outputs "STEM.SUFFIX" meet, also where capitals do not count, or folders of these?"""
    known = {stem.casefold() for stem in stems}
    folders = {parent for stem in known for parent in PurePath(stem).parents}
    return len(known) < len(stems) or any(
        folder.suffix and folder.with_suffix("").as_posix() in known for folder in folders
    )


def _is_named(path: str) -> bool:
    """Is it a file, there or not, and neither a folder nor a pattern?"""
    return not os.path.isdir(path) and (os.path.exists(path) or not has_magic(path))


def _look(path: str) -> Found:
    """What is in a folder, or matches a pattern."""
    is_own = _own_below(path)
    names = _expand(os.path.join(escape(path), "*") if os.path.isdir(path) else path)
    # A broken link and a pipe stay: reading them will tell.
    files_too = (name for name in names if not os.path.isdir(name))
    # Of an image and a link to it the image is taken.
    ordered = sorted(files_too, key=lambda name: (_by_a_link(name), name))
    files = {os.path.realpath(name): name for name in reversed(ordered)}
    by_name = [Path(name) for name in sorted(files.values())]
    images = [name for name in by_name if _ends(name, IMAGE_SUFFIXES)]
    own = set(filter(is_own, images))
    return Found(
        [name for name in images if name not in own],
        [name for name in by_name if _ends(name, UNREAD)],
        sorted(own),
    )


def _by_a_link(name: str) -> bool:
    return os.path.realpath(name) != os.path.abspath(name)


def _ends(name: Path, suffixes: tuple[str, ...]) -> bool:
    return name.name.lower().endswith(suffixes)


def _expand(pattern: str) -> list[str]:
    """As ``glob``, but "**" enters each folder once, however many links lead there."""
    parts = PurePath(pattern).parts
    if DEEP not in parts:
        return glob(pattern)
    here = parts.index(DEEP)
    rest = parts[here + 1 :] or ("*",)
    roots = glob(os.path.join(*parts[:here])) if here else [""]
    return [
        name
        for root in roots
        for folder in _folders(root)
        for name in _expand(os.path.join(escape(folder), *rest))
    ]


def _folders(root: str) -> Iterator[str]:
    """A folder and all below it, hidden ones left out; what links lead to comes last."""
    seen: set[str] = set()
    ahead, links = deque([root]), deque[str]()
    while ahead or links:
        folder = (ahead or links).popleft()
        real = os.path.realpath(folder)
        if real in seen:
            continue
        seen.add(real)
        yield folder
        for entry in _entries(folder):
            if entry.is_dir() and not entry.name.startswith("."):
                (links if entry.is_symlink() else ahead).append(os.path.join(folder, entry.name))


def _entries(folder: str) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder or os.curdir) as entries:
            return sorted(entries, key=lambda entry: entry.name)
    except OSError as error:
        raise UserError(
            f"{folder}: cannot be looked into ({error.strerror}); give another pattern"
        ) from error


def _own_below(path: str) -> Callable[[Path], bool]:
    """Whether ``propose`` wrote a file, by what it noted in the folders from a path's own down."""
    fixed = path if os.path.isdir(path) else path[: _magic_at(path)]
    base = Path(os.path.abspath(fixed if os.path.isdir(fixed) else os.path.dirname(fixed)))
    names = cache(written_names)

    def is_own(name: Path) -> bool:
        file = Path(os.path.abspath(name))
        folders = (folder for folder in file.parents if folder.is_relative_to(base))
        return any(file.relative_to(folder).as_posix() in names(folder) for folder in folders)

    return is_own


def _magic_at(pattern: str) -> int:
    """Where the first character stands that makes a path a pattern."""
    return next(i for i in range(len(pattern)) if has_magic(pattern[: i + 1]))


def _nothing(found: Found) -> str:
    words = found.left_out()
    if words:
        return f"no images there that can be read; {'; '.join(words)}"
    return (
        "no images there; give image files, a folder of them, or a pattern such as "
        "'photos/**/*.jpg'"
    )


def _unread_words(files: Iterable[Path]) -> str:
    kinds = Counter(file.suffix[1:].upper() for file in files)
    number = ", ".join(f"{kinds[kind]} {kind}" for kind in sorted(kinds))
    return f"not read: {number}; convert to JPEG"


def _own_words(files: Sequence[Path]) -> str:
    nouns = counted(len(files), "file is", "files are")
    return f"{nouns} propose's own output, and no input"
