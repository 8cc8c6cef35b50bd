"""Void shared out: cases drawn by hand, and a nearest-neighbour search as the oracle."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.ndimage import distance_transform_edt

from instancefcn.core.rle import decode, encode
from instancefcn.core.types import AnnotatedImage, Instance
from instancefcn.data.void import share_out

VOID = 9


def image_of(labels: NDArray[np.int_]) -> AnnotatedImage:
    """0 is background, ``VOID`` void, and any other value an object."""
    objects = sorted(set(labels.ravel().tolist()) - {0, VOID})
    return AnnotatedImage(
        image_id=1,
        path=Path("image.png"),
        height=labels.shape[0],
        width=labels.shape[1],
        instances=tuple(Instance(encode(labels == i), category=1) for i in objects),
        void=encode(labels == VOID),
    )


def labels_of(image: AnnotatedImage) -> NDArray[np.int_]:
    """The inverse of ``image_of``; a pixel of two objects fails."""
    assert image.void is not None
    masks = [decode(i.mask) for i in image.instances]
    void = decode(image.void)
    assert (np.sum([void, *masks], axis=0) <= 1).all()
    labels = np.where(void, VOID, 0)
    for i, mask in enumerate(masks, start=1):
        labels[mask] = i
    return labels


def row(text: str) -> NDArray[np.int_]:
    """Five equal rows, so that nearest means nearest along the row."""
    return np.array([[int(c) for c in text]] * 5)


CASES = {
    "no void": ("0110", "0110"),
    "nothing but void": ("9999", "9999"),
    "a ring of four is halved": ("1199990000", "1111000000"),
    "between two objects": ("1199992222", "1111222222"),
    "between background and background": ("0099990000", "0000000000"),
    "wider than twice the reach: its middle stays void": ("1999999990", "1111990000"),
}


@pytest.mark.parametrize(("before", "after"), CASES.values(), ids=CASES.keys())
def test_by_hand(before: str, after: str) -> None:
    assert labels_of(share_out(image_of(row(before)))).tolist() == row(after).tolist()


def test_of_a_ring_of_five_nothing_is_left() -> None:
    """VOC's own; its middle is as near to the object as to the background."""
    result = labels_of(share_out(image_of(row("1199999000"))))[0].tolist()
    assert result in ([1, 1, 1, 1, middle, 0, 0, 0, 0, 0] for middle in (0, 1))


def test_an_image_without_void_stays_as_it_is() -> None:
    image = AnnotatedImage(1, Path("image.png"), 4, 4, ())
    assert share_out(image) is image


@pytest.mark.parametrize("seed", range(5))
def test_against_a_search_for_the_nearest(seed: int) -> None:
    """Each shared pixel has the label of a judged one that is nearest but for OpenCV's rounding of
    distances; judged pixels stay; what is left of void is farther off than the reach.
    """
    generator = np.random.default_rng(seed)
    labels = np.kron(generator.integers(0, 4, (6, 8)), np.ones((9, 9), np.int_))
    labels[generator.random(labels.shape) < 0.02] = VOID
    labels[:, 20:27] = labels[30:39, :] = VOID
    before = labels_of(image_of(labels))
    after = labels_of(share_out(image_of(labels)))

    void = before == VOID
    assert (after[~void] == before[~void]).all()
    distance: NDArray[np.float64] = distance_transform_edt(void)
    assert (after[distance > 3.2] == VOID).all()
    assert (after[distance < 2.8] != VOID).all()
    y, x = np.nonzero(~void)
    for i, j in zip(*np.nonzero(void & (after != VOID)), strict=True):
        to_judged = np.hypot(y - i, x - j)
        nearly = to_judged <= to_judged.min() + 0.2
        assert after[i, j] in before[y[nearly], x[nearly]]
