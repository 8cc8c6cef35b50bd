"""Which objects touch another of their kind, by rectangles a known number of pixels apart."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from instancefcn.core.rle import encode
from instancefcn.core.types import AnnotatedImage, Instance
from instancefcn.evaluation.recall import match, summarize
from instancefcn.evaluation.touching import touching_only

HEIGHT, WIDTH = 30, 60


def image_of(*objects: tuple[int, int, int, bool]) -> AnnotatedImage:
    """Bars over the height of the image: columns x0 .. x1, category, crowd."""
    instances = []
    for x0, x1, category, crowd in objects:
        mask = np.zeros((HEIGHT, WIDTH), np.bool_)
        mask[:, x0:x1] = True
        instances.append(Instance(encode(mask), category, crowd))
    return AnnotatedImage(1, Path("image.png"), HEIGHT, WIDTH, tuple(instances))


def counted(image: AnnotatedImage, gap: float | None = 8) -> list[bool]:
    return [not instance.crowd for instance in touching_only(image, gap).instances]


def test_an_image_without_objects() -> None:
    assert counted(image_of()) == []


@pytest.mark.parametrize(("gap", "expected"), [(3, False), (4, True), (9, True)])
def test_a_gap_is_counted_from_pixel_to_pixel(gap: float, expected: bool) -> None:
    """Columns 9 and 13 are four apart."""
    image = image_of((0, 10, 1, False), (13, 20, 1, False))
    assert counted(image, gap) == [expected, expected]


def test_voc_has_a_ring_between_objects_that_touch() -> None:
    """Columns 9 and 14 are five apart, and the five are void, or background."""
    image = image_of((0, 10, 1, False), (14, 20, 1, False))
    void = np.zeros((HEIGHT, WIDTH), np.bool_)
    void[:, 10:14] = True
    assert counted(replace(image, void=encode(void)), None) == [True, True]
    assert counted(image, None) == [False, False]


CASES = {
    "one object": ([(0, 10, 1, False)], [False]),
    "of different kinds": ([(0, 10, 1, False), (10, 20, 2, False)], [False, False]),
    "beside a crowd": ([(0, 10, 1, False), (10, 20, 1, True)], [False, False]),
    "three in a row, one far away": (
        [(0, 5, 1, False), (5, 10, 1, False), (12, 20, 1, False), (40, 50, 1, False)],
        [True, True, True, False],
    ),
    "overlapping": ([(0, 10, 1, False), (5, 20, 1, False)], [True, True]),
}


@pytest.mark.parametrize(("objects", "expected"), CASES.values(), ids=CASES.keys())
def test_by_hand(objects: list[tuple[int, int, int, bool]], expected: list[bool]) -> None:
    assert counted(image_of(*objects)) == expected


def test_recall_is_of_the_objects_that_touch() -> None:
    """Of three objects, one alone: a proposal for each of the others finds all that count."""
    image = image_of((0, 10, 1, False), (12, 20, 1, False), (40, 50, 1, False))
    proposals = [instance.mask for instance in image.instances[:2]]
    report = summarize([match(touching_only(image, 8), proposals)])
    assert report.objects["all"] == 2
    assert report.average(10) == 1
    assert summarize([match(image, proposals)]).average(10) == pytest.approx(2 / 3)
