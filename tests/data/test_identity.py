"""A picture is known again however it was written, and is not taken for another."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from instancefcn.data.identity import (
    KEY,
    SIDE,
    entry,
    is_known,
    recorded,
    thumbnail,
    thumbnails,
    union,
)
from instancefcn.data.images import read_image
from instancefcn.formats.coco import CocoDataset
from shapes import write_shapes


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> CocoDataset:
    annotations = write_shapes(tmp_path_factory.mktemp("shapes"), images=5)
    return CocoDataset(annotations, annotations.parent)


def pictures(dataset: CocoDataset) -> list[Image.Image]:
    return [Image.fromarray(read_image(dataset[i].path)) for i in range(len(dataset))]


def known_again(picture: Image.Image, dataset: CocoDataset) -> bool:
    pixels: NDArray[np.uint8] = np.array(picture.convert("RGB"))
    return is_known(thumbnail(pixels), thumbnails(dataset))


def test_a_thumbnail_is_the_mean_grey_of_each_part() -> None:
    """By hand: one of 8 x 8 parts of 5 x 6 pixels is grey 90, another half of 200."""
    image = np.zeros((40, 48, 3), np.uint8)
    image[5:10, 12:18] = 90
    image[35:40, 45:48] = 200
    small = thumbnail(image).reshape(SIDE, SIDE)
    assert small[1, 2] == 90
    assert small[7, 7] == 100
    assert np.count_nonzero(small) == 2


@pytest.mark.parametrize("size", [(256, 256), (640, 480)])
def test_written_anew_it_is_known_again(dataset: CocoDataset, size: tuple[int, int]) -> None:
    """At a photo's size: the outlines of a 64-pixel drawing blur over a part of a thumbnail."""
    for picture in pictures(dataset):
        file = io.BytesIO()
        picture.resize(size, Image.Resampling.NEAREST).save(file, "jpeg", quality=50)
        assert known_again(Image.open(file), dataset)


def test_others_are_not_known(dataset: CocoDataset, tmp_path: Path) -> None:
    for picture in pictures(dataset):
        assert not known_again(picture.transpose(Image.Transpose.FLIP_LEFT_RIGHT), dataset)
    first = thumbnails(dataset)[:1]
    assert [is_known(small, first) for small in thumbnails(dataset)] == [True] + 4 * [False]


def test_a_record_comes_back(dataset: CocoDataset) -> None:
    one = entry(dataset, thumbnails(dataset, [4, 0, 4, 1, 2, 3]))
    assert (one["data"], one["images"]) == (dataset.name, 5)
    found = recorded({KEY: [one, one]}, "model")
    assert found is not None
    np.testing.assert_array_equal(found, np.tile(np.unique(thumbnails(dataset), axis=0), (2, 1)))


def test_nothing_is_known_of_a_card_without_a_record() -> None:
    assert recorded({}, "model") is None
    assert recorded({KEY: None}, "model") is None
    nothing = recorded({KEY: []}, "model")
    assert nothing is not None
    for known in (nothing, union([]), union([None, nothing])):
        assert known.shape == (0, SIDE * SIDE)
        assert not is_known(np.zeros(SIDE * SIDE, np.uint8), known)


@pytest.mark.parametrize(
    "trained_on", [7, "text", [7], [{}], [{"thumbnails": "?"}], [{"thumbnails": "AAAA"}]]
)
def test_a_damaged_record_is_one_line(trained_on: object) -> None:
    with pytest.raises(ValueError, match=r"^m\.safetensors: its list .*; write the model again$"):
        recorded({KEY: trained_on}, "m.safetensors")
