"""The images that a command line names, and their pixels, decoded ahead."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Executor, Future
from glob import escape, glob, has_magic
from pathlib import Path, PurePath

import numpy as np
from numpy.typing import NDArray

from instancefcn.core.errors import UserError
from instancefcn.data.images import read_image
from instancefcn.formats.prediction import Source

SUFFIXES = (
    *(".avif", ".bmp", ".gif", ".jfif", ".jp2", ".jpe", ".jpeg", ".jpg", ".pgm", ".png", ".ppm"),
    *(".tif", ".tiff", ".webp"),
)
"""What counts as an image in a folder or for a pattern. A file that is named is always taken."""

AHEAD = 1
"""How many images are decoded while another is worked on: a large one is hundreds of MB."""


def find_images(paths: Sequence[str]) -> list[Path]:
    """The images of files, folders and glob patterns, each once, in the order of the paths; within
    a folder or for a pattern by name.

    A folder's own folders are left out; the pattern "folder/**" takes them in. A file need not
    exist: reading it will tell. Raises ValueError for a folder or a pattern without images.
    """
    found: dict[str, Path] = {}
    for path in paths:
        for name in _names(path):
            found.setdefault(os.path.abspath(name), Path(name))
    return list(found.values())


def to_sources(images: Sequence[Path]) -> list[Source]:
    """Ids from 1 on in the order given, and names relative to the deepest folder of them all.

    Stems have the image's suffix only if two images of the run differ in nothing else.
    """
    root = os.path.commonpath([os.path.dirname(os.path.abspath(image)) for image in images])
    names = [PurePath(os.path.relpath(os.path.abspath(image), root)) for image in images]
    stems = [name.with_suffix("").as_posix() for name in names]
    if len(set(stems)) < len(stems):
        stems = [name.as_posix() for name in names]
    return [
        Source(image, number, name.as_posix(), stem)
        for number, (image, name, stem) in enumerate(zip(images, names, stems, strict=True), 1)
    ]


def read_ahead(pool: Executor, images: Sequence[Path]) -> Iterator[Future[NDArray[np.uint8]]]:
    """Each image's pixels, or the ValueError that reading it raised.

    While one is worked on the pool reads the next, never more than ``AHEAD``.
    """
    futures: deque[Future[NDArray[np.uint8]]] = deque()
    for image in images:
        futures.append(pool.submit(read_image, image))
        if len(futures) > AHEAD:
            yield futures.popleft()
    while futures:
        yield futures.popleft()


def _names(path: str) -> list[str]:
    folder = os.path.isdir(path)
    if not folder and (os.path.exists(path) or not has_magic(path)):
        return [path]
    pattern = os.path.join(escape(path), "*") if folder else path
    names = sorted(name for name in glob(pattern, recursive=True) if _is_image(name))
    if not names:
        raise UserError(
            f"{path}: no images there; give image files, a folder of them, or a pattern such as "
            "'photos/**/*.jpg'"
        )
    return names


def _is_image(path: str) -> bool:
    return path.lower().endswith(SUFFIXES) and os.path.isfile(path)
