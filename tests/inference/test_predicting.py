"""Many images: their pixels ahead of time, and one that fails among others."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image

from builders import predictor_of, small_network
from instancefcn.core.proposals import Proposals
from instancefcn.inference.predicting import proposals_of, read_ahead

AHEAD = 2


def save(path: Path, pixels: NDArray[np.uint8]) -> Path:
    Image.fromarray(pixels).save(path)
    return path


def noise(seed: int) -> NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(0, 256, (40, 60, 3), dtype=np.uint8)


def test_the_next_image_is_read_meanwhile_and_none_after_it(tmp_path: Path) -> None:
    pixels = [noise(seed=i) for i in range(6)]
    images = [tmp_path / f"{i}.png" for i in range(6)]
    for i in range(AHEAD + 1):
        save(images[i], pixels[i])
    with ThreadPoolExecutor(1) as pool:
        for i, future in enumerate(read_ahead(pool, images, AHEAD)):
            pool.submit(int).result()  # Whatever was handed to the pool is done.
            for path in tmp_path.iterdir():
                path.unlink()
            np.testing.assert_array_equal(future.result(), pixels[i])
            if i + AHEAD + 1 < len(images):
                save(images[i + AHEAD + 1], pixels[i + AHEAD + 1])
    assert i == 5


def test_an_image_that_cannot_be_read_keeps_its_place(tmp_path: Path) -> None:
    images = [save(tmp_path / f"{i}.png", noise(seed=i)) for i in range(3)]
    images[1].unlink()
    with ThreadPoolExecutor(1) as pool:
        futures = list(read_ahead(pool, images, AHEAD))
    assert [future.exception() is None for future in futures] == [True, False, True]
    with pytest.raises(ValueError, match=r"1\.png: no such file"):
        futures[1].result()


def test_an_image_that_fails_takes_only_itself_along() -> None:
    predictor = predictor_of(small_network(), [64], batch=3)
    pixels = noise(seed=0)
    first, second, third = proposals_of(predictor, [pixels, pixels[:, :, 0], pixels])
    assert isinstance(second, Exception)
    for found in (first, third):
        assert isinstance(found, Proposals)
        torch.testing.assert_close(found.scores, predictor(pixels).scores)
