"""Run-length encoding against pycocotools and by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
from numpy.typing import NDArray
from pycocotools import mask as coco_mask

from instancefcn.core.rle import (
    decode,
    decode_columns,
    encode,
    mask_area,
    mask_box,
    polygons_to_rle,
    rle_from_coco,
    rle_to_coco,
)

BLOB = np.zeros((4, 5), np.bool_)
BLOB[1:3, 2:4] = True
BLOB_RUNS = [9, 2, 2, 2, 5]  # column by column, background first


def random_mask(seed: int) -> NDArray[np.bool_]:
    rng = np.random.default_rng(seed)
    shape = rng.integers(1, 30, 2)
    return rng.random(shape) < rng.random()


@pytest.mark.parametrize("value", [False, True])
@pytest.mark.parametrize("shape", [(1, 1), (1, 7), (7, 1), (3, 5)])
def test_uniform_masks_survive(shape: tuple[int, int], value: bool) -> None:
    mask = np.full(shape, value)
    np.testing.assert_array_equal(decode(encode(mask)), mask)


@pytest.mark.parametrize("seed", range(20))
def test_decode_undoes_encode_in_any_memory_order(seed: int) -> None:
    mask = random_mask(seed)
    wide = np.repeat(mask, 2, axis=1)
    for view in (mask, np.asfortranarray(mask), wide[:, ::2]):
        rle = encode(view)
        assert (rle.height, rle.width) == mask.shape
        np.testing.assert_array_equal(decode(rle), mask)


def test_runs_go_down_the_columns() -> None:
    # An image whose rows and columns were mixed up would have the runs 7, 2, 3, 2, 6.
    assert rle_from_coco({"size": [4, 5], "counts": BLOB_RUNS}) == encode(BLOB)


@pytest.mark.parametrize("seed", range(20))
def test_coco_dictionaries_survive_and_are_pycocotools_own(seed: int) -> None:
    mask = random_mask(seed)
    rle = encode(mask)
    segmentation = rle_to_coco(rle)
    assert isinstance(segmentation["counts"], str)
    assert rle_from_coco(segmentation) == rle
    assert rle_from_coco({**segmentation, "counts": rle.counts}) == rle
    assert coco_mask.area(segmentation) == mask.sum()


def test_runs_longer_than_one_group_of_bits_survive() -> None:
    runs = [0, 1, 100_000, 31, 16, 15, 899_937]  # differences of either sign, up to four groups
    rle = rle_from_coco({"size": [1000, 1000], "counts": runs})
    assert rle_from_coco(rle_to_coco(rle)) == rle
    ends = (np.cumsum(runs)[1:-1] - 1).tolist()
    assert np.flatnonzero(np.diff(decode(rle).ravel(order="F"))).tolist() == ends


@pytest.mark.parametrize(
    "counts",
    ["", "n0", "05", "5", "garbage~~~", "é", "\ud800", "d0P", "PPPPPPPPPP0", b"\x00\xff", [], [19],
     [21], [-1, 21], [10**30], [20.0]],
)  # fmt: skip
def test_counts_that_do_not_fill_the_mask_are_refused(counts: object) -> None:
    with pytest.raises(ValueError, match=r"^an RLE's (runs|counts) .*"):
        rle_from_coco({"size": [4, 5], "counts": counts})


@pytest.mark.parametrize("size", [None, [], [4], [4, 0], [4, -5], [4.0, 5], "45", [4, 5, 1]])
def test_sizes_that_are_none_are_refused(size: object) -> None:
    with pytest.raises(ValueError, match=r"^an RLE's size is \[height, width\]"):
        rle_from_coco({"size": size, "counts": "d0"})


def test_a_polygon_fills_the_pixels_it_spans() -> None:
    assert polygons_to_rle([[2, 1, 4, 1, 4, 3, 2, 3]], 4, 5) == encode(BLOB)


def test_polygons_unite() -> None:
    left, right = [2, 1, 3, 1, 3, 3, 2, 3], [3, 1, 4, 1, 4, 3, 3, 3]
    assert polygons_to_rle([left, right, left], 4, 5) == encode(BLOB)


def test_no_polygon_and_polygons_off_the_image_are_empty() -> None:
    empty = encode(np.zeros((4, 5), np.bool_))
    assert polygons_to_rle([], 4, 5) == empty
    assert polygons_to_rle([[10, 10, 20, 10, 20, 20]], 4, 5) == empty


@pytest.mark.parametrize(
    "polygon", [[], [0, 0, 4, 4], [0, 0, 4, 4, 0], [0, 0, 4, 4, 0, math.nan], [0, 0, 4, 4, 0, 1e9],
                [0, 0, 4, 4, 0, "4"]],
)  # fmt: skip
def test_polygons_that_are_none_are_refused(polygon: list[float]) -> None:
    with pytest.raises(ValueError, match=r"^a polygon is a list"):
        polygons_to_rle([[0, 0, 4, 0, 4, 4], polygon], 4, 5)


def test_area_and_box_are_those_of_the_pixels() -> None:
    mask = np.zeros((6, 8), np.bool_)
    assert mask_area(encode(mask)) == 0
    mask[1, 2] = mask[4, 6] = True
    assert mask_area(encode(mask)) == 2
    assert mask_box(encode(mask)) == (2, 1, 5, 4)


@pytest.mark.parametrize("seed", range(5))
def test_columns_are_decoded_as_of_the_whole_mask(seed: int) -> None:
    mask = np.random.default_rng(seed).random((6, 9)) < 0.5
    mask[:, 4:6] = seed % 2 == 0
    for first in range(10):
        for last in range(first, 10):
            found = decode_columns(encode(mask), first, last)
            np.testing.assert_array_equal(found, mask[:, first:last])
