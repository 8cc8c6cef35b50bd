"""Whole images at sizes drawn from a list: sizes, objects and mirroring, and pasting over sizes."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image

from builders import make_sample
from instancefcn.core.rle import encode
from instancefcn.core.sample import Sample
from instancefcn.core.types import AnnotatedImage, Instance
from instancefcn.data.augmentation import FullImages, copy_paste

HEIGHT, WIDTH = 40, 60


@pytest.fixture
def image(tmp_path: Path) -> AnnotatedImage:
    """A black image with a white object in its left third, void in its lowest quarter."""
    mask = rectangle(4, 8, 20, 24)
    Image.fromarray(mask.astype(np.uint8) * 255).save(tmp_path / "image.png")
    instances = (Instance(encode(mask), category=1),)
    void = encode(rectangle(0, 30, WIDTH, HEIGHT))
    return AnnotatedImage(1, tmp_path / "image.png", HEIGHT, WIDTH, instances, void)


def rectangle(x0: int, y0: int, x1: int, y1: int) -> NDArray[np.bool_]:
    mask = np.zeros((HEIGHT, WIDTH), np.bool_)
    mask[y0:y1, x0:x1] = True
    return mask


def draw(augmentation: FullImages, image: AnnotatedImage, seed: int = 0) -> Sample:
    return augmentation(image, torch.Generator().manual_seed(seed))


def test_at_its_own_size_the_sample_is_the_image(image: AnnotatedImage) -> None:
    sample = draw(FullImages((HEIGHT,)), image)
    mask = torch.from_numpy(rectangle(4, 8, 20, 24))
    assert torch.equal(sample.masks, mask[None])
    assert torch.equal(sample.image, (mask * 255).to(torch.uint8).expand(3, -1, -1))
    assert torch.equal(sample.void, torch.from_numpy(rectangle(0, 30, WIDTH, HEIGHT)))


def test_the_shorter_side_is_the_one_drawn(image: AnnotatedImage) -> None:
    sample = draw(FullImages((80,)), image)
    assert sample.image.shape == (3, 80, 120)
    inside = torch.from_numpy(rectangle(4, 8, 20, 24)).repeat_interleave(2, 0)
    assert torch.equal(sample.masks[0], inside.repeat_interleave(2, 1))


def test_every_side_is_as_likely(image: AnnotatedImage) -> None:
    augmentation = FullImages((20, 40, 50))
    sides = Counter(draw(augmentation, image, seed).image.shape[1] for seed in range(300))
    assert sides.keys() == {20, 40, 50}
    # The standard deviation of a count is 8: five of them.
    assert all(abs(count - 100) < 40 for count in sides.values())


def test_mirrored_or_not(image: AnnotatedImage) -> None:
    plain, mirrored = (draw(FullImages((HEIGHT,), p), image) for p in (0.0, 1.0))
    assert torch.equal(mirrored.image, plain.image.flip(2))
    assert torch.equal(mirrored.masks, plain.masks.flip(2))
    assert torch.equal(mirrored.void, plain.void.flip(1))


def test_the_same_seed_draws_the_same(image: AnnotatedImage) -> None:
    augmentation = FullImages((20, 40, 50), mirrored=0.5)
    first, second = draw(augmentation, image, 7), draw(augmentation, image, 7)
    assert torch.equal(first.image, second.image)
    assert first.seed == second.seed
    assert len({draw(augmentation, image, seed).seed for seed in range(20)}) == 20


# What is pasted from a sample of another size.


@pytest.mark.parametrize("size", [(24, 24), (12, 48), (48, 12), (48, 48)])
def test_pasting_from_another_size(size: tuple[int, int]) -> None:
    """Against a loop over pixels, with all objects of the source pasted and with none of some."""
    sample = make_sample(24, 24, [(0, 0, 10, 10), (12, 12, 24, 24)], void=[(0, 20, 4, 24)], seed=1)
    source = make_sample(*size, [(4, 4, 12, 12), (0, 0, 6, 4)], seed=2)
    seen = set()
    for seed in range(20):
        pasted = copy_paste(sample, source, torch.Generator().manual_seed(seed))
        count = len(pasted.masks) - 2
        seen.add(count)
        expected = sample.image.clone()
        for y in range(min(24, size[0])):
            for x in range(min(24, size[1])):
                if pasted.masks[2:, y, x].any():
                    expected[:, y, x] = source.image[:, y, x]
        assert torch.equal(pasted.image, expected)
        assert not (pasted.masks[:2] & pasted.masks[2:].any(0)).any()
    assert seen == {0, 1, 2}


def test_an_object_beyond_the_sample_is_not_pasted() -> None:
    sample = make_sample(24, 24, [(0, 0, 10, 10)], seed=1)
    source = make_sample(48, 48, [(30, 30, 40, 40)], seed=2)
    for seed in range(10):
        pasted = copy_paste(sample, source, torch.Generator().manual_seed(seed))
        assert torch.equal(pasted.image, sample.image)
        assert torch.equal(pasted.masks, sample.masks)
        assert pasted.crowds.tolist() == [False]


def test_a_panorama_is_as_long_as_in_inference(tmp_path: Path) -> None:
    """2 x 500 pixels at side 80: 200 pixels long, as ``Predictor`` would see it."""
    path = tmp_path / "panorama.png"
    Image.fromarray(np.zeros((2, 500, 3), np.uint8)).save(path)
    image = AnnotatedImage(1, path, 2, 500, ())
    sample = FullImages((80,))(image, torch.Generator().manual_seed(0))
    assert sample.image.shape == (3, 1, 200)
