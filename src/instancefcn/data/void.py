"""Void, the pixels that nobody judged, as training sees it."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np

from instancefcn.core.rle import decode, encode
from instancefcn.core.types import AnnotatedImage

REACH = 3.0
"""Pixels from the border of VOC's void ring, which is five pixels wide, to its middle."""


def share_out(image: AnnotatedImage, reach: float = REACH) -> AnnotatedImage:
    """Give void pixels at most ``reach`` from judged ones to what is nearest, object or background.

    VOC draws a void ring along every outline; the outline runs along its middle. Were all of it
    left out of training, nothing would be learnt of outlines, and hardly a cell of a small object
    would be left. Invariant: judged pixels stay what they are.
    """
    if image.void is None:
        return image
    void = decode(image.void)
    distance, nearest = cv2.distanceTransformWithLabels(
        void.astype(np.uint8), cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_PIXEL
    )
    near = void & (distance <= reach)
    judged = np.zeros(nearest.max() + 1, np.intp)  # the pixel that each label of OpenCV's names
    judged[nearest[~void]] = np.flatnonzero(~void)
    owner = judged[nearest[near]]
    instances = []
    for instance in image.instances:
        mask = decode(instance.mask)
        mask[near] |= mask.ravel()[owner]
        instances.append(replace(instance, mask=encode(mask)))
    return replace(image, instances=tuple(instances), void=encode(void & ~near))
