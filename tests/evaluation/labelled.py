"""Labelled objects and masks, made up: rectangles, some of them crowds, some pixels void."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from instancefcn.core.rle import encode
from instancefcn.core.types import AnnotatedImage, Instance, Rle, ScoredMask
from instancefcn.formats.coco.results import ranked

HEIGHT, WIDTH = 120, 160
CATEGORIES = {1: "cat", 2: "dog", 5: "cow"}
LACKING = 3
"""A category of masks that no object has."""


def box(x0: int, y0: int, x1: int, y1: int) -> Rle:
    mask = np.zeros((HEIGHT, WIDTH), np.bool_)
    mask[y0:y1, x0:x1] = True
    return encode(mask)


def annotated(
    *objects: tuple[Rle, int],
    crowds: Sequence[tuple[Rle, int]] = (),
    void: Rle | None = None,
    image_id: int = 1,
) -> AnnotatedImage:
    instances = (*(Instance(*o) for o in objects), *(Instance(*c, crowd=True) for c in crowds))
    return AnnotatedImage(image_id, Path(f"{image_id}.jpg"), HEIGHT, WIDTH, instances, void)


def random_box(rng: np.random.Generator) -> tuple[int, ...]:
    side = rng.choice([8, 30, 60, 110])
    w, h = np.minimum(rng.integers(side // 2, side * 2, 2), (WIDTH - 1, HEIGHT - 1))
    x, y = int(rng.integers(WIDTH - w)), int(rng.integers(HEIGHT - h))
    return x, y, x + int(w), y + int(h)


def near(rng: np.random.Generator, truth: tuple[int, ...]) -> tuple[int, ...]:
    x0, y0, x1, y1 = np.array(truth) + rng.integers(-5, 6, 4)
    x0, y0 = min(max(x0, 0), WIDTH - 1), min(max(y0, 0), HEIGHT - 1)
    return int(x0), int(y0), int(min(max(x1, x0 + 1), WIDTH)), int(min(max(y1, y0 + 1), HEIGHT))


def random_problem(
    seed: int, void: bool = False
) -> tuple[list[AnnotatedImage], dict[int, list[ScoredMask]]]:
    """Images without objects or masks among others; objects twice; few scores, so many ties."""
    rng = np.random.default_rng(seed)
    images, results = [], {}
    for image_id in range(1, 13):
        truths = [(random_box(rng), int(rng.choice([1, 2, 5]))) for _ in range(rng.integers(6))]
        truths += truths[: rng.integers(2)]
        crowds = [(box(*random_box(rng)), int(rng.choice([1, 2]))) for _ in range(rng.integers(3))]
        hidden = box(*random_box(rng)) if void and rng.random() < 0.7 else None
        objects = [(box(*truth), category) for truth, category in truths]
        images.append(annotated(*objects, crowds=crowds, void=hidden, image_id=image_id))
        masks = []
        for _ in range(rng.integers(30)):
            shape, category = random_box(rng), int(rng.choice([1, 2, LACKING, 5]))
            if truths and rng.random() < 0.7:
                truth, of_truth = truths[rng.integers(len(truths))]
                shape, category = near(rng, truth), of_truth if rng.random() < 0.8 else category
            masks.append(ScoredMask(box(*shape), float(rng.integers(20)) / 20, category))
        if masks:
            results[image_id] = ranked(masks)
    return images, results
