"""Overlaps and suppression of boxes, against torchvision to the bit."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torchvision.ops import box_iou
from torchvision.ops import nms as oracle

from instancefcn.core.boxes import PAIRS, ious, nms
from instancefcn.core.types import Floats

LIMITS = (0.0, 0.3, 0.5, 0.8, 0.9, 1.0)


def random_boxes(n: int, step: float | None = None, seed: int = 0) -> Floats:
    """On an image of 100 pixels; corners on a grid of ``step`` pixels make equal boxes and IoUs
    that are simple fractions.
    """
    generator = np.random.default_rng(seed)
    corners, sizes = generator.random((2, n, 2)) * np.array([70, 30])[:, None, None]
    boxes = np.concatenate((corners, corners + sizes + 0.1), 1)
    boxes = boxes if step is None else np.ceil(boxes / step) * step
    return boxes.astype(np.float32)


@pytest.mark.parametrize("limit", LIMITS)
@pytest.mark.parametrize("step", [None, 0.7, 2.0, 10.0])
@pytest.mark.parametrize("n", [1, 64, 65, 1000])
def test_what_stays_is_what_torchvision_keeps(n: int, step: float | None, limit: float) -> None:
    boxes = random_boxes(n, step)
    expected = oracle(torch.from_numpy(boxes), torch.arange(n, 0, -1.0), limit)
    np.testing.assert_array_equal(nms(boxes, limit), expected)


def test_so_many_that_they_are_compared_in_many_parts() -> None:
    boxes = random_boxes(PAIRS // 32)
    expected = oracle(torch.from_numpy(boxes), torch.arange(len(boxes), 0, -1.0), 0.2)
    np.testing.assert_array_equal(nms(boxes, 0.2), expected)


def test_of_no_box_none_stays() -> None:
    none = np.zeros((0, 4), np.float32)
    assert nms(none, 0.5).tolist() == []
    assert ious(none, random_boxes(3)).shape == (0, 3)
    assert ious(random_boxes(3), none).shape == (3, 0)


def test_a_box_that_goes_makes_none_go() -> None:
    boxes = np.array([[0, 0, 10, 10], [0, 4, 10, 14], [0, 8, 10, 18]], np.float32)
    assert nms(boxes, 0.4).tolist() == [0, 2]  # 6 / 14 = 0.43 each, of neighbours
    assert nms(boxes, 0.43).tolist() == [0, 1, 2]


def test_boxes_without_area_overlap_nothing() -> None:
    boxes = np.array([[0, 0, 0, 0], [0, 0, 0, 0], [0, 0, 5, 5], [2, 2, 2, 4]], np.float32)
    assert nms(boxes, 0.0).tolist() == [0, 1, 2, 3]


@pytest.mark.parametrize("step", [None, 2.0])
def test_overlaps_are_those_of_torchvision(step: float | None) -> None:
    boxes, others = random_boxes(60, step), random_boxes(90, step, seed=1)
    overlap = ious(boxes, others)
    assert overlap.dtype == np.float32
    expected = box_iou(torch.from_numpy(boxes), torch.from_numpy(others))
    np.testing.assert_array_equal(overlap, expected)
