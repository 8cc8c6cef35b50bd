"""Logits of proposals -> labelled proposals: a score a category, suppression, mask voting."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import torch
from torch import Tensor
from torchvision.ops import batched_nms, box_iou

from instancefcn.core.candidates import cell_boxes
from instancefcn.core.errors import UserError
from instancefcn.core.proposals import Proposals
from instancefcn.labelling.rois import at_places


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
    proposals: Proposals, logits: Tensor, categories: Mapping[int, str], labelling: Labelling
) -> Proposals:
    """Proposals by their logits (n, 1 + C), background first, C the number of ``categories``.

    A mask may come again under another category. Invariant: each is one of ``proposals``, but for
    its score and label, unless masks vote. Equal scores keep their order.
    """
    boxes = cell_boxes(proposals.logits, proposals.windows, proposals.height, proposals.width)
    weight = proposals.scores.clamp(min=0)[:, None] ** labelling.objectness
    scores = logits.softmax(1)[:, 1:] * weight
    least = max(labelling.min_score, torch.finfo(scores.dtype).tiny)
    mask, place = (scores >= least).nonzero(as_tuple=True)
    flat = scores[mask, place]
    order = flat.argsort(descending=True, stable=True)
    mask, place, flat = mask[order], place[order], flat[order]
    falling = torch.arange(len(flat), 0, -1, dtype=torch.float32)  # no ties
    kept = batched_nms(boxes[mask], falling, place, labelling.overlap)[: labelling.top]
    result = proposals[mask[kept]]
    ids = torch.tensor(sorted(categories), dtype=torch.int64)
    if labelling.voting is not None:
        near = box_iou(boxes[mask[kept]], boxes) >= labelling.voting
        shares = scores.T[place[kept]] * near
        result = replace(result, logits=_voted(proposals, result, shares))
    return replace(result, scores=flat[kept], labels=ids[place[kept]], categories=categories)


def _voted(voters: Proposals, masks: Proposals, shares: Tensor) -> Tensor:
    """Logits (k, m, m) of masks in their windows: of the mean, weighted by shares (k, n), of the
    probabilities that n voters have there.
    """
    voted = [
        _mean(voters, window, share[share > 0], share > 0)
        for window, share in zip(masks.windows, shares, strict=True)
    ]
    return torch.stack(voted) if voted else masks.logits


def _mean(voters: Proposals, window: Tensor, shares: Tensor, chosen: Tensor) -> Tensor:
    m = voters.logits.shape[-1]
    places = (torch.arange(m) + 0.5) / m
    size = window[2:] - window[:2]
    x, y = window[0] + places * size[0], window[1] + places * size[1]
    logits, windows = voters.logits[chosen], voters.windows[chosen]
    probability = at_places(logits.sigmoid(), windows, x[None], y[None])
    mean = (probability * shares[:, None, None]).sum(0) / shares.sum()
    return torch.logit(mean, eps=1e-6)
