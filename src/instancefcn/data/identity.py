"""Which pictures a model was trained on: a small thumbnail of each, kept in its file's card.

A picture keeps its thumbnail under another name, in another format, compressed or made smaller
once more. It does not if it is mirrored or cut.
"""

from __future__ import annotations

import os
from base64 import b64decode, b64encode
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

from instancefcn.core.errors import UserError
from instancefcn.data.dataset import Dataset
from instancefcn.data.images import read_image

KEY = "trained_on"
"""The record's place in a card."""

SIDE = 8
TOLERANCE = 3
"""Grey levels. JPEG of quality 50, or half the size, changes a thumbnail by 2 at most; any two
photos of VOC, COCO or Penn-Fudan differ by 12 or more somewhere, the most alike nuclei by 4.
"""

Thumbnails: TypeAlias = NDArray[np.uint8]
"""(n, SIDE * SIDE): mean grey of as many equal parts of each picture."""


def thumbnail(image: NDArray[np.uint8]) -> Thumbnails:
    """Of an image (H, W, 3), as (SIDE * SIDE,)."""
    grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
    small = cv2.resize(grey, (SIDE, SIDE), interpolation=cv2.INTER_AREA)
    return np.asarray(small, np.uint8).ravel()


def thumbnails(dataset: Dataset, places: Sequence[int] | None = None) -> Thumbnails:
    """Of a data set's images at these places, in their order; by default of all. Raises UserError
    for one that cannot be read.
    """
    places = range(len(dataset)) if places is None else places
    # A large image takes hundreds of MB while it is decoded: no more than four at once.
    with ThreadPoolExecutor(min(4, os.cpu_count() or 1)) as pool:
        found = pool.map(lambda place: thumbnail(read_image(dataset[place].path)), places)
        return np.array(list(found), np.uint8).reshape(len(places), SIDE * SIDE)


def is_known(small: Thumbnails, known: Thumbnails) -> bool:
    """Is the picture of this thumbnail (SIDE * SIDE,) among the known ones?"""
    apart = np.abs(known.astype(np.int16) - small)
    return bool((apart.max(axis=1, initial=0) <= TOLERANCE).any())


def entry(dataset: Dataset, small: Thumbnails) -> Mapping[str, Any]:
    """What a card says of a data set that a model was trained on: its name, how many images it
    has, and their thumbnails (n, SIDE * SIDE), sorted, each once.
    """
    return {
        "data": dataset.name,
        "images": len(dataset),
        "thumbnails": b64encode(np.unique(small, axis=0).tobytes()).decode(),
    }


def recorded(card: Mapping[str, Any], source: str) -> Thumbnails | None:
    """The thumbnails in a model's card, None if it does not say what the model was trained on.
    Raises UserError, naming ``source``, for a damaged record.
    """
    entries = card.get(KEY)
    if entries is None:
        return None
    try:
        content = b"".join(b64decode(entry["thumbnails"], validate=True) for entry in entries)
        return np.frombuffer(content, np.uint8).reshape(-1, SIDE * SIDE)
    except (TypeError, KeyError, ValueError):
        raise UserError(
            f"{source}: its list of the images that it was trained on is damaged; "
            "write the model again"
        ) from None


def union(every: Sequence[Thumbnails | None]) -> Thumbnails:
    """All thumbnails of several models, (n, SIDE * SIDE)."""
    none = np.zeros((0, SIDE * SIDE), np.uint8)
    return np.concatenate([none, *(known for known in every if known is not None)])
