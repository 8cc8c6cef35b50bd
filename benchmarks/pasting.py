"""Masks to RLE: ours against torchvision's pasting followed by pycocotools' encoding."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from time import perf_counter

import numpy as np
import torch
from pycocotools import mask as coco_mask
from torchvision.models.detection.roi_heads import paste_masks_in_image
from torchvision.ops import roi_align

from instancefcn.core.drawing import draw
from instancefcn.core.proposals import Proposals
from instancefcn.core.rle import rle_to_coco
from instancefcn.core.types import Floats
from instancefcn.inference.predictor import Predictor

HEIGHT, WIDTH = 375, 500
CELLS = 28
"""Along a side of a mask relative to its box, as torchvision's Mask R-CNN has them."""


@dataclass(frozen=True)
class Pasting:
    """Seconds for all ``masks``, medians; iou: between the two forms of a mask, the median."""

    masks: int
    ours: float
    theirs: float
    iou: float

    @property
    def ratio(self) -> float:
        return self.theirs / self.ours

    def described(self) -> str:
        return f"""
Masks to RLE: {self.masks:,} masks of {CELLS} x {CELLS} logits relative to their boxes, the best of
the first photos, drawn on an image of {WIDTH} x {HEIGHT} pixels. `drawing.draw` takes
{1000 * self.ours:,.0f} ms; torchvision's `paste_masks_in_image`, a threshold of 0.5 and
pycocotools' `encode` of each mask take {1000 * self.theirs:,.0f} ms: \
**{self.ratio:.1f} times as long** (aim: at least 20).
The median IoU of a mask's two forms is {self.iou:.2f}: torchvision cuts boxes to whole pixels.
""".strip()


def compare_pasting(model: str, paths: Sequence[Path], number: int, repeats: int) -> Pasting:
    """Time both on the same masks in turn, after a run to warm up."""
    masks = real_masks(Predictor.from_pretrained(model), paths, number)
    ours, theirs = [], []
    for _ in range(1 + repeats):
        start = perf_counter()
        drawn = list(draw(masks.logits, masks.windows, masks.height, masks.width))
        middle = perf_counter()
        pasted = paste_and_encode(masks)
        ours.append(middle - start)
        theirs.append(perf_counter() - middle)
    ious = [
        float(coco_mask.iou([rle_to_coco(a)], [b], [0])[0, 0])
        for a, b in zip(drawn, pasted, strict=True)
    ]
    return Pasting(number, median(ours[1:]), median(theirs[1:]), median(ious))


def paste_and_encode(masks: Proposals) -> list[dict[str, object]]:
    """As torchvision's own reference for training detectors evaluates its masks."""
    logits, boxes = torch.from_numpy(masks.logits), torch.from_numpy(masks.windows)
    probabilities = logits.sigmoid()[:, None]
    pasted = paste_masks_in_image(probabilities, boxes, (masks.height, masks.width)) > 0.5
    return [
        coco_mask.encode(np.array(mask[0, :, :, np.newaxis], dtype=np.uint8, order="F"))[0]
        for mask in pasted
    ]


def real_masks(predictor: Predictor, paths: Sequence[Path], number: int) -> Proposals:
    """The first ``number`` masks of photos, best first a photo, relative to their boxes, which are
    scaled to one image. If there are fewer, they come again.
    """
    logits, boxes = np.zeros((0, CELLS, CELLS), np.float32), np.zeros((0, 4), np.float32)
    for path in paths:
        if len(boxes) < number:
            proposals = predictor(path)
            scale = np.array([WIDTH / proposals.width, HEIGHT / proposals.height] * 2, np.float32)
            logits = np.concatenate((logits, relative_to_boxes(proposals)))
            boxes = np.concatenate((boxes, proposals.boxes * scale))
    index = np.arange(number) % len(boxes)
    return Proposals(
        np.ones(number, np.float32),
        boxes[index],
        logits[index],
        np.zeros(number, np.int64),
        HEIGHT,
        WIDTH,
    )


def relative_to_boxes(proposals: Proposals) -> Floats:
    """Logits (n, ``CELLS``, ``CELLS``), each mask stretched over its tight box."""
    windows, m = proposals.windows, proposals.logits.shape[-1]
    cell = (windows[:, 2:] - windows[:, :2]) / m
    boxes = (proposals.boxes - np.tile(windows[:, :2], 2)) / np.tile(cell, 2)
    each = np.arange(len(boxes), dtype=np.float32)[:, None]
    logits = roi_align(
        torch.from_numpy(proposals.logits)[:, None],
        torch.from_numpy(np.concatenate((each, boxes), 1)),
        output_size=CELLS,
        sampling_ratio=1,
        aligned=True,
    )
    return np.asarray(logits[:, 0])
