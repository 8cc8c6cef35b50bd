"""The objects that the paper is about: those that touch another of their kind."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
from numpy.typing import NDArray

from instancefcn.geometry import decode
from instancefcn.types import AnnotatedImage

GAP = 8.0
"""Pixels between objects that touch: VOC's void ring between two of them is five wide."""


def touching_only(image: AnnotatedImage, gap: float = GAP) -> AnnotatedImage:
    """The image with all other objects marked as crowds, which recall does not count.

    An object touches another if both are of one category, neither is a crowd, and the nearest two
    pixels of them are at most ``gap`` apart. Invariant: no mask changes, and none comes or goes.
    """
    masks = [decode(instance.mask) for instance in image.instances]
    instances = []
    for i, instance in enumerate(image.instances):
        others = [
            masks[j]
            for j, other in enumerate(image.instances)
            if j != i and other.category == instance.category and not other.crowd
        ]
        alone = instance.crowd or not _within(masks[i], others, gap)
        instances.append(replace(instance, crowd=alone))
    return replace(image, instances=tuple(instances))


def _within(mask: NDArray[np.bool_], others: list[NDArray[np.bool_]], gap: float) -> bool:
    """Is a pixel of other masks at most ``gap`` from the nearest pixel of a mask?"""
    if not others:
        return False
    distance = cv2.distanceTransform((~mask).astype(np.uint8), cv2.DIST_L2, 5)
    return bool((distance[np.logical_or.reduce(others)] <= gap).any())
