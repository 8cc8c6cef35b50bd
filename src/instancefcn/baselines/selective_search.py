"""Selective Search: segments of hierarchical groupings, from many strategies, ranked.

J. Uijlings, K. van de Sande, T. Gevers, A. Smeulders: Selective Search for Object Recognition,
IJCV 2013. A method without training to compare with; here it proposes segments, not boxes.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from instancefcn.baselines.features import (
    Floats,
    Integers,
    Pixels,
    colour_bins,
    texture_bins,
    to_colour_space,
)
from instancefcn.baselines.grouping import (
    Similarity,
    colour,
    describe,
    fill,
    group,
    neighbours,
    size,
    texture,
)
from instancefcn.core.extras import extra
from instancefcn.core.rle import encode
from instancefcn.core.types import Rle

with extra("baselines"):
    from skimage.segmentation import felzenszwalb

SIGMA = 0.8  # of the smoothing before superpixels are made


@dataclass(frozen=True)
class Strategy:
    """Groupings to make: one for each colour space, scale and sum of similarities.

    A scale is Felzenszwalb's k, for values from 0 to 255, and the smallest superpixel in pixels.
    """

    colour_spaces: tuple[str, ...]
    scales: tuple[int, ...]
    similarities: tuple[tuple[Similarity, ...], ...]


STRATEGIES = {
    "fast": Strategy(
        ("HSV", "Lab"),
        (50, 100),
        ((colour, texture, size, fill), (texture, size, fill)),
    ),
    "quality": Strategy(
        ("HSV", "Lab", "rgI", "H", "I"),
        (50, 100, 150, 300),
        ((colour, texture, size, fill), (texture, size, fill), (fill,), (size,)),
    ),
}
"""The two that the publication recommends: 8 groupings and 80."""


@dataclass(frozen=True, eq=False)
class Hierarchy:
    """A grouping of n superpixels: 2 n - 1 regions, in the order in which they came about.

    labels (H, W): the superpixel of each pixel, column by column in memory, as RLE runs.
    merges (n - 1, 2): see ``grouping.group``.
    """

    labels: Integers
    merges: Integers

    def mask(self, region: int) -> NDArray[np.bool_]:
        """(H, W) bool, for a region from 0 to 2 n - 2."""
        n = len(self.merges) + 1
        inside = np.zeros(n, np.bool_)
        ahead = [region]
        while ahead:
            part = ahead.pop()
            if part < n:
                inside[part] = True
            else:
                ahead.extend(self.merges[part - n].tolist())
        mask: NDArray[np.bool_] = inside[self.labels]
        return mask

    def positions(self) -> Integers:
        """(2 n - 1,): each region's place from the top; 1 is the whole image."""
        return np.arange(2 * len(self.merges) + 1, 0, -1)


def hierarchies(image: Pixels, strategy: Strategy) -> Iterator[Hierarchy]:
    """All groupings of an RGB image (H, W, 3) uint8."""
    for space in strategy.colour_spaces:
        channels = to_colour_space(image, space)
        colours, textures = colour_bins(channels), texture_bins(channels)
        for scale in strategy.scales:
            labels = felzenszwalb(channels, scale, SIGMA, scale)
            regions, pairs = describe(labels, colours, textures), neighbours(labels)
            columns = np.asfortranarray(labels)
            for similarities in strategy.similarities:
                yield Hierarchy(columns, group(regions, pairs, similarities))


def selective_search(
    image: Pixels, strategy: Strategy, generator: np.random.Generator, top: int = 1000
) -> list[tuple[Rle, float]]:
    """The best ``top`` segments of an RGB image (H, W, 3) uint8, each with its score.

    A segment's value is its position in its hierarchy times a random number from 0 to 1, so that
    large segments come early but not all of them first, as the publication combines locations. The
    lowest value is the best. A segment that several groupings found is there once, with the best
    of its values. Scores are 1 / (1 + value): in (0, 1], descending.
    """
    found = list(hierarchies(image, strategy))
    values = [generator.random(len(h.positions())) * h.positions() for h in found]
    segments: dict[Rle, float] = {}
    for mask, value in _ascending(found, values):
        segments.setdefault(mask, 1 / (1 + value))
        if len(segments) == top:
            break
    return list(segments.items())


def _ascending(found: list[Hierarchy], values: list[Floats]) -> Iterator[tuple[Rle, float]]:
    """The segments of all hierarchies by value, encoded as they are asked for."""
    places = [(h, region) for h, v in zip(found, values, strict=True) for region in range(len(v))]
    flat = np.concatenate(values)
    for index in np.argsort(flat, kind="stable").tolist():
        hierarchy, region = places[index]
        yield encode(hierarchy.mask(region)), float(flat[index])
