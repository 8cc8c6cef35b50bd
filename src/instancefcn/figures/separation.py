"""What a picture of score maps shows of one image: maps, windows, and what they copy.

Paper, section 3.1 and figures 1 and 3. Shapes follow the legend in ``types``.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice

import numpy as np
from numpy.typing import NDArray

from instancefcn.core.assembling import parts
from instancefcn.core.errors import UserError
from instancefcn.core.level import Level
from instancefcn.core.look import Look
from instancefcn.core.proposals import Proposals
from instancefcn.core.types import Floats
from instancefcn.formats.overlay import WEAKEST, worth_drawing
from instancefcn.inference.predictor import Predictor
from instancefcn.inference.ranking import ranked
from instancefcn.inference.torch_engine import TorchEngine
from instancefcn.inference.windows import filled
from instancefcn.network.fcn import Branch
from instancefcn.network.heads import ScoreMapHead

MOST = 4
"""How many windows are shown: more would hide the maps."""

LEADERS = 20
"""How many of the best proposals choose the level, and how many windows are chosen from."""


@dataclass(frozen=True)
class ScoreMaps:
    """k x k score maps of one image.

    logits (k, k, H, W) float32; [i, j] is the map of part (i, j), rows first. cell: width and
    height of a cell in pixels of the image; cell (0, 0) begins at the image's corner, and the
    last ones may reach beyond it.
    """

    logits: Floats
    cell: tuple[float, float]

    def __post_init__(self) -> None:
        assert self.logits.ndim == 4
        assert self.logits.shape[0] == self.logits.shape[1]

    @property
    def k(self) -> int:
        return len(self.logits)

    @property
    def size(self) -> tuple[float, float]:
        """Width and height in pixels of the image."""
        height, width = self.logits.shape[2:]
        return width * self.cell[0], height * self.cell[1]


@dataclass(frozen=True)
class Separation:
    """One level of an image and the few windows that show how it separates instances.

    pixels (H, W, 3) uint8 RGB; number: the level's, from 1, of ``count`` levels; m: cells along
    a window's side; proposals: of windows of this level alone, so that ``proposals.windows`` are
    what their m x m cells span and ``proposals.logits`` what was copied from ``maps``.
    """

    pixels: NDArray[np.uint8]
    number: int
    count: int
    m: int
    maps: ScoreMaps
    proposals: Proposals

    def part_boxes(self) -> Floats:
        """What each window copies from each map: boxes (k, k, n, 4) float32 in pixels.

        A window's k * k boxes tile it; a part without cells (k > m) has an empty box.
        """
        k, m, n = self.maps.k, self.m, len(self.proposals)
        edges = np.searchsorted(parts(m, k).numpy(), np.arange(k + 1)).astype(np.float32) / m
        x0, y0, x1, y1 = self.proposals.windows.T
        x = x0 + edges[:, None] * (x1 - x0)  # (k + 1, n)
        y = y0 + edges[:, None] * (y1 - y0)
        left, right = x[None, :-1], x[None, 1:]
        top, bottom = y[:-1, None], y[1:, None]
        sides = (np.broadcast_to(side, (k, k, n)) for side in (left, top, right, bottom))
        return np.stack(list(sides), 3)


def separate(
    predictor: Predictor, ks: Sequence[int], pixels: NDArray[np.uint8], number: int | None = None
) -> Separation:
    """What to show of an image (H, W, 3) uint8 RGB; on the level ``number``, from 1, or by
    default on the one that ``busiest`` finds.

    ks: of ``parts_of_levels``. Each window's mask is copied from the maps shown, cell by cell.
    """
    height, width = pixels.shape[:2]
    levels = levels_of(predictor, pixels)
    if number is None:
        number = 1 + busiest(predictor(pixels))
    level, selection = levels[number - 1], predictor.settings.selection
    candidates = filled([level], height, width, selection).candidates(Look(1))
    chosen = choose(ranked(candidates, height, width, selection))
    maps = _score_maps(level, ks[number - 1])
    return Separation(pixels, number, len(levels), level.grid.m, maps, chosen)


def levels_of(predictor: Predictor, pixels: NDArray[np.uint8]) -> list[Level]:
    """All levels of an image (H, W, 3) uint8 RGB, in its pixels, as ``Proposals.level`` counts."""
    engine = _engine(predictor)
    return [level for sampling in predictor.samplings(pixels) for level in engine.levels(sampling)]


def plain_map(fcn: Predictor, pixels: NDArray[np.uint8], like: Separation) -> ScoreMaps:
    """The one map of a plain FCN (k = 1), of its level most like the one shown: in the size of
    a cell, then in that of a window. It is that very level's if it differs in nothing but k.
    """

    def unlike(level: Level) -> tuple[float, int]:
        ratio = level.grid.cell[0] / like.maps.cell[0]
        return round(abs(math.log(ratio)), 3), abs(level.grid.m - like.m)

    return _score_maps(min(levels_of(fcn, pixels), key=unlike), 1)


def parts_of_levels(predictor: Predictor, name: str) -> list[int]:
    """The k of each level that a predictor makes, in order; ``name`` is for messages.

    Raises UserError for a network whose masks are not assembled from score maps.
    """
    ks = [
        _parts(branch, name)
        for branch in _engine(predictor).network.all_branches()
        for _ in branch.pairs
    ]
    return ks * len(predictor.settings.sides)


def require_plain(ks: Sequence[int], name: str) -> None:
    """Raises UserError unless k is 1 on all levels; ``name`` is for messages."""
    if set(ks) != {1}:
        raise UserError(
            f"{name}: k = {max(ks)}, and a plain FCN has one score map; give a model that was "
            "trained with k: 1"
        )


def busiest(proposals: Proposals) -> int:
    """The index of the level on which most of the best proposals lie; of equals the one with the
    better proposal, and 0 if there is no proposal.

    The best are up to ``LEADERS``, down to ``WEAKEST`` of the best one's score.
    """
    worst = proposals.scores[:1] * WEAKEST
    count = int((proposals.scores[:LEADERS] >= worst).sum())
    owners = Counter(proposals.level[:count].tolist())
    return max(owners, key=owners.__getitem__, default=0)


def choose(proposals: Proposals) -> Proposals:
    """A few of the best, those that touch first: separating them is what the maps are for.

    At most ``MOST`` of the first ``LEADERS`` of ``worth_drawing``: the best that touches another,
    then always the best that touches one of those chosen, or else the best that is left. Two touch
    if their tight boxes do. Sorted by score, as given.
    """
    distinct = list(islice(worth_drawing(proposals), LEADERS))
    candidates = proposals[np.array(distinct, np.int64)]
    touch = _gaps(candidates.boxes) <= 0
    chosen: list[int] = []
    left = list(range(len(candidates)))
    while left and len(chosen) < MOST:
        others = chosen or left
        adjoining = (i for i in left if touch[i, [j for j in others if j != i]].any())
        chosen.append(next(adjoining, left[0]))
        left.remove(chosen[-1])
    return candidates[np.array(sorted(chosen), np.int64)]


def _gaps(boxes: Floats) -> Floats:
    """Pixels between boxes (n, 4), along the axis that parts them most: (n, n), 0 or less where
    they touch.
    """
    first = np.maximum(boxes[:, None, :2], boxes[:, :2])
    last = np.minimum(boxes[:, None, 2:], boxes[:, 2:])
    gaps: Floats = (first - last).max(2)
    return gaps


def _score_maps(level: Level, k: int) -> ScoreMaps:
    maps = level.maps[0].numpy(force=True)
    return ScoreMaps(maps.reshape(k, k, *maps.shape[1:]), level.grid.cell)


def _engine(predictor: Predictor) -> TorchEngine:
    if not isinstance(predictor.engine, TorchEngine):
        raise UserError(
            "score maps are shown of a network that torch runs; give a model file of "
            "`instancefcn train`, or one that ships"
        )
    return predictor.engine


def _parts(branch: Branch, name: str) -> int:
    if not isinstance(branch.mask_head, ScoreMapHead):
        raise UserError(
            f"{name}: its {type(branch.mask_head).__name__} has no k x k score maps to show; "
            "give a model whose mask head is a ScoreMapHead"
        )
    return branch.mask_head.k
