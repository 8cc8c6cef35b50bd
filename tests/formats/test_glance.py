"""What is sound at a glance is sound when it is drawn."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from instancefcn.core.rle import mask_area
from instancefcn.formats.coco.glance import LARGEST_SIDE, sound_at_a_glance
from instancefcn.formats.coco.records import Annotation, ImageEntry, to_rle
from instancefcn.formats.coco.spans import mask_problems

IMAGE = ImageEntry(3, "a.png", 60, 80)
SQUARE = [10, 10, 30, 10, 30, 30, 10, 30]
BOX = [10, 10, 20, 20]


def annotation(segmentation: Any, bbox: Any = BOX, image_id: int = 3) -> Annotation:
    return Annotation(1, image_id, 1, False, segmentation, bbox)


def at_a_glance(*annotations: Annotation) -> list[bool]:
    return sound_at_a_glance(annotations, {3: IMAGE})


def random_annotation(rng: np.random.Generator) -> Annotation:
    """One to three outlines, some of them crossing themselves, walked twice, or as thin as a hair;
    the box is theirs, but for an error that may be large.
    """
    outlines = []
    for _ in range(rng.integers(1, 4)):
        middle, reach = rng.uniform((0, 0), (80, 60)), rng.choice([1, 4, 15, 40])
        angles = rng.uniform(0, 2 * np.pi, rng.integers(3, 12))
        angles = np.sort(angles) if rng.random() < 0.7 else angles
        radii = reach * rng.uniform(0.3, 1, len(angles))
        points = middle + radii[:, None] * np.stack([np.cos(angles), np.sin(angles)], 1)
        points[:, 1] = middle[1] + (points[:, 1] - middle[1]) * rng.choice([0.01, 1, 1, 1])
        points = points.clip((-2, -2), (82, 62)) if rng.random() < 0.9 else points
        points = np.tile(points, (2, 1)) if rng.random() < 0.1 else points
        outlines.append(points.round(2))
    every = np.concatenate(outlines)
    low, high = every.min(0), every.max(0)
    box = np.append(low, high - low) + rng.normal(0, rng.choice([0, 1, 5]), 4)
    return annotation([outline.ravel().tolist() for outline in outlines], box.tolist())


def is_sound(drawn: Annotation) -> bool:
    mask = to_rle(drawn.segmentation, IMAGE.height, IMAGE.width)
    return mask_area(mask) > 0 and not list(mask_problems(drawn, mask, IMAGE))


def test_what_is_sound_at_a_glance_is_sound_when_it_is_drawn() -> None:
    rng = np.random.default_rng(0)
    made = [random_annotation(rng) for _ in range(4000)]
    found = [sound for i in range(0, 4000, 100) for sound in at_a_glance(*made[i : i + 100])]
    drawn = [is_sound(each) for each in made]
    assert all(really for really, sound in zip(drawn, found, strict=True) if sound)
    assert 0.3 * sum(drawn) < sum(found) < sum(drawn) < 3500


def test_each_is_judged_alone() -> None:
    rng = np.random.default_rng(1)
    made = [random_annotation(rng) for _ in range(200)]
    assert at_a_glance(*made) == [at_a_glance(each)[0] for each in made]
    assert at_a_glance() == []


@pytest.mark.parametrize(
    "segmentation",
    [
        [SQUARE],
        [[*SQUARE, 10, 10]],
        [SQUARE, [20, 20, 21, 20, 21, 21]],
        [[10, 10, 30, 10, 30, 10, 30, 30, 10, 30]],
        [[float(value) for value in SQUARE]],
    ],
    ids=["a square", "closed", "and a dot", "a point twice", "floats"],
)
def test_ordinary_annotations_need_not_be_drawn(segmentation: Any) -> None:
    assert at_a_glance(annotation(segmentation)) == [True]


@pytest.mark.parametrize(
    ("segmentation", "changes"),
    [
        ([SQUARE * 2], {}),  # twice around is outside, as COCO fills it
        ([[10, 10, 30, 10, 30, 12, 12, 12, 12, 28, 30, 28, 30, 30, 10, 30]], {}),  # a C
        ([[10, 10, 13, 10, 13, 13, 10, 13]], {"bbox": [10, 10, 3, 3]}),
        ([SQUARE], {"bbox": [10, 10, 30, 30]}),
        ([SQUARE], {"bbox": [10, 10, -20, 20]}),
        ([SQUARE], {"bbox": None}),
        ([SQUARE], {"bbox": [10, 10, 20, "20"]}),
        ([SQUARE], {"bbox": [10, 10, 20, True]}),
        ([SQUARE], {"bbox": [10, 10, 20, 10**400]}),
        ([SQUARE], {"bbox": [10, 10, 20, float("inf")]}),
        ([SQUARE], {"image_id": 4}),
        ([[70, 10, 90, 10, 90, 30, 70, 30]], {"bbox": [70, 10, 20, 20]}),
        ([[*SQUARE, float("nan"), 20]], {}),
        ([[*SQUARE, 20]], {}),
        ([SQUARE, [15, 15]], {}),
        ([SQUARE, None], {}),
        ([], {}),
        ({"size": [60, 80], "counts": [4800]}, {}),
        (None, {}),
    ],
)
def test_all_else_is_for_the_closer_look(segmentation: Any, changes: Any) -> None:
    assert at_a_glance(annotation(segmentation, **changes)) == [False]


def test_what_drawing_would_refuse_is_not_sound() -> None:
    wide = {3: ImageEntry(3, "a.png", 60, LARGEST_SIDE + 1)}
    assert sound_at_a_glance([annotation([SQUARE])], wide) == [False]
    assert at_a_glance(annotation([SQUARE + [10, 30] * 10_000])) == [False]
