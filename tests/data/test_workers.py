"""Workers: the same batches as without them, and whose fault it was when there are none."""

from __future__ import annotations

import gc
import multiprocessing
import os
import signal
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch.utils.data import Dataset as TorchDataset

from instancefcn.core.errors import UserError
from instancefcn.core.sample import Sample
from instancefcn.core.types import AnnotatedImage
from instancefcn.data.augmentation import FullImages
from instancefcn.data.workers import load

NUMBER = 4


class Photos(TorchDataset[Sample]):
    """A stream of the images of a folder; its position 90 is a fault of ours."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __getitem__(self, position: int) -> Sample:
        if position == 90:
            raise ValueError("a fault of ours")
        if position == 91:
            os.kill(os.getpid(), signal.SIGKILL)
        image = AnnotatedImage(0, self.folder / f"{position % NUMBER}.jpg", 48, 64, ())
        return FullImages((32,))(image, torch.Generator().manual_seed(position))


@pytest.fixture
def photos(tmp_path: Path) -> Photos:
    noise = np.random.default_rng(0)
    for i in range(NUMBER):
        pixels = noise.integers(0, 256, (48, 64, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(tmp_path / f"{i}.jpg")
    return Photos(tmp_path)


def means(samples: list[Sample]) -> list[float]:
    return [float(sample.image.float().mean()) for sample in samples]


def odd(samples: list[Sample]) -> list[Sample]:
    if len(samples) % 2 == 0:
        raise UserError("an even batch; give an odd one")
    return samples


@pytest.mark.parametrize("workers", [0, 2])
def test_batches_come_in_order_whoever_makes_them(photos: Photos, workers: int) -> None:
    batches = [range(start, start + 2) for start in (5, 1, 3, 0, 8)]
    found = list(load(photos, batches, workers, means))
    assert found == [means([photos[position] for position in batch]) for batch in batches]
    assert list(load(photos, [], workers, means)) == []


@pytest.mark.parametrize("workers", [0, 1])
def test_a_users_error_comes_as_it_was_raised(photos: Photos, workers: int) -> None:
    path = photos.folder / "2.jpg"
    path.write_bytes(path.read_bytes()[:900])
    loaded = load(photos, [[0, 1], [1, 2], [3, 0]], workers, means)
    next(loaded)
    with pytest.raises(UserError) as info:
        next(loaded)
    assert str(info.value).startswith(f"{path}: cannot be read (image file is truncated")
    assert "\n" not in str(info.value)
    assert len(str(info.value)) < 200 + len(str(path))
    with pytest.raises(UserError, match=r"^an even batch; give an odd one$"):
        list(load(photos, [[0], [0, 1]], workers, odd))


@pytest.mark.parametrize("workers", [0, 1])
def test_a_fault_of_ours_keeps_its_traceback(photos: Photos, workers: int) -> None:
    with pytest.raises(ValueError, match="a fault of ours") as info:
        list(load(photos, [[0], [90]], workers, means))
    assert not isinstance(info.value, UserError)
    where = str(info.value) if workers else str(info.traceback[-1].path)
    assert "test_workers.py" in where


def test_a_killed_worker_is_told_in_one_line(photos: Photos) -> None:
    with pytest.raises(UserError, match=r"^a data worker was killed") as info:
        list(load(photos, [[0], [91], [1], [2]], 2, means))
    assert "\n" not in str(info.value)
    assert "--workers 0" in str(info.value)
    del info
    gc.collect()
    assert multiprocessing.active_children() == []


def test_a_worker_killed_while_nobody_waits_for_it_is_told_too(photos: Photos) -> None:
    loaded = load(photos, [[0]] * 50, 1, means)
    next(loaded)
    (worker,) = multiprocessing.active_children()
    with pytest.raises(UserError, match=r"^a data worker was killed"):  # noqa: PT012
        worker.kill()  # its signal comes anywhere from here on
        list(loaded)


def test_workers_end_with_their_generator(photos: Photos) -> None:
    loaded = load(photos, [[0]] * 50, 2, means)
    next(loaded)
    assert len(multiprocessing.active_children()) == 2
    loaded.close()  # type: ignore[attr-defined]
    assert multiprocessing.active_children() == []
