"""What is to be written of one image."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from instancefcn.core.drawing import paste
from instancefcn.core.proposals import Proposals
from instancefcn.core.rle import mask_area
from instancefcn.core.types import Rle, ScoredMask


@dataclass(frozen=True)
class Source:
    """An image file, and what the outputs call it.

    file_name: in COCO files. stem: of its own outputs, a path without a suffix, theirs alone.
    """

    path: Path
    image_id: int
    file_name: str
    stem: str


@dataclass(frozen=True)
class Prediction:
    """An image (H, W, 3) uint8 RGB, its proposals, none of them empty, and their masks."""

    source: Source
    pixels: NDArray[np.uint8]
    proposals: Proposals
    masks: Sequence[Rle]

    @classmethod
    def of(cls, source: Source, pixels: NDArray[np.uint8], proposals: Proposals) -> Prediction:
        """Leaves out what covers no pixel: a small image's pixels are larger than the cells."""
        masks = list(proposals.masks())
        kept = [i for i, mask in enumerate(masks) if mask_area(mask)]
        return cls(source, pixels, proposals[np.array(kept, np.int64)], [masks[i] for i in kept])


@dataclass(frozen=True)
class ImageMasks:
    """What one file for all images says of an image: its size and its masks, best first."""

    height: int
    width: int
    masks: Sequence[ScoredMask]

    @classmethod
    def of(cls, prediction: Prediction) -> ImageMasks:
        proposals = prediction.proposals
        scores = map(short_score, proposals.scores.tolist())
        each = zip(prediction.masks, scores, proposals.labels.tolist(), strict=True)
        return cls(proposals.height, proposals.width, [ScoredMask(*said) for said in each])

    def to_json(self) -> dict[str, Any]:
        """``of_json`` is its inverse."""
        masks = [[mask.counts.decode("ascii"), *rest] for mask, *rest in self.masks]
        return {"height": self.height, "width": self.width, "masks": masks}

    @classmethod
    def of_json(cls, record: Mapping[str, Any]) -> ImageMasks:
        height, width = record["height"], record["width"]
        masks = [
            ScoredMask(Rle(height, width, counts.encode("ascii")), *rest)
            for counts, *rest in record["masks"]
        ]
        return cls(height, width, masks)


def short_score(score: float) -> float:
    """A score's six leading digits; all the others of a float32 are noise. Keeps the order."""
    return float(f"{score:.6g}")


def crop(proposals: Proposals, index: int) -> tuple[int, int, NDArray[np.bool_]]:
    """One mask cut out: (x, y, mask (h, w) bool), its first pixel at (x, y) of the image.

    No pixel outside is foreground, and the image's size does not matter to the cost: what is
    pasted is the part of the window that lies on the image.
    """
    window = proposals.windows[index]
    first = np.floor(window[:2]).clip(min=0)
    last = np.minimum(np.ceil(window[2:]), (proposals.width, proposals.height))
    x, y, width, height = map(int, (*first, *(last - first)))
    return x, y, paste(proposals.logits[index], window - np.tile(first, 2), height, width)
