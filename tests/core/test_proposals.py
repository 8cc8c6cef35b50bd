"""Proposals: subsets, and files. Masks, boxes and clicks: tests/inference/test_predictor.py."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from instancefcn.core.arrays import read_arrays, write_arrays
from instancefcn.core.errors import UserError
from instancefcn.core.proposals import Proposals
from instancefcn.formats.coco import CocoDataset
from instancefcn.formats.saving import load_proposals
from predictions import NAMES, labelled


def make_proposals(n: int) -> Proposals:
    return Proposals(
        scores=np.linspace(1, 0.1, n, dtype=np.float32),
        windows=-np.arange(4 * n, dtype=np.float32).reshape(n, 4),
        logits=np.arange(9 * n, dtype=np.float32).reshape(n, 3, 3),
        level=np.arange(n),
        height=20,
        width=30,
    )


@pytest.mark.parametrize(
    "index", [slice(0, 0), slice(1, 3), np.array([0, 3]), np.array([True, False] * 2)]
)
def test_a_subset_of_proposals_keeps_their_parts_together(index: slice | NDArray[np.bool_]) -> None:
    proposals = make_proposals(4)
    subset = proposals[index]
    for name in ("scores", "windows", "logits", "level"):
        np.testing.assert_array_equal(getattr(subset, name), getattr(proposals, name)[index])
    assert (subset.height, subset.width) == (20, 30)
    assert len(subset) == len(subset.scores)


def test_one_of_them_is_picked_by_its_number() -> None:
    proposals = make_proposals(4)
    assert proposals[2].scores.tolist() == proposals.scores[2:3].tolist()
    assert proposals[-1].level.tolist() == [3]
    with pytest.raises(IndexError):
        _ = proposals[4]


def test_windows_that_would_only_broadcast_are_refused() -> None:
    one = make_proposals(4)
    with pytest.raises(AssertionError):
        Proposals(one.scores, one.windows[:1], one.logits, one.level, 20, 30)


def squares() -> Proposals:
    """A mask of 4 x 4 pixels, and one of 6 x 6 that covers a part of it."""
    windows = np.array([[2, 3, 6, 7], [4, 4, 10, 10]], np.float32)
    scores, logits = np.array([0.9, 0.8], np.float32), np.ones((2, 3, 3), np.float32)
    return Proposals(scores, windows, logits, np.array([0, 1]), 20, 30)


def test_boxes_and_clicks_by_hand() -> None:
    proposals = squares()
    assert proposals.boxes.tolist() == [[2, 3, 6, 7], [4, 4, 10, 10]]
    assert [len(proposals.at(*point)) for point in ((2, 3), (5.9, 6.9), (1.9, 3))] == [1, 1, 0]
    assert proposals.at(5, 5).scores.tolist() == proposals.scores[:1].tolist()
    assert proposals.at(6, 6).level.tolist() == [1]
    with pytest.raises(UserError, match=r"a click at \(30, 5\) on an image of 30 x 20"):
        proposals.at(30, 5)


def test_they_show_themselves_in_one_line() -> None:
    assert repr(squares()[:0]) == "<Proposals: 0 masks of an image of 30 x 20 pixels>"
    first, last = squares().scores.tolist()
    expected = (
        f"<Proposals: 2 masks of an image of 30 x 20 pixels, scores {first:.3f} to {last:.3f}>"
    )
    assert repr(squares()) == expected


def test_what_is_saved_can_be_read(tmp_path: Path) -> None:
    proposals = squares()
    for suffix in ("json", "png", "safetensors"):
        proposals.save(tmp_path / f"x.{suffix}")
    image = CocoDataset(tmp_path / "x.json", tmp_path)[0]
    assert tuple(instance.mask for instance in image.instances) == proposals.masks()
    labels = np.asarray(Image.open(tmp_path / "x.png"))
    np.testing.assert_array_equal(labels > 0, proposals.mask(0) | proposals.mask(1))
    np.testing.assert_array_equal(labels == 1, proposals.mask(0))
    again = load_proposals(tmp_path / "x.safetensors")
    assert (again.height, again.width) == (20, 30)
    for name in ("scores", "windows", "logits", "level"):
        np.testing.assert_array_equal(getattr(again, name), getattr(proposals, name))


def test_labels_are_saved_with_the_names_of_their_categories(tmp_path: Path) -> None:
    proposals = labelled()
    assert proposals[2:4].names == [NAMES[91], NAMES[92]][::-1]
    for suffix in ("json", "safetensors"):
        proposals.save(tmp_path / f"x.{suffix}")
    dataset = CocoDataset(tmp_path / "x.json", tmp_path)
    assert dict(dataset.categories) == NAMES
    assert [i.category for i in dataset[0].instances] == proposals.labels.tolist()
    again = load_proposals(tmp_path / "x.safetensors")
    assert again.categories == NAMES
    assert again.names == proposals.names


@pytest.mark.parametrize(
    "changes",
    [
        {"categories": None},
        {"categories": {}},
        {"categories": {"one": "cup"}},
        {"categories": {"1": ""}},
        {"categories": {"1": "cup", "01": "box"}},
        {"categories": {"2": "cup"}},
        {"categories": ["cup"]},
        {"height": "20"},
        {"width": 0},
    ],
    ids=str,
)
def test_a_header_that_makes_no_sense_is_refused(tmp_path: Path, changes: dict[str, Any]) -> None:
    squares().save(tmp_path / "x.safetensors")
    arrays, header = read_arrays(tmp_path / "x.safetensors")
    header = {"proposals": {**header["proposals"], **changes}}
    write_arrays(tmp_path / "x.safetensors", arrays, header)
    with pytest.raises(UserError, match=r"x\.safetensors: holds no proposals; give a file that"):
        load_proposals(tmp_path / "x.safetensors")


@pytest.mark.parametrize("name", ["scores", "windows", "logits", "level", "labels"])
def test_arrays_that_do_not_fit_are_refused(tmp_path: Path, name: str) -> None:
    """Of another shape, or of another type."""
    squares().save(tmp_path / "x.safetensors")
    arrays, header = read_arrays(tmp_path / "x.safetensors")
    for array in (arrays[name][:1], arrays[name].sum(), arrays[name].astype(np.float16)):
        write_arrays(tmp_path / "x.safetensors", {**arrays, name: np.asarray(array)}, header)
        with pytest.raises(UserError, match="holds no proposals"):
            load_proposals(tmp_path / "x.safetensors")


def test_other_files_are_refused_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"x\.tiff: proposals are saved as \.json, \.png or"):
        squares().save(tmp_path / "x.tiff")
    assert not list(tmp_path.iterdir())
