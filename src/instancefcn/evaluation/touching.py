"""Objects that touch another of their kind: those that the paper is about."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import cv2
import numpy as np
from numpy.typing import NDArray

from instancefcn.core.rle import decode
from instancefcn.core.types import AnnotatedImage, Rle

ADJOINING, RING = 2.0, 8.0
"""How many pixels may lie between two objects that touch: without and with VOC's void ring, which
is five pixels wide."""


def touching_only(image: AnnotatedImage, gap: float | None = None) -> AnnotatedImage:
    """The image with all other objects marked as crowds, which recall does not count.

    An object touches another if both are of one category, neither is a crowd, and the nearest two
    pixels of them are at most ``gap`` apart. None means ``RING`` in an image with void pixels, and
    ``ADJOINING`` in any other. Invariant: all masks stay as they are.
    """
    if gap is None:
        gap = ADJOINING if image.void is None else RING
    touching: set[int] = set()
    for category in {instance.category for instance in image.instances}:
        masks = {
            place: instance.mask
            for place, instance in enumerate(image.instances)
            if instance.category == category and not instance.crowd
        }
        touching |= _touching(masks, gap)
    instances = (
        replace(instance, crowd=place not in touching)
        for place, instance in enumerate(image.instances)
    )
    return replace(image, instances=tuple(instances))


def _touching(masks: Mapping[int, Rle], gap: float) -> set[int]:
    """The places of those at most ``gap`` from another. Decodes one mask at a time: a thousand of
    a large image would fill the memory.
    """
    if len(masks) < 2:
        return set()
    size = next((mask.height, mask.width) for mask in masks.values())
    held, shared = np.zeros(size, np.bool_), np.zeros(size, np.bool_)  # by one, by several
    for mask in map(decode, masks.values()):
        shared |= held & mask
        held |= mask
    found = set()
    for place, rle in masks.items():
        mask = decode(rle)
        if _within(mask, np.where(mask, shared, held), gap):
            found.add(place)
    return found


def _within(mask: NDArray[np.bool_], others: NDArray[np.bool_], gap: float) -> bool:
    """Is a pixel of others at most ``gap`` from the nearest pixel of a mask?"""
    distance = cv2.distanceTransform((~mask).astype(np.uint8), cv2.DIST_L2, 5)
    return bool((distance[others] <= gap).any())
