"""Logits of proposals -> labelled proposals: a score a category, suppression, mask voting."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from instancefcn.core.boxes import ious, nms
from instancefcn.core.candidates import cell_boxes
from instancefcn.core.errors import UserError
from instancefcn.core.proposals import Proposals
from instancefcn.core.types import Floats, Integers


@dataclass(frozen=True)
class Labelling:
    """How proposals become labelled ones.

    proposals: how many of the best are labelled; 300 in the paper (section 4.1). objectness: a
    score is the category's probability times this power of the proposal's score. overlap: of two
    masks of a category whose boxes have a higher IoU, the one with the lower score goes (0.3 in
    MNC). voting: a mask becomes the mean of those of its category whose boxes have at least this
    IoU with its own, weighted by their scores (0.5 in MNC, section 3.4 there); null: none does.
    min_score: none below. top: how many are kept. Raises UserError for values out of range.
    """

    proposals: int = 300
    objectness: float = 0.5
    overlap: float = 0.3
    voting: float | None = None
    min_score: float = 0.001
    top: int = 100

    def __post_init__(self) -> None:
        shares = {"overlap": self.overlap, "min_score": self.min_score, "voting": self.voting}
        for name, share in shares.items():
            if share is not None and not 0 <= share <= 1:
                raise UserError(f"labelling.{name}: {share}; give 0 to 1")
        if not 0 <= self.objectness <= 100:
            raise UserError(f"labelling.objectness: {self.objectness}; give 0 to 100")
        for name in ("proposals", "top"):
            if getattr(self, name) < 1:
                raise UserError(f"labelling.{name}: {getattr(self, name)}; give 1 or more")


def labelled(
    proposals: Proposals, logits: Floats, categories: Mapping[int, str], labelling: Labelling
) -> Proposals:
    """Proposals by their logits (n, 1 + C), background first, C the number of ``categories``.

    A mask may come again under another category. Invariant: each is one of ``proposals``, but for
    its score and label, unless masks vote. Equal scores keep their order.
    """
    boxes = cell_boxes(proposals.logits, proposals.windows, proposals.height, proposals.width)
    weight = proposals.scores.clip(min=0)[:, None] ** labelling.objectness
    scores = _softmax(logits)[:, 1:] * weight
    least = max(labelling.min_score, float(np.finfo(scores.dtype).tiny))
    mask, place = np.nonzero(scores >= least)
    order = np.argsort(-scores[mask, place], kind="stable")
    mask, place = mask[order], place[order]
    kept = _of_each(boxes[mask], place, labelling.overlap)[: labelling.top]
    mask, place = mask[kept], place[kept]
    result = proposals[mask]
    if labelling.voting is not None:
        near = ious(boxes[mask], boxes) >= labelling.voting
        result = replace(result, logits=_voted(proposals, result, scores.T[place] * near))
    ids = np.array(sorted(categories), np.int64)
    return replace(result, scores=scores[mask, place], labels=ids[place], categories=categories)


def _softmax(logits: Floats) -> Floats:
    powers = np.exp(logits - logits.max(1, keepdims=True))
    shares: Floats = powers / powers.sum(1, keepdims=True)
    return shares


def _of_each(boxes: Floats, place: Integers, limit: float) -> Integers:
    """The indices, ascending, of the boxes (n, 4), best first, that stay if each place (n,)
    suppresses its own.
    """
    groups = [np.flatnonzero(place == one) for one in np.unique(place)]
    stay = [group[nms(boxes[group], limit)] for group in groups]
    return np.sort(np.concatenate([place[:0], *stay]))


def _voted(voters: Proposals, masks: Proposals, shares: Floats) -> Floats:
    """Logits (k, m, m) of masks in their windows: of the mean, weighted by shares (k, n), of the
    probabilities that n voters have there.
    """
    voted = [
        _mean(voters[share > 0], window, share[share > 0])
        for window, share in zip(masks.windows, shares, strict=True)
    ]
    return np.stack(voted) if voted else masks.logits


def _mean(voters: Proposals, window: Floats, shares: Floats) -> Floats:
    """Logits (m, m) in a window (4,): of the mean, weighted by shares (n,), of n voters."""
    m = voters.logits.shape[-1]
    places = (np.arange(m, dtype=np.float32) + 0.5) / m
    x0, y0, x1, y1 = window
    across = _weights(x0 + places * (x1 - x0), voters.windows[:, ::2], m)
    down = _weights(y0 + places * (y1 - y0), voters.windows[:, 1::2], m)
    probability = (1 + np.tanh(voters.logits / 2)) / 2  # the sigmoid, which cannot overflow
    seen = down @ probability @ across.transpose(0, 2, 1)
    mean = ((seen * shares[:, None, None]).sum(0) / shares.sum()).clip(1e-6, 1 - 1e-6)
    logits: Floats = np.log(mean / (1 - mean))
    return logits


def _weights(places: Floats, sides: Floats, m: int) -> Floats:
    """What each of m cells along sides (n, 2) weighs at places (k,): (n, k, m).

    Bilinear between the cells' centres, 0 beyond the outermost cells.
    """
    first, last = sides.T[:, :, None]
    place = (places - first) / (last - first) * m - 0.5
    weights: Floats = 1 - np.abs(place[..., None] - np.arange(m, dtype=np.float32))
    return weights.clip(min=0)
