"""Similarities worked out by hand; merging against a search that counts pixels anew."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

import numpy as np
import pytest
from numpy.typing import NDArray

from instancefcn.baselines.features import COLOUR_BINS, TEXTURE_BINS, Integers
from instancefcn.baselines.grouping import (
    Regions,
    Similarity,
    colour,
    describe,
    fill,
    group,
    neighbours,
    size,
    texture,
)

COMBINATIONS: dict[str, tuple[Similarity, ...]] = {
    "all": (colour, texture, size, fill),
    "without colour": (texture, size, fill),
    "size": (size,),
    "fill": (fill,),
}


def hand_made() -> Regions:
    """Three regions of an image of 4 x 5 pixels: a column, the 2 x 2 beside it, the rest."""
    return Regions(
        sizes=np.array([4.0, 4.0, 12.0]),
        boxes=np.array([[0, 0, 1, 4], [1, 0, 3, 2], [1, 0, 5, 4]], np.float64),
        colour=np.array([[0.5, 0.5, 0], [0.25, 0.25, 0.5], [0, 0, 1]]),
        texture=np.array([[1.0, 0], [0.75, 0.25], [0, 1]]),
        pixels=20,
    )


def random_image(seed: int, height: int = 9, width: int = 11) -> tuple[Integers, ...]:
    """Labels of blocks with ragged sides, and bins of colour and texture."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:height, :width] + rng.integers(0, 2, (2, height, width))
    _, flat = np.unique((y // 3 * 100 + x // 4).ravel(), return_inverse=True)
    bins = (rng.integers(0, n, (3, height, width)) for n in (COLOUR_BINS, TEXTURE_BINS))
    return (flat.reshape(height, width), *bins)


def test_similarities_by_hand() -> None:
    regions = hand_made()
    a, b = np.array([0, 0, 1]), np.array([1, 2, 2])
    np.testing.assert_allclose(colour(regions, a, b), [0.5, 0, 0.5])
    np.testing.assert_allclose(texture(regions, a, b), [0.75, 0, 0.25])
    np.testing.assert_allclose(size(regions, a, b), [1 - 8 / 20, 1 - 16 / 20, 1 - 16 / 20])
    # Boxes around both: 3 x 4, 5 x 4, 4 x 4.
    np.testing.assert_allclose(fill(regions, a, b), [1 - 4 / 20, 1 - 4 / 20, 1])


@pytest.mark.parametrize("similarity", COMBINATIONS["all"])
def test_similarities_are_symmetric_and_from_0_to_1(similarity: Similarity) -> None:
    labels, *bins = random_image(0)
    regions, pairs = describe(labels, *bins), neighbours(labels)
    found = similarity(regions, pairs[:, 0], pairs[:, 1])
    np.testing.assert_allclose(found, similarity(regions, pairs[:, 1], pairs[:, 0]))
    assert found.shape == (len(pairs),)
    assert found.min() >= 0
    assert found.max() <= 1


def test_a_union_by_hand() -> None:
    regions = hand_made().with_room(1)
    regions.merge(1, 2, into=3)
    assert regions.sizes[3] == 16
    np.testing.assert_array_equal(regions.boxes[3], [1, 0, 5, 4])
    np.testing.assert_allclose(regions.colour[3], [0.0625, 0.0625, 0.875])
    np.testing.assert_allclose(regions.texture[3], [0.1875, 0.8125])


def test_regions_by_hand() -> None:
    labels = np.array([[0, 0, 1], [2, 0, 1]])
    regions = describe(labels, np.zeros((1, 2, 3), np.intp), np.ones((1, 2, 3), np.intp))
    np.testing.assert_array_equal(regions.sizes, [3, 2, 1])
    np.testing.assert_array_equal(regions.boxes, [[0, 0, 2, 2], [2, 0, 3, 2], [0, 1, 1, 2]])
    np.testing.assert_array_equal(regions.colour, np.eye(COLOUR_BINS)[[0, 0, 0]])
    np.testing.assert_array_equal(regions.texture, np.eye(TEXTURE_BINS)[[1, 1, 1]])
    assert regions.pixels == 6


@pytest.mark.parametrize(
    ("labels", "expected"),
    [
        ([[0]], []),
        ([[0, 0], [0, 0]], []),
        ([[0], [1], [1], [2]], [[0, 1], [1, 2]]),
        ([[0, 1], [1, 0]], [[0, 1]]),
        ([[0, 1], [2, 3]], [[0, 1], [0, 2], [1, 3], [2, 3]]),  # corners do not count
    ],
)
def test_neighbours_by_hand(labels: list[list[int]], expected: list[list[int]]) -> None:
    np.testing.assert_array_equal(neighbours(np.array(labels)), np.reshape(expected, (-1, 2)))


def anew(
    masks: Sequence[NDArray[np.bool_]], bins: Sequence[Integers], similarities: Sequence[Similarity]
) -> float:
    """The similarity of two masks (H, W) bool, from their pixels and nothing else."""
    labels = np.where(masks[0], 0, np.where(masks[1], 1, 2))
    regions = describe(labels, *bins)
    return round(sum(float(s(regions, 0, 1)) for s in similarities), 9)


def naive(
    labels: Integers, bins: Sequence[Integers], similarities: Sequence[Similarity]
) -> Integers:
    """Merges that look at all pairs of masks, and at all their pixels, each time."""
    masks = {i: labels == i for i in range(labels.max() + 1)}
    merges = []
    while len(masks) > 1:
        best = None
        for a, b in combinations(sorted(masks), 2):
            of_both = np.where(masks[a], 1, np.where(masks[b], 2, 0))
            product = np.concatenate(
                [(of_both[1:] * of_both[:-1]).ravel(), (of_both[:, 1:] * of_both[:, :-1]).ravel()]
            )
            if not (product == 2).any():  # 1 beside 2: they touch
                continue
            total = anew((masks[a], masks[b]), bins, similarities)
            if best is None or total > best[0]:
                best = (total, a, b)
        assert best is not None
        _, a, b = best
        merges.append((a, b))
        masks[len(merges) + labels.max()] = masks.pop(a) | masks.pop(b)
    return np.array(merges)


@pytest.mark.parametrize("name", ["all", "without colour"])
@pytest.mark.parametrize("seed", range(4))
def test_merges_are_those_of_a_search_over_pixels(name: str, seed: int) -> None:
    labels, *bins = random_image(seed)
    found = group(describe(labels, *bins), neighbours(labels), COMBINATIONS[name])
    np.testing.assert_array_equal(found, naive(labels, bins, COMBINATIONS[name]))


@pytest.mark.parametrize("name", COMBINATIONS)
def test_merged_rows_are_those_counted_from_pixels(name: str) -> None:
    labels, *bins = random_image(5)
    regions = describe(labels, *bins)
    n = len(regions)
    merges = group(regions, neighbours(labels), COMBINATIONS[name])
    tree = regions.with_room(n - 1)
    masks = [labels == i for i in range(n)]
    for new, (a, b) in enumerate(merges, n):
        tree.merge(a, b, new)
        masks.append(masks[a] | masks[b])
        counted = describe(np.where(masks[new], 0, 1), *bins)
        assert tree.sizes[new] == counted.sizes[0]
        np.testing.assert_array_equal(tree.boxes[new], counted.boxes[0])
        np.testing.assert_allclose(tree.colour[new], counted.colour[0])
        np.testing.assert_allclose(tree.texture[new], counted.texture[0])
    assert masks[-1].all()


@pytest.mark.parametrize("name", COMBINATIONS)
@pytest.mark.parametrize("seed", range(5))
def test_each_region_but_the_last_is_merged_once(name: str, seed: int) -> None:
    labels, *bins = random_image(seed, 15, 17)
    n = labels.max() + 1
    merges = group(describe(labels, *bins), neighbours(labels), COMBINATIONS[name])
    assert merges.shape == (n - 1, 2)
    np.testing.assert_array_equal(np.sort(merges.ravel()), np.arange(2 * n - 2))
    assert (merges.max(1) < n + np.arange(n - 1)).all()


def test_equals_merge_by_their_numbers() -> None:
    labels = np.array([[0, 1, 2, 3]])
    flat = np.zeros((1, 1, 4), np.intp)
    merges = group(describe(labels, flat, flat), neighbours(labels), [size])
    np.testing.assert_array_equal(merges, [[0, 1], [2, 3], [4, 5]])


def test_the_alike_merge_first() -> None:
    labels = np.array([[0, 1, 2]])
    bins = np.array([[[3, 9, 9]]])
    merges = group(describe(labels, bins, bins % 2), neighbours(labels), [colour])
    np.testing.assert_array_equal(merges, [[1, 2], [0, 3]])


def test_one_region_merges_with_none() -> None:
    labels = np.zeros((3, 4), np.intp)
    flat = np.zeros((1, 3, 4), np.intp)
    assert group(describe(labels, flat, flat), neighbours(labels), [size]).shape == (0, 2)
