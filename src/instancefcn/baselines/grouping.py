"""Hierarchical grouping of superpixels by similarity.

Selective Search (Uijlings et al., IJCV 2013), algorithm 1 and section 3.2.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from heapq import heapify, heappop, heappush
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from instancefcn.baselines.features import COLOUR_BINS, TEXTURE_BINS, Floats, Integers, histograms
from instancefcn.core.extras import extra

with extra("baselines"):
    from scipy.ndimage import find_objects


@dataclass(frozen=True, eq=False)
class Regions:
    """What the similarities know of n regions of an image.

    sizes (n,) in pixels; boxes (n, 4) tight around them, (x0, y0, x1, y1) half open; colour (n, C)
    and texture (n, T) histograms, each row adding up to 1; pixels: the image's own number.
    """

    sizes: Floats
    boxes: Floats
    colour: Floats
    texture: Floats
    pixels: int

    def __len__(self) -> int:
        return len(self.sizes)

    def with_room(self, number: int) -> Regions:
        """A copy with ``number`` rows of zeros after the regions', for ``merge`` to fill."""

        def longer(rows: Floats) -> Floats:
            return np.concatenate([rows, np.zeros((number, *rows.shape[1:]))])

        histograms = longer(self.colour), longer(self.texture)
        return Regions(longer(self.sizes), longer(self.boxes), *histograms, self.pixels)

    def merge(self, a: int, b: int, into: int) -> None:
        """Write the union of the regions a and b into the row ``into``, without their pixels: a
        histogram of a union is the mean of the two, weighted by size.
        """
        self.sizes[into] = self.sizes[a] + self.sizes[b]
        self.boxes[into] = _union(self.boxes[a], self.boxes[b])
        share = self.sizes[a] / self.sizes[into]
        for rows in (self.colour, self.texture):
            rows[into] = share * rows[a] + (1 - share) * rows[b]


Similarity: TypeAlias = Callable[[Regions, Any, Any], Floats]
"""(regions, a, b) -> how alike the regions a and b are, in 0..1: each one index or (e,) of them."""


def colour(regions: Regions, a: Any, b: Any) -> Floats:
    """What the colour histograms have in common."""
    return _intersection(regions.colour, a, b)


def texture(regions: Regions, a: Any, b: Any) -> Floats:
    """What the texture histograms have in common."""
    return _intersection(regions.texture, a, b)


def size(regions: Regions, a: Any, b: Any) -> Floats:
    """The share of the image that is in neither: small regions merge first."""
    similarity: Floats = 1 - (regions.sizes[a] + regions.sizes[b]) / regions.pixels
    return similarity


def fill(regions: Regions, a: Any, b: Any) -> Floats:
    """1 less the share of the image that is in the box around both but in neither: regions that fit
    into each other merge first.
    """
    box = _union(regions.boxes[a], regions.boxes[b])
    area = (box[..., 2] - box[..., 0]) * (box[..., 3] - box[..., 1])
    similarity: Floats = 1 - (area - regions.sizes[a] - regions.sizes[b]) / regions.pixels
    return similarity


def describe(labels: Integers, colour_bins: Integers, texture_bins: Integers) -> Regions:
    """The regions of labels (H, W) from 0 to n - 1, none left out.

    ``colour_bins`` and ``texture_bins``, each (channels, H, W), are those of ``features``.
    """
    slices = find_objects(labels + 1)
    boxes = [(x.start, y.start, x.stop, y.stop) for y, x in slices]
    return Regions(
        sizes=np.bincount(labels.ravel()).astype(np.float64),
        boxes=np.array(boxes, np.float64),
        colour=histograms(labels, colour_bins, COLOUR_BINS),
        texture=histograms(labels, texture_bins, TEXTURE_BINS),
        pixels=labels.size,
    )


def neighbours(labels: Integers) -> Integers:
    """Pairs (e, 2) of labels that share a side of a pixel, each once and the lower label first.

    Labels of a whole image hang together by these pairs, however its regions look.
    """
    sides = ((labels[:, :-1], labels[:, 1:]), (labels[:-1], labels[1:]))
    pairs = np.concatenate([np.stack([a.ravel(), b.ravel()], 1) for a, b in sides])
    pairs = np.sort(pairs[pairs[:, 0] != pairs[:, 1]], axis=1)
    n = int(labels.max()) + 1
    return np.stack(np.divmod(np.unique(pairs[:, 0] * n + pairs[:, 1]), n), 1)


def group(regions: Regions, pairs: Integers, similarities: Sequence[Similarity]) -> Integers:
    """Merge the two most similar neighbours, time and again, until one region is left.

    ``pairs`` (e, 2) of the n regions are neighbours. Returns the merges (n - 1, 2): the i-th makes
    region n + i of two that are there by then. How similar two regions are is the sum of their
    ``similarities``; of equals the pair with the lowest numbers merges first. Every region but the
    last is merged once.
    """
    n = len(regions)
    tree = regions.with_room(n - 1)
    near: list[set[int]] = [set() for _ in range(2 * n - 1)]
    for a, b in pairs.tolist():
        near[a].add(b)
        near[b].add(a)
    # Entries of regions that are merged already stay in the heap until they come up.
    heap = _entries(tree, pairs[:, 0], pairs[:, 1], similarities)
    heapify(heap)
    gone: set[int] = set()
    merges: list[tuple[int, int]] = []
    while len(merges) < n - 1:
        _, a, b = heappop(heap)
        if a in gone or b in gone:
            continue
        new = n + len(merges)
        tree.merge(a, b, new)
        merges.append((a, b))
        gone.update((a, b))
        near[new] = (near[a] | near[b]) - {a, b}
        for other in near[new]:
            near[other] -= {a, b}
            near[other].add(new)
        others = np.array(sorted(near[new]), np.intp)
        for entry in _entries(tree, others, np.full(len(others), new), similarities):
            heappush(heap, entry)
    return np.array(merges, np.intp).reshape(-1, 2)


def _entries(
    regions: Regions, a: Integers, b: Integers, similarities: Sequence[Similarity]
) -> list[tuple[float, int, int]]:
    """For a heap that hands out the most similar pair first."""
    total = sum((s(regions, a, b) for s in similarities), np.zeros(len(a)))
    return list(zip((-total).tolist(), a.tolist(), b.tolist(), strict=True))


def _intersection(rows: Floats, a: Any, b: Any) -> Floats:
    common: Floats = np.minimum(rows[a], rows[b]).sum(-1)
    return common


def _union(a: Floats, b: Floats) -> NDArray[np.float64]:
    """The boxes (..., 4) around both."""
    return np.concatenate(
        [np.minimum(a[..., :2], b[..., :2]), np.maximum(a[..., 2:], b[..., 2:])], axis=-1
    )
