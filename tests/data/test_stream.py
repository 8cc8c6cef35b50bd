"""The stream: position -> sample is a function, and each epoch sees each image once."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch.utils.data import DataLoader

from instancefcn.core.sample import Sample
from instancefcn.data.augmentation import LargeScaleJitter
from instancefcn.data.stream import SampleStream
from instancefcn.formats.coco import CocoDataset

NUMBERS = (4, 3)
"""Images of each of two data sets."""


def write_dataset(folder: Path, first: int, number: int) -> CocoDataset:
    """Images of one grey each, 10 apart, with a square each."""
    folder.mkdir()
    images, annotations = [], []
    for i in range(number):
        grey = np.full((16, 16, 3), 10 * (first + i + 1), np.uint8)
        Image.fromarray(grey).save(folder / f"{i}.png")
        images.append({"id": i, "file_name": f"{i}.png", "height": 16, "width": 16})
        square = [4, 4, 12, 4, 12, 12, 4, 12]
        annotations.append(
            {
                "id": i,
                "image_id": i,
                "category_id": 1,
                "segmentation": [square],
                "bbox": [4, 4, 8, 8],
            }
        )
    content = {
        "images": images,
        "annotations": annotations,
        "categories": [{"id": 1, "name": "square"}],
    }
    (folder / "instances.json").write_text(json.dumps(content))
    return CocoDataset(folder / "instances.json", folder)


@pytest.fixture(scope="module")
def datasets(tmp_path_factory: pytest.TempPathFactory) -> list[CocoDataset]:
    folder = tmp_path_factory.mktemp("stream")
    return [
        write_dataset(folder / str(i), sum(NUMBERS[:i]), number) for i, number in enumerate(NUMBERS)
    ]


def make_stream(datasets: list[CocoDataset], seed: int = 0, paste: float = 0.0) -> SampleStream:
    """Images come as they are but for their place and mirroring, so that greys name them."""
    augmentation = LargeScaleJitter(16, scales=(1, 1), aspect=1, colour=0)
    return SampleStream(datasets, augmentation, seed, paste)


def image_of(sample: Sample) -> int:
    """The number of the image that a sample was made of, by its corner, where no square is."""
    return int(sample.image[0, 0, 0]) // 10 - 1


def assert_same(one: Sample, other: Sample) -> None:
    for name in ("image", "masks", "crowds", "void"):
        assert torch.equal(getattr(one, name), getattr(other, name))
    assert one.seed == other.seed


@pytest.mark.parametrize("paste", [0.0, 1.0])
def test_each_epoch_sees_each_image_once_in_its_own_order(
    datasets: list[CocoDataset], paste: float
) -> None:
    stream = make_stream(datasets, paste=paste)
    order = [image_of(stream[position]) for position in range(4 * 7)]
    epochs = [order[start : start + 7] for start in range(0, 4 * 7, 7)]
    assert all(sorted(epoch) == list(range(7)) for epoch in epochs)
    assert len({tuple(epoch) for epoch in epochs}) == 4


@pytest.mark.parametrize("paste", [0.0, 0.5])
def test_a_sample_is_a_function_of_seed_and_position(
    datasets: list[CocoDataset], paste: float
) -> None:
    stream = make_stream(datasets, paste=paste)
    forwards = [stream[position] for position in range(20)]
    other = make_stream(datasets, paste=paste)
    for position in reversed(range(20)):
        assert_same(other[position], forwards[position])


def test_other_seeds_have_other_orders_and_samples(datasets: list[CocoDataset]) -> None:
    one, other = (make_stream(datasets, seed) for seed in (0, 1))
    orders = [[image_of(stream[position]) for position in range(14)] for stream in (one, other)]
    assert orders[0] != orders[1]
    assert one[0].seed != other[0].seed


def test_each_sample_has_a_seed_of_its_own(datasets: list[CocoDataset]) -> None:
    stream = make_stream(datasets)
    assert len({stream[position].seed for position in range(50)}) == 50


def test_an_image_is_augmented_anew_in_each_epoch(datasets: list[CocoDataset]) -> None:
    stream = SampleStream(datasets, LargeScaleJitter(16), seed=0)
    samples = [stream[position] for position in range(14)]
    pixels = {sample.image.numpy().tobytes() for sample in samples}
    assert len(pixels) == 14


def test_workers_make_the_same_samples(datasets: list[CocoDataset]) -> None:
    stream = make_stream(datasets, paste=0.5)
    batches = [range(start, start + 3) for start in range(5, 17, 3)]
    loader = DataLoader(stream, batch_sampler=batches, num_workers=2, collate_fn=list)  # type: ignore[arg-type]
    for batch, positions in zip(loader, batches, strict=True):
        for sample, position in zip(batch, positions, strict=True):
            assert_same(sample, stream[position])


def test_far_positions_are_reached_at_once(datasets: list[CocoDataset]) -> None:
    stream = make_stream(datasets)
    far = 7 * 10**9
    assert sorted(image_of(stream[far + i]) for i in range(7)) == list(range(7))
    assert stream[far].seed != stream[far + 2**32].seed


@pytest.mark.parametrize(("paste", "expected"), [(0.0, 0.0), (0.5, 0.25), (1.0, 0.5)])
def test_pasting_happens_as_often_as_asked(
    datasets: list[CocoDataset], paste: float, expected: float
) -> None:
    """An object is pasted half the time; here it covers the one below."""
    stream = make_stream(datasets, paste=paste)
    pasted = []
    for position in range(150):
        sample = stream[position]
        assert len(sample.masks) == 1
        pasted.append(sample.image[0, 8, 8] != sample.image[0, 0, 0])
    # Of 7 images, one in 7 is pasted onto itself.
    assert np.mean(pasted) == pytest.approx(expected * 6 / 7, abs=0.12 if expected else 0)
