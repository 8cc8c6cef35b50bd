"""Candidates -> proposals: non-maximum suppression and the order of the masks that stay.

Paper, section 3.3. None of this knows what made the candidates.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import inf

import numpy as np

from instancefcn.core.boxes import nms
from instancefcn.core.candidates import Candidates
from instancefcn.core.errors import UserError
from instancefcn.core.proposals import Proposals
from instancefcn.core.types import Floats, Integers


@dataclass(frozen=True)
class Selection:
    """How many windows are filled, and which of the masks stay.

    windows_per_side: the best by objectness at each size of the image, so that what one size shows
    does not crowd out another's. overlap: of two masks whose tight boxes have
    a higher IoU, the one with the lower score goes (0.8 in the paper, section 3.3). top: how many
    proposals are kept. min_score: none below. confidence: a score is the window's objectness
    times this power of the mask's ``confidence``; 0 is the paper's ranking. repeats: for each of
    these limits the score of a mask is halved if its box has a higher IoU than that with the box
    of a better mask that is no repeat itself; it may be the same object again, or another in
    front of it. Empty in the paper. Raises UserError for values out of range.
    """

    windows_per_side: int = 1000
    overlap: float = 0.8
    top: int = 1000
    min_score: float = 0.0
    confidence: float = 0.0
    repeats: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        for name in ("overlap", "min_score", "repeats"):
            value = getattr(self, name)
            shares = value if isinstance(value, tuple) else (value,)
            if not all(0 <= share <= 1 for share in shares):
                raise UserError(f"selection.{name}: {value}; give 0 to 1")
        if not 0 <= self.confidence < inf:
            raise UserError(f"selection.confidence: {self.confidence}; give 0 or more")
        for name in ("windows_per_side", "top"):
            if getattr(self, name) < 1:
                raise UserError(f"selection.{name}: {getattr(self, name)}; give 1 or more")


def ranked(candidates: Candidates, height: int, width: int, selection: Selection) -> Proposals:
    """The proposals of one image of height x width pixels.

    Equal scores keep the order of the candidates, so that the ranking is deterministic.
    """
    kept, scores = suppress(candidates.boxes, candidates.scores, selection)
    best = candidates[kept]
    return Proposals(scores, best.windows, best.logits, best.level, height, width, best.answers)


def suppress(boxes: Floats, scores: Floats, selection: Selection) -> tuple[Integers, Floats]:
    """Non-maximum suppression of n boxes: the indices of those that stay, best first, and their
    scores, repeats halved. None without area stays.
    """
    drawn = np.flatnonzero((boxes[:, 2:] > boxes[:, :2]).all(1))
    order = drawn[np.argsort(-scores[drawn], kind="stable")]
    boxes, final = boxes[order], scores[order]
    for limit in selection.repeats:
        repeats = np.ones(len(order), np.bool_)
        repeats[nms(boxes, limit)] = False
        final[repeats] /= 2
    kept = nms(boxes, selection.overlap)
    kept = kept[np.argsort(-final[kept], kind="stable")][: selection.top]
    kept = kept[final[kept] >= selection.min_score]
    return order[kept], final[kept]
