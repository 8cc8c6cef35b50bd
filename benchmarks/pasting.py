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
from torch import Tensor
from torchvision.models.detection.roi_heads import paste_masks_in_image
from torchvision.ops import roi_align

from instancefcn.core.drawing import draw
from instancefcn.core.proposals import Proposals
from instancefcn.core.rle import rle_to_coco
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
    probabilities = masks.logits.sigmoid()[:, None]
    pasted = paste_masks_in_image(probabilities, masks.windows, (masks.height, masks.width)) > 0.5
    return [
        coco_mask.encode(np.array(mask[0, :, :, np.newaxis], dtype=np.uint8, order="F"))[0]
        for mask in pasted
    ]


def real_masks(predictor: Predictor, paths: Sequence[Path], number: int) -> Proposals:
    """The first ``number`` masks of photos, best first a photo, relative to their boxes, which are
    scaled to one image. If there are fewer, they come again.
    """
    logits, boxes = torch.zeros(0, CELLS, CELLS), torch.zeros(0, 4)
    for path in paths:
        if len(boxes) < number:
            proposals = predictor(path)
            scale = torch.tensor([WIDTH / proposals.width, HEIGHT / proposals.height] * 2)
            logits = torch.cat((logits, relative_to_boxes(proposals)))
            boxes = torch.cat((boxes, proposals.boxes * scale))
    index = torch.arange(number) % len(boxes)
    return Proposals(
        torch.ones(number), boxes[index], logits[index], torch.zeros_like(index), HEIGHT, WIDTH
    )


def relative_to_boxes(proposals: Proposals) -> Tensor:
    """Logits (n, ``CELLS``, ``CELLS``), each mask stretched over its tight box."""
    windows, m = proposals.windows, proposals.logits.shape[-1]
    cell = (windows[:, 2:] - windows[:, :2]) / m
    boxes = (proposals.boxes - windows[:, :2].repeat(1, 2)) / cell.repeat(1, 2)
    each = torch.arange(len(boxes), dtype=boxes.dtype)[:, None]
    logits: Tensor = roi_align(
        proposals.logits[:, None],
        torch.cat((each, boxes), 1),
        output_size=CELLS,
        sampling_ratio=1,
        aligned=True,
    )
    return logits[:, 0]
