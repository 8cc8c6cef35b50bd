from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from instancefcn.core.errors import UserError
from instancefcn.core.rle import decode, encode
from instancefcn.formats.label_pngs import (
    WRITER,
    LabelPngDataset,
    label_map,
    objects,
    write_labels,
)
from instancefcn.formats.opening import open_dataset
from predictions import NOTHING, of_masks, predicted, random_proposals


def write(folder: Path, name: str, labels: NDArray[Any], mode: str | None = None) -> None:
    """An image and its label map."""
    for place in ("images", "labels"):
        (folder / place / name).parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", labels.shape[::-1]).save(folder / "images" / f"{name}.jpg")
    image = Image.fromarray(labels)
    if mode == "P":
        image.putpalette([*range(256)] * 3)
    image.save(folder / "labels" / f"{name}.png")


# Written.


def test_the_better_proposal_takes_a_pixel() -> None:
    masks = [np.zeros((3, 3), np.bool_) for _ in range(3)]
    masks[0][0, :2] = masks[1][:2, 1] = masks[2][0] = True
    labels = label_map(of_masks(masks, [0.9, 0.5, 0.1]))
    assert labels.tolist() == [[1, 1, 3], [0, 2, 0], [0, 0, 0]]


def test_a_label_map_is_what_a_loop_over_the_masks_makes() -> None:
    proposals = random_proposals(100)
    expected = np.zeros((50, 70), np.uint16)
    for i, rle in enumerate(proposals.masks()):
        expected[decode(rle) & (expected == 0)] = i + 1
    np.testing.assert_array_equal(label_map(proposals), expected)


def test_a_label_map_without_proposals_is_background() -> None:
    assert not label_map(NOTHING).any()


def test_label_maps_are_written_with_16_bits(tmp_path: Path) -> None:
    corners = [(x, y) for y in range(0, 48, 3) for x in range(0, 54, 3)]
    proposals = of_masks([np.ones((3, 3), np.bool_)] * 288, [0.5] * 288, corners)
    assert write_labels(tmp_path, predicted(proposals)) == {}
    with Image.open(tmp_path / "a" / "x.png") as png:
        labels = np.array(png)
    assert labels.dtype == np.uint16
    assert labels[46, 52] == 288
    np.testing.assert_array_equal(labels, label_map(proposals))


def test_covered_masks_are_counted(tmp_path: Path) -> None:
    whole = np.ones((3, 3), np.bool_)
    lost = write_labels(tmp_path, predicted(of_masks([whole, whole, whole], [0.9, 0.5, 0.1])))
    assert lost == {"masks that better ones cover": 2}


# Read.


def test_what_is_written_is_read_back_to_the_bit(tmp_path: Path) -> None:
    photos = tmp_path / "photos"
    for name, proposals in (("a/x.jpg", random_proposals(60)), ("y.jpg", NOTHING)):
        prediction = predicted(proposals, name)
        WRITER.write(tmp_path / "out", prediction)
        (photos / name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(prediction.pixels).save(photos / name)
    dataset = open_dataset(tmp_path / "out", images=photos)
    assert [dataset[i].path for i in range(2)] == [photos / "a" / "x.jpg", photos / "y.jpg"]
    labels = label_map(predicted(random_proposals(60)).proposals)
    expected = [encode(labels == value) for value in np.unique(labels) if value]
    assert [instance.mask for instance in dataset[0].instances] == expected
    assert dataset[1].instances == ()
    assert list(dataset.problems(decode=True)) == []


def test_objects_are_the_values_in_one_piece_or_more() -> None:
    labels = np.random.default_rng(0).choice(np.array([0, 0, 1, 7, 40_000], np.uint16), (9, 13))
    masks = objects(labels)
    assert list(masks) == [1, 7, 40_000]
    for value, mask in masks.items():
        assert mask == encode(labels == value)
    assert objects(np.zeros((2, 3), np.uint8)) == {}
    assert objects(np.full((1, 1), 3, np.uint8)) == {3: encode(np.ones((1, 1), np.bool_))}


@pytest.mark.parametrize(
    ("dtype", "mode"), [(np.uint8, None), (np.uint8, "P"), (np.uint16, None)], ids=str
)
def test_maps_of_8_and_16_bits_and_palettes_are_read(
    tmp_path: Path, dtype: type[Any], mode: str | None
) -> None:
    labels = np.array([[0, 1, 1], [200, 200, 0]], dtype)
    write(tmp_path, "x", labels, mode)
    item = open_dataset(tmp_path)[0]
    assert [decode(i.mask).tolist() for i in item.instances] == [
        (labels == 1).tolist(),
        (labels == 200).tolist(),
    ]
    assert item.path == tmp_path / "images" / "x.jpg"


def test_a_split_is_a_folder_in_both(tmp_path: Path) -> None:
    for name in ("train/x", "train/y", "val/z"):
        write(tmp_path, name, np.ones((2, 2), np.uint8))
    assert len(open_dataset(tmp_path, "train")) == 2
    assert len(open_dataset(tmp_path, "val")) == 1
    assert len(open_dataset(tmp_path)) == 3
    with pytest.raises(UserError, match="no split dev; give --split; found there: train, val"):
        open_dataset(tmp_path, "dev")


def test_what_has_no_partner_is_left_out_and_counted(tmp_path: Path) -> None:
    for name in ("x", "y", "z"):
        write(tmp_path, name, np.ones((2, 2), np.uint8))
    (tmp_path / "images" / "x.jpg").unlink()
    (tmp_path / "labels" / "y.png").unlink()
    dataset = open_dataset(tmp_path)
    assert len(dataset) == 1
    assert [(p.severity, p.kind) for p in dataset.problems()] == [
        ("warning", "image without labels"),
        ("warning", "labels without image"),
    ]


def test_a_map_in_colours_and_one_of_another_size_are_problems(tmp_path: Path) -> None:
    write(tmp_path, "x", np.ones((2, 2, 3), np.uint8)[:, :, 0])
    Image.new("RGB", (2, 2)).save(tmp_path / "labels" / "x.png")
    write(tmp_path, "y", np.ones((2, 2), np.uint8))
    Image.new("L", (3, 2), 1).save(tmp_path / "labels" / "y.png")
    kinds = {p.kind: p for p in LabelPngDataset(tmp_path).problems()}
    assert set(kinds) == {"bad annotation", "wrong image size"}
    assert "x.png: a label map has a palette" in kinds["bad annotation"].message


def test_two_images_cannot_share_a_map_but_a_map_may_name_its_image(tmp_path: Path) -> None:
    write(tmp_path, "x", np.ones((2, 2), np.uint8))
    Image.new("RGB", (2, 2)).save(tmp_path / "images" / "x.png")
    with pytest.raises(UserError, match=r"x\.png: labels of both .*x\.jpg and .*x\.png; rename"):
        len(open_dataset(tmp_path))
    (tmp_path / "labels" / "x.png").rename(tmp_path / "labels" / "x.jpg.png")
    assert open_dataset(tmp_path)[0].path == tmp_path / "images" / "x.jpg"


def test_label_maps_alone_want_their_images(tmp_path: Path) -> None:
    Image.new("L", (2, 2), 1).save(tmp_path / "x.png")
    with pytest.raises(UserError, match="no folder of images beside the labels; give --images"):
        open_dataset(tmp_path)
