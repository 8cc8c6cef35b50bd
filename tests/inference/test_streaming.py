"""Many images: their pixels ahead of time, and one that fails among others."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from builders import predictor_of, small_network
from instancefcn.data.images import read_image
from instancefcn.inference.streaming import outcomes, read_ahead, together

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
        for i, (path, future) in enumerate(read_ahead(pool, images, read_image, AHEAD)):
            pool.submit(int).result()  # Whatever was handed to the pool is done.
            for read in tmp_path.iterdir():
                read.unlink()
            assert path == images[i]
            np.testing.assert_array_equal(future.result(), pixels[i])
            if i + AHEAD + 1 < len(images):
                save(images[i + AHEAD + 1], pixels[i + AHEAD + 1])
    assert i == 5


def test_an_image_that_fails_takes_only_itself_along(tmp_path: Path) -> None:
    """One cannot be read, one cannot be proposed; they are of a batch with others, or alone."""
    images = [save(tmp_path / f"{i}.png", noise(seed=i)) for i in range(6)]
    images[1].unlink()

    def read(path: Path) -> NDArray[np.uint8]:
        pixels = read_image(path)
        return pixels[:, :, 0] if path == images[3] else pixels

    for batch in (1, 2, 4, 10):
        predictor = predictor_of(small_network(), [64], batch=batch)
        found = list(outcomes(images, read, predictor.propose, batch))
        assert [image for image, _ in found] == images
        for i, (image, outcome) in enumerate(found):
            assert isinstance(outcome, Exception) == (i in {1, 3})
            if not isinstance(outcome, Exception):
                pixels, proposals = outcome
                np.testing.assert_array_equal(pixels, noise(seed=i))
                torch.testing.assert_close(
                    proposals.scores, predictor(image).scores, rtol=1e-4, atol=1e-5
                )
        assert "1.png: no such file" in str(found[1][1])


def test_no_images_have_no_outcomes() -> None:
    predictor = predictor_of(small_network(), [64])
    assert list(outcomes([], read_image, predictor.propose, 2)) == []
    assert together(predictor.propose, []) == []
