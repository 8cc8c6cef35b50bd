"""Hierarchies and their ranking on pictures of a few coloured parts."""

from __future__ import annotations

import numpy as np
import pytest
import skimage.data
from numpy.typing import NDArray

from instancefcn.baselines.features import Pixels
from instancefcn.baselines.grouping import colour, fill, size, texture
from instancefcn.baselines.selective_search import (
    STRATEGIES,
    Hierarchy,
    Strategy,
    hierarchies,
    selective_search,
)
from instancefcn.core.rle import decode
from instancefcn.core.types import Rle

SMALL = Strategy(("HSV", "Lab"), (50,), ((colour, texture, size, fill), (size,)))


def parts() -> Pixels:
    """A red and a blue square on a green ground, 40 x 60."""
    image = np.zeros((40, 60, 3), np.uint8)
    image[:] = (40, 160, 40)
    image[8:28, 5:25] = (200, 30, 30)
    image[12:32, 35:55] = (30, 30, 200)
    return image


def photo() -> Pixels:
    image: Pixels = skimage.data.astronaut()[:300:3, 100:400:3]
    return image


def all_masks(hierarchy: Hierarchy) -> list[NDArray[np.bool_]]:
    return [hierarchy.mask(region) for region in range(len(hierarchy.positions()))]


def search(image: Pixels, seed: int = 0, top: int = 1000) -> list[tuple[Rle, float]]:
    return selective_search(image, SMALL, np.random.default_rng(seed), top)


def test_the_strategies_are_the_publications() -> None:
    numbers = {
        name: len(s.colour_spaces) * len(s.scales) * len(s.similarities)
        for name, s in STRATEGIES.items()
    }
    assert numbers == {"fast": 8, "quality": 80}


def test_a_small_hierarchy_by_hand() -> None:
    hierarchy = Hierarchy(np.array([[0, 1, 2]]), np.array([[1, 2], [0, 3]]))
    np.testing.assert_array_equal(hierarchy.positions(), [5, 4, 3, 2, 1])
    expected = [[1, 0, 0], [0, 1, 0], [0, 0, 1], [0, 1, 1], [1, 1, 1]]
    found = [hierarchy.mask(region)[0] for region in range(5)]
    np.testing.assert_array_equal(found, expected)


def test_regions_cover_what_their_children_cover() -> None:
    found = list(hierarchies(photo(), SMALL))
    assert len(found) == 4
    for hierarchy in found:
        n = hierarchy.labels.max() + 1
        assert n > 5
        masks = all_masks(hierarchy)
        assert len(masks) == len(hierarchy.merges) + n == 2 * n - 1
        for i in range(n):
            np.testing.assert_array_equal(masks[i], hierarchy.labels == i)
        for new, (a, b) in enumerate(hierarchy.merges, n):
            assert not (masks[a] & masks[b]).any()
            np.testing.assert_array_equal(masks[new], masks[a] | masks[b])
        assert masks[-1].all()


def test_clear_objects_are_found() -> None:
    image = parts()
    masks = [decode(mask) for mask, _ in search(image)]
    for square in ((200, 30, 30), (30, 30, 200)):
        truth = (image == square).all(-1)
        best = max((m & truth).sum() / (m | truth).sum() for m in masks)
        assert best > 0.95


def test_segments_are_different_and_best_first() -> None:
    found = search(photo())
    scores = [score for _, score in found]
    assert scores == sorted(scores, reverse=True)
    assert 0 < scores[-1] <= scores[0] <= 1
    assert len({mask for mask, _ in found}) == len(found) > 20
    assert all((mask.height, mask.width) == (100, 100) for mask, _ in found)
    assert all(decode(mask).any() for mask, _ in found)


def test_all_segments_of_all_hierarchies_are_there_once() -> None:
    image = photo()
    expected = {
        mask.tobytes() for hierarchy in hierarchies(image, SMALL) for mask in all_masks(hierarchy)
    }
    found = [decode(mask).tobytes() for mask, _ in search(image, top=10_000)]
    assert set(found) == expected
    assert len(found) == len(expected)


def test_a_score_is_that_of_the_best_place() -> None:
    """Each segment against all its places, with the random numbers drawn again."""
    image = photo()
    generator = np.random.default_rng(3)
    best: dict[bytes, float] = {}
    for hierarchy in hierarchies(image, SMALL):
        masks = all_masks(hierarchy)
        for i, mask in enumerate(masks):
            value = (len(masks) - i) * generator.random()
            best[mask.tobytes()] = min(value, best.get(mask.tobytes(), np.inf))
    for rle, score in search(image, seed=3):
        assert score == pytest.approx(1 / (1 + best[decode(rle).tobytes()]))


def test_top_cuts_the_same_ranking() -> None:
    image = photo()
    assert search(image, top=7) == search(image)[:7]


def test_a_seed_settles_the_ranking_and_another_changes_it() -> None:
    image = photo()
    first = search(image, seed=1)
    assert search(image, seed=1) == first
    other = search(image, seed=2)
    assert other != first
    assert {mask for mask, _ in other} == {mask for mask, _ in first}


@pytest.mark.parametrize("shape", [(1, 1), (5, 1), (40, 30)])
@pytest.mark.parametrize("name", STRATEGIES)
def test_one_colour_is_one_segment(shape: tuple[int, int], name: str) -> None:
    image = np.full((*shape, 3), 90, np.uint8)
    ((mask, score),) = selective_search(image, STRATEGIES[name], np.random.default_rng(0))
    assert decode(mask).shape == shape
    assert decode(mask).all()
    assert 0.5 < score <= 1


@pytest.mark.parametrize("shape", [(240, 1, 3), (1, 240, 3)])
def test_an_image_one_pixel_wide(shape: tuple[int, ...]) -> None:
    """Three stretches of colour: whatever borders there are lie between them."""
    image = np.repeat(np.array([[250, 0, 0], [0, 250, 0], [0, 0, 250]], np.uint8), 80, axis=0)
    masks = [decode(mask).ravel() for mask, _ in search(image.reshape(shape))]
    stretches = {tuple(np.flatnonzero(np.diff(mask)) + 1) for mask in masks}
    assert stretches >= {(), (80,), (160,), (80, 160)}


def test_grey_images() -> None:
    image = np.repeat(photo()[..., :1], 3, axis=2)
    assert len(search(image)) > 20
    assert len(selective_search(image, STRATEGIES["fast"], np.random.default_rng(0))) > 20
