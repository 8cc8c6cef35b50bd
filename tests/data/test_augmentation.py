"""Rendering against boxes moved by hand; jitter and pasting by what must stay true."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeAlias

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor
from torchvision.ops import masks_to_boxes

from instancefcn.core.rle import encode
from instancefcn.core.sample import Sample
from instancefcn.core.types import AnnotatedImage, Instance
from instancefcn.data.augmentation import (
    LargeScaleJitter,
    copy_paste,
    jitter_colours,
    render,
)
from instancefcn.data.placement import Placement

Box: TypeAlias = tuple[int, int, int, int]
Draw: TypeAlias = Callable[..., AnnotatedImage]
HEIGHT, WIDTH = 24, 32
SIZE = 20


def mask_of(box: Box, height: int = HEIGHT, width: int = WIDTH) -> NDArray[np.bool_]:
    mask = np.zeros((height, width), np.bool_)
    mask[box[1] : box[3], box[0] : box[2]] = True
    return mask


@pytest.fixture
def draw(tmp_path: Path) -> Draw:
    """An image of white boxes on black, each an instance; void is grey."""

    def write(
        boxes: Sequence[Box], crowds: Sequence[bool] | None = None, void: Box | None = None
    ) -> AnnotatedImage:
        pixels = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
        for box in boxes:
            pixels[mask_of(box)] = 255
        path = tmp_path / "image.png"
        Image.fromarray(pixels).save(path)
        return AnnotatedImage(
            image_id=1,
            path=path,
            height=HEIGHT,
            width=WIDTH,
            instances=tuple(
                Instance(encode(mask_of(box)), category=1, crowd=crowd)
                for box, crowd in zip(boxes, crowds or [False] * len(boxes), strict=True)
            ),
            void=None if void is None else encode(mask_of(void)),
        )

    return write


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


# --- rendering

PLACEMENTS = [
    Placement(WIDTH, HEIGHT, 0, 0, mirrored=False),
    Placement(WIDTH, HEIGHT, 0, 0, mirrored=True),
    Placement(WIDTH, HEIGHT, -7, -3, mirrored=False),
    Placement(WIDTH, HEIGHT, 5, 2, mirrored=True),
    Placement(2 * WIDTH, 2 * HEIGHT, -13, -9, mirrored=False),
    Placement(2 * WIDTH, 2 * HEIGHT, -13, -9, mirrored=True),
    Placement(WIDTH // 2, HEIGHT // 2, 1, 3, mirrored=False),
    Placement(WIDTH // 2, HEIGHT // 2, 1, 3, mirrored=True),
    Placement(2 * WIDTH, HEIGHT // 2, -11, 4, mirrored=True),
]


def moved(box: Box, placement: Placement) -> Box:
    """Where a box lands on the sample, by the definition of a placement, cut off at its borders."""
    across, down = placement.width / WIDTH, placement.height / HEIGHT
    x0, x1 = box[0] * across, box[2] * across
    if placement.mirrored:
        x0, x1 = placement.width - x1, placement.width - x0
    ends = [
        (x0, placement.x),
        (box[1] * down, placement.y),
        (x1, placement.x),
        (box[3] * down, placement.y),
    ]
    landed = [min(max(int(end) + start, 0), SIZE) for end, start in ends]
    return landed[0], landed[1], landed[2], landed[3]


@pytest.mark.parametrize("placement", PLACEMENTS)
def test_a_box_lands_where_its_placement_says(draw: Draw, placement: Placement) -> None:
    box = (8, 4, 20, 16)
    sample = render(draw([box]), placement, SIZE, SIZE, seed=3)
    expected = moved(box, placement)
    assert masks_to_boxes(sample.masks).add(torch.tensor([0, 0, 1, 1])).tolist() == [list(expected)]
    assert torch.equal(sample.masks[0], torch.from_numpy(mask_of(expected, SIZE, SIZE)))
    assert sample.seed == 3


@pytest.mark.parametrize(
    "placement", [*PLACEMENTS, Placement(23, 31, -2, -5, True), Placement(9, 17, 8, 2, False)]
)
def test_image_masks_and_void_move_together(draw: Draw, placement: Placement) -> None:
    boxes: list[Box] = [(3, 5, 13, 17), (18, 2, 29, 9)]
    sample = render(draw(boxes), placement, SIZE, SIZE, seed=0)
    image = torch.from_numpy(mask_of(moved((0, 0, WIDTH, HEIGHT), placement), SIZE, SIZE))
    white = sample.image[0] > 127
    assert torch.equal(white & image, sample.masks.any(0))
    assert (sample.image[:, ~image] == 128).all()
    for box in boxes:
        sample = render(draw([box], void=box), placement, SIZE, SIZE, seed=0)
        assert torch.equal(sample.void, sample.masks.any(0))


def test_a_placement_by_hand(draw: Draw) -> None:
    # Twice as large, mirrored: 64 wide; x 8..20 -> 16..40 -> 24..48, moved by -20 to 4..28.
    placement = Placement(64, 48, -20, -6, mirrored=True)
    sample = render(draw([(8, 4, 20, 16)]), placement, height=30, width=40, seed=0)
    assert sample.image.shape == (3, 30, 40)
    assert torch.equal(sample.masks[0], torch.from_numpy(mask_of((4, 2, 28, 26), 30, 40)))


def test_objects_left_without_a_pixel_go_with_their_crowd_flags(draw: Draw) -> None:
    boxes: list[Box] = [(0, 0, 4, 4), (8, 8, 14, 14), (16, 8, 20, 14)]
    placement = Placement(WIDTH, HEIGHT, -6, -6, mirrored=False)
    sample = render(draw(boxes, [False, True, False]), placement, SIZE, SIZE, seed=0)
    assert len(sample.masks) == 2
    assert sample.crowds.tolist() == [True, False]


def test_an_image_without_objects(draw: Draw) -> None:
    sample = render(draw([]), PLACEMENTS[0], SIZE, SIZE, seed=0)
    assert sample.masks.shape == (0, SIZE, SIZE)
    assert sample.crowds.shape == (0,)
    assert not sample.void.any()


# --- large-scale jitter


def test_placements_keep_to_their_ranges() -> None:
    augmentation = LargeScaleJitter(size=200, scales=(0.5, 2.0), aspect=1.2)
    placements = [augmentation.place(400, 300, seeded(seed)) for seed in range(300)]
    for p in placements:
        assert 0.99 * 0.5 <= (p.width * p.height / (400 * 300)) ** 0.5 * 400 / 200 <= 2.0 * 1.01
        assert 1 / 1.21 <= (p.width / p.height) / (400 / 300) <= 1.21
        for position, side in ((p.x, p.width), (p.y, p.height)):
            assert min(0, 200 - side) <= position <= max(0, 200 - side)
    assert 0.4 < np.mean([p.mirrored for p in placements]) < 0.6
    assert 0.4 < np.mean([p.width * p.height > 200 * 150 for p in placements]) < 0.6
    assert len({(p.x, p.y) for p in placements}) > 250


@pytest.mark.parametrize("size", [(1, 1), (1, 500), (500, 1)])
def test_the_smallest_images_keep_a_pixel(size: tuple[int, int]) -> None:
    for seed in range(20):
        placement = LargeScaleJitter(size=20).place(*size, seeded(seed))
        assert min(placement.width, placement.height) >= 1


def test_a_sample_follows_from_its_generator(draw: Draw) -> None:
    augmentation = LargeScaleJitter(SIZE)
    image = draw([(8, 4, 20, 16)])
    one, again, other = (augmentation(image, seeded(seed)) for seed in (1, 1, 2))
    for name in ("image", "masks", "crowds", "void"):
        assert torch.equal(getattr(one, name), getattr(again, name))
    assert one.seed == again.seed != other.seed
    assert not torch.equal(one.image, other.image)
    assert one.image.shape == (3, SIZE, SIZE)


# --- colours


def noise(seed: int = 0) -> Tensor:
    return torch.randint(256, (3, 12, 16), dtype=torch.uint8, generator=seeded(seed))


@pytest.mark.parametrize("strength", [0.0, 0.4, 1.0])
@pytest.mark.parametrize("value", [0, 128, 255])
def test_colours_keep_their_type_and_a_grey_image_stays_grey(strength: float, value: int) -> None:
    for seed in range(10):
        image = jitter_colours(torch.full_like(noise(), value), strength, seeded(seed))
        assert image.dtype == torch.uint8
        assert image.shape == (3, 12, 16)
        assert len(image.unique()) == 1  # type: ignore[no-untyped-call]


def test_colours_change_by_strength() -> None:
    assert torch.equal(jitter_colours(noise(), 0.0, seeded()), noise())
    weak, strong = (
        (jitter_colours(noise(), strength, seeded()).float() - noise().float()).abs().mean()
        for strength in (0.1, 0.5)
    )
    assert 0 < weak < strong


def test_colours_follow_from_their_generator() -> None:
    one, again, other = (jitter_colours(noise(), 0.4, seeded(seed)) for seed in (1, 1, 2))
    assert torch.equal(one, again)
    assert not torch.equal(one, other)


# --- copy and paste


def tiles(seed: int, crowds: Sequence[bool] = (False,) * 6) -> Sample:
    """Six disjoint tiles on noise, their arrangement drawn from a seed; a stripe of void."""
    corners = [(x, y) for y in (0, 8) for x in (0, 7, 14)]
    order = torch.randperm(6, generator=seeded(seed))
    boxes: list[Box] = [
        (corners[i][0], corners[i][1], corners[i][0] + 4 + seed % 3, corners[i][1] + 6)
        for i in order
    ]
    void = np.zeros((16, 24), np.bool_)
    void[:, 21 + seed % 3] = True
    return Sample(
        image=torch.randint(256, (3, 16, 24), dtype=torch.uint8, generator=seeded(seed)),
        masks=torch.from_numpy(np.stack([mask_of(box, 16, 24) for box in boxes])),
        crowds=torch.tensor(crowds),
        categories=10 * seed + torch.arange(6),
        void=torch.from_numpy(void),
        seed=seed,
    )


@pytest.mark.parametrize("seed", range(8))
def test_pasting_keeps_objects_apart_and_whole(seed: int) -> None:
    sample, source = tiles(1), tiles(2 + 3 * seed)  # its tiles are a pixel wider
    result = copy_paste(sample, source, seeded(seed))
    assert result.masks.sum(0).max() <= 1
    assert result.masks.flatten(1).any(1).all()
    assert result.seed == sample.seed

    pasted = [m for m in source.masks if any(torch.equal(m, other) for other in result.masks)]
    cover = torch.stack([torch.zeros(16, 24, dtype=torch.bool), *pasted]).any(0)
    assert torch.equal(result.image[:, cover], source.image[:, cover])
    assert torch.equal(result.image[:, ~cover], sample.image[:, ~cover])
    assert torch.equal(result.void, sample.void & ~cover)
    below = [m & ~cover for m in sample.masks if (m & ~cover).any()]
    assert torch.equal(result.masks, torch.stack([*below, *pasted]))
    known = {
        int(category): mask
        for of in (sample, source)
        for category, mask in zip(of.categories, of.masks, strict=True)
    }
    for category, mask in zip(result.categories.tolist(), result.masks, strict=True):
        assert (mask & known[category]).any(), "each mask keeps its category"


def test_each_object_is_pasted_half_the_time() -> None:
    pasted = [len(copy_paste(blank(), tiles(0), seeded(seed)).masks) for seed in range(200)]
    assert 2.7 < np.mean(pasted) < 3.3
    assert {1, 2, 3, 4, 5} <= set(pasted)


def blank() -> Sample:
    return Sample(
        image=torch.zeros(3, 16, 24, dtype=torch.uint8),
        masks=torch.zeros(0, 16, 24, dtype=torch.bool),
        crowds=torch.zeros(0, dtype=torch.bool),
        categories=torch.zeros(0, dtype=torch.int64),
        void=torch.zeros(16, 24, dtype=torch.bool),
        seed=0,
    )


@pytest.mark.parametrize("source", [blank(), tiles(0, crowds=(True,) * 6)])
def test_crowds_and_void_of_the_source_stay_behind(source: Sample) -> None:
    sample = tiles(1)
    for seed in range(5):
        result = copy_paste(sample, source, seeded(seed))
        for name in ("image", "masks", "crowds", "void"):
            assert torch.equal(getattr(result, name), getattr(sample, name))


def test_crowds_below_stay_crowds() -> None:
    crowds = (True, False, True, False, False, True)
    sample, source = tiles(1, crowds), tiles(3)  # narrower: of each tile below a strip stays
    result = copy_paste(sample, source, seeded(3))
    assert 6 < len(result.masks) == len(result.crowds)
    for mask, crowd in zip(result.masks, result.crowds.tolist(), strict=True):
        pasted = any(torch.equal(mask, other) for other in source.masks)
        below = [f for m, f in zip(sample.masks, crowds, strict=True) if not (mask & ~m).any()]
        assert [crowd] == ([False] if pasted else below)
