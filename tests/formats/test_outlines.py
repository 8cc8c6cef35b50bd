from __future__ import annotations

import cv2
import numpy as np
import pytest

from instancefcn.core.rle import decode, polygons_to_rle
from instancefcn.formats.outlines import Points, joined, outlines
from predictions import Mask, disc


def blobs(seed: int) -> Mask:
    """Shapes of every coarseness, down to single pixels, with holes and islands in them."""
    rng = np.random.default_rng(seed)
    height, width, coarse = (int(n) for n in rng.integers(1, [40, 40, 9]))
    field = rng.normal(size=(max(1, height // coarse), max(1, width // coarse)))
    smooth = cv2.resize(field, (width, height), interpolation=cv2.INTER_LINEAR)
    mask: Mask = smooth.reshape(height, width) > 0.3
    return mask


def filled(mask: Mask) -> tuple[Mask, int]:
    """The mask with its holes filled, and their number, by flooding from outside."""
    outside = np.pad(~mask, 1, constant_values=True).astype(np.uint8)
    _, regions = cv2.connectedComponents(outside, connectivity=4)
    whole: Mask = (regions != regions[0, 0])[1:-1, 1:-1]
    deep, _ = cv2.connectedComponents((whole & ~mask).astype(np.uint8), connectivity=4)
    return whole, deep - 1


def drawn(parts: list[Points], mask: Mask) -> Mask:
    return decode(polygons_to_rle([part.ravel().tolist() for part in parts], *mask.shape))


def test_outlines_calculated_by_hand() -> None:
    assert outlines(np.zeros((3, 4), np.bool_)) == ([], 0)
    pixel = np.zeros((3, 4), np.bool_)
    pixel[1, 2] = True
    (edges,), holes = outlines(pixel)
    assert {tuple(point) for point in edges.tolist()} == {(2.5, 1), (3, 1.5), (2.5, 2), (2, 1.5)}
    assert holes == 0
    ring = np.ones((3, 3), np.bool_)
    ring[1, 1] = False
    (square,), holes = outlines(ring, 0)
    assert holes == 1
    assert {tuple(point) for point in square.tolist()} == {
        *((0.5, 0), (2.5, 0), (0.5, 3), (2.5, 3)),
        *((0, 0.5), (0, 2.5), (3, 0.5), (3, 2.5)),
    }


@pytest.mark.parametrize("seed", range(60))
def test_outlines_enclose_the_mask(seed: int) -> None:
    mask = blobs(seed)
    whole, _ = filled(mask)
    exact, _ = outlines(mask, 0)
    np.testing.assert_array_equal(drawn(exact, mask), whole)
    rough = drawn(outlines(mask).parts, mask)
    border = np.ones((3, 3), np.uint8)  # the masks are so small that the tolerance is too
    inner = cv2.erode(np.pad(whole, 1).astype(np.uint8), border)[1:-1, 1:-1].astype(bool)
    outer = cv2.dilate(whole.astype(np.uint8), border).astype(bool)
    assert rough[inner].all()
    assert not rough[~outer].any()
    assert rough.any() == mask.any()
    assert (rough ^ whole).sum() <= 0.05 * whole.sum()


@pytest.mark.parametrize("seed", range(60))
def test_joined_parts_enclose_no_more_than_the_parts(seed: int) -> None:
    mask = blobs(seed)
    parts, _ = outlines(mask, 0)
    if parts:
        np.testing.assert_array_equal(drawn([joined(parts)], mask), filled(mask)[0])


def test_holes_are_counted_and_what_lies_in_them_is_not_a_part() -> None:
    mask = disc(99, 49, 49, 45) & ~disc(99, 49, 49, 35) | disc(99, 49, 49, 20)
    mask |= disc(99, 3, 3, 2)
    mask &= ~disc(99, 49, 8, 1)
    parts, holes = outlines(mask)
    assert (len(parts), holes) == (2, 2)


def test_outlines_have_few_points() -> None:
    (circle,), _ = outlines(disc(401, 200, 200, 180))
    assert len(circle) < 60, "of 1,100 pixels along it"
