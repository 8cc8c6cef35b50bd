from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from instancefcn.core.errors import UserError
from instancefcn.formats.layouts import beside, choose, files_below, inside, pair_folders
from instancefcn.formats.png import from_png, to_png


def test_a_name_leads_nowhere_but_into_the_folder(tmp_path: Path) -> None:
    folder = tmp_path / "in"
    (folder / "a").mkdir(parents=True)
    for path in (tmp_path / "secret.txt", folder / "a" / "x.png", folder / "12:30.png"):
        path.touch()
    x = folder / "a" / "x.png"
    for name in (
        "a/x.png",
        "./a/x.png",
        "b/a/x.png",
        "/b/a/x.png",
        "C:\\b\\a\\x.png",
        "../a/x.png",
    ):
        assert inside(folder, name) == x
    assert inside(folder, "12:30.png") == folder / "12:30.png"
    for name in ("../secret.txt", str(tmp_path / "secret.txt"), "x.png", "", "..", "/", "a\0b"):
        assert inside(folder, name) is None
    assert inside(folder, "y" * 10_000) is None
    assert inside(folder, "y/" * 10_000 + "a/x.png") == x


def test_a_split_is_chosen_by_name_or_because_there_is_no_other(tmp_path: Path) -> None:
    assert choose(tmp_path, {"a": 1}, None) == choose(tmp_path, {"a": 1, "b": 2}, "a") == 1
    with pytest.raises(UserError, match="give --split; found there: none"):
        choose(tmp_path, {}, None)
    with pytest.raises(UserError, match="no split c; give --split; found there: a, b"):
        choose(tmp_path, {"a": 1, "b": 2}, "c")


def test_labels_of_a_split_that_is_not_there_are_a_mistake(tmp_path: Path) -> None:
    """Else its images would count as images without objects."""
    (tmp_path / "images").mkdir()
    (tmp_path / "labels").mkdir()
    assert pair_folders(tmp_path / "images", tmp_path / "labels", ".txt").images == ()
    with pytest.raises(UserError, match=r"labels/vla: no such folder of labels.* --split"):
        pair_folders(tmp_path / "images", tmp_path / "labels" / "vla", ".txt")


def test_the_folder_beside_images(tmp_path: Path) -> None:
    for images, labels in (
        ("images", "labels"),
        ("images/train", "labels/train"),
        ("train/images", "train/labels"),
        ("images/images", "images/labels"),
        ("train", "train"),
    ):
        assert beside(tmp_path / images, tmp_path, "labels") == tmp_path / labels


def test_hidden_files_and_folders_are_left_out(tmp_path: Path) -> None:
    for name in ("b/x.TXT", "a.txt", ".a.txt", ".git/x.txt", "x.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / "folder.txt").mkdir()
    assert files_below(tmp_path, (".txt",)) == [tmp_path / "a.txt", tmp_path / "b" / "x.TXT"]


def test_png_is_read_as_it_was_written(tmp_path: Path) -> None:
    for values in (np.arange(6, dtype=np.uint8), np.arange(6, dtype=np.uint16) * 10_000):
        pixels = values.reshape(2, 3)
        np.testing.assert_array_equal(from_png(to_png(pixels), 2, 3), pixels)
    Image.new("1", (3, 2), 1).save(tmp_path / "x.png")
    assert from_png((tmp_path / "x.png").read_bytes(), 2, 3).all()
    with pytest.raises(UserError, match="a PNG of mode RGB; save it as grey"):
        from_png(to_png(np.zeros((2, 3, 3), np.uint8)), 2, 3)
