"""Crops: where the object lands, how large it is, and what is drawn without one."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TypeAlias

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision.ops import masks_to_boxes

from instancefcn.core.rle import encode
from instancefcn.core.types import AnnotatedImage, Instance
from instancefcn.data.crops import ObjectCrops

HEIGHT, WIDTH = 90, 120
Box: TypeAlias = tuple[int, int, int, int]


def image_of(folder: Path, *boxes: Box, crowds: Sequence[bool] = ()) -> AnnotatedImage:
    pixels = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    instances = []
    for i, (x0, y0, x1, y1) in enumerate(boxes):
        mask = np.zeros((HEIGHT, WIDTH), np.bool_)
        mask[y0:y1, x0:x1] = True
        pixels[mask] = 255
        instances.append(Instance(encode(mask), category=1, crowd=bool(crowds and crowds[i])))
    path = folder / "image.png"
    Image.fromarray(pixels).save(path)
    return AnnotatedImage(1, path, HEIGHT, WIDTH, tuple(instances))


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("mirrored", [0.0, 1.0])
def test_an_object_lands_in_the_middle_at_its_size(tmp_path: Path, mirrored: float) -> None:
    """40 x 30 pixels become 64 x 48 amid a crop of 100: 18 .. 82 by 26 .. 74."""
    image = image_of(tmp_path, (20, 30, 60, 60))
    crops = ObjectCrops(100, side=64, jitter=1, shift=0, mirrored=mirrored)
    seen = set()
    for seed in range(20):
        sample = crops(image, seeded(seed))
        assert sample.image.shape == (3, 100, 100)
        if len(sample.masks):
            seen.add(
                tuple(masks_to_boxes(sample.masks)[0].add(torch.tensor([0, 0, 1, 1])).tolist())
            )
    assert (18, 26, 82, 74) in seen
    assert len(seen) > 1  # half of the crops lie anywhere


def test_about_half_of_the_crops_are_around_an_object(tmp_path: Path) -> None:
    image = image_of(tmp_path, (2, 2, 22, 12))
    crops = ObjectCrops(100, side=64, jitter=1.2, shift=10, enlarged=9)
    centred = 0
    for seed in range(200):
        placement = crops.place(image, seeded(seed))
        scale = placement.width / WIDTH
        assert 64 / 1.2 - 1 <= 20 * scale <= 64 * 1.2 + 1
        middle = 12 * scale if not placement.mirrored else placement.width - 12 * scale
        off = abs(middle + placement.x - 50), abs(7 * scale + placement.y - 50)
        centred += max(off) <= 11
    assert 80 < centred < 140


def test_every_object_has_its_turn_and_no_crowd(tmp_path: Path) -> None:
    image = image_of(
        tmp_path, (0, 0, 10, 10), (20, 20, 40, 40), (50, 0, 90, 40), crowds=(False, True, False)
    )
    crops = ObjectCrops(64, side=32, jitter=1, shift=0, enlarged=4)
    scales = {crops.place(image, seeded(seed)).width / WIDTH for seed in range(40)}
    assert scales == {32 / 10, 32 / 40}


def test_the_smallest_objects_are_enlarged_no_further(tmp_path: Path) -> None:
    image = image_of(tmp_path, (0, 0, 2, 2))
    placements = [ObjectCrops(64, enlarged=3).place(image, seeded(seed)) for seed in range(9)]
    assert {(p.width, p.height) for p in placements} == {(3 * WIDTH, 3 * HEIGHT)}


def test_an_image_without_objects_is_seen_as_a_whole(tmp_path: Path) -> None:
    sample = ObjectCrops(64, side=60, jitter=1)(image_of(tmp_path), seeded(0))
    assert sample.masks.shape == (0, 64, 64)
    assert not sample.image.eq(255).any()


def test_a_crop_follows_from_its_generator(tmp_path: Path) -> None:
    image = image_of(tmp_path, (20, 30, 60, 60), (70, 10, 90, 80))
    first, again, other = (ObjectCrops(64)(image, seeded(seed)) for seed in (5, 5, 6))
    assert torch.equal(first.image, again.image)
    assert torch.equal(first.masks, again.masks)
    assert first.seed == again.seed != other.seed


def test_an_object_without_a_pixel_is_never_the_middle(tmp_path: Path) -> None:
    image = image_of(tmp_path, (5, 5, 5, 5), (20, 20, 40, 40))
    crops = ObjectCrops(64, side=32, jitter=1, shift=0, enlarged=4)
    assert {crops.place(image, seeded(seed)).width for seed in range(9)} == {WIDTH * 32 // 20}
