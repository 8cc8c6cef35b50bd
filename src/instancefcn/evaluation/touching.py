"""Objects that touch another of their kind: those that the paper is about."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
from numpy.typing import NDArray

from instancefcn.core.rle import decode
from instancefcn.core.types import AnnotatedImage

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
    masks = [decode(instance.mask) for instance in image.instances]
    held: dict[int, NDArray[np.int32]] = {}  # by category: how many objects hold each pixel
    for instance, mask in zip(image.instances, masks, strict=True):
        if not instance.crowd:
            none = np.zeros(mask.shape, np.int32)
            held[instance.category] = held.get(instance.category, none) + mask
    instances = []
    for instance, mask in zip(image.instances, masks, strict=True):
        touches = not instance.crowd and _within(mask, held[instance.category] > mask, gap)
        instances.append(replace(instance, crowd=not touches))
    return replace(image, instances=tuple(instances))


def _within(mask: NDArray[np.bool_], others: NDArray[np.bool_], gap: float) -> bool:
    """Is a pixel of others at most ``gap`` from the nearest pixel of a mask?"""
    distance = cv2.distanceTransform((~mask).astype(np.uint8), cv2.DIST_L2, 5)
    return bool((distance[others] <= gap).any())
