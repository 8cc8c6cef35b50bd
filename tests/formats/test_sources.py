"""Which images a command line names, and what they are called."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from instancefcn.core.errors import UserError
from instancefcn.data.images import read_image
from instancefcn.formats.ledger import LEDGER
from instancefcn.formats.sources import find_images, to_sources


def touch(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()


def found(folder: Path, pattern: str) -> list[str]:
    """The images of a pattern in a folder, as paths from it."""
    images = find_images([str(folder / pattern)]).images
    return [image.relative_to(folder).as_posix() for image in images]


def test_a_folder_is_its_images_by_name(tmp_path: Path) -> None:
    touch(tmp_path, "b.png", "a.JPG", ".hidden.png", "notes.txt", "folder.png/c.png", "sub/d.png")
    assert find_images([str(tmp_path)]).images == [tmp_path / "a.JPG", tmp_path / "b.png"]
    everywhere = find_images([str(tmp_path / "**")]).images
    assert [p.relative_to(tmp_path).as_posix() for p in everywhere] == [
        *("a.JPG", "b.png", "folder.png/c.png", "sub/d.png")
    ]
    assert find_images([str(tmp_path / "*.p*")]).images == [tmp_path / "b.png"]


def test_an_image_that_is_named_twice_is_done_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("a.png", "b.png"):
        (tmp_path / name).touch()
    monkeypatch.chdir(tmp_path)
    paths = ["b.png", str(tmp_path), "./b.png", "*.png"]
    assert find_images(paths).images == [Path("b.png"), tmp_path / "a.png"]


def test_a_file_is_taken_at_its_word(tmp_path: Path) -> None:
    strange = [tmp_path / name for name in ("[1].png", "image", "x.txt")]
    for path in strange:
        path.touch()
    paths = [*strange, tmp_path / "missing.png"]
    assert find_images([str(path) for path in paths]).images == paths


def test_names_are_relative_to_the_folder_of_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    sources = to_sources([Path("a/x.jpg"), tmp_path / "b" / "c.d" / "x.jpg", Path("b/../y")])
    assert [(s.image_id, s.file_name, s.stem) for s in sources] == [
        (1, "a/x.jpg", "a/x"),
        (2, "b/c.d/x.jpg", "b/c.d/x"),
        (3, "y", "y"),
    ]
    (single,) = to_sources([Path("b/x.jpg")])
    assert (single.file_name, single.stem) == ("x.jpg", "x")


def test_outputs_of_different_images_never_meet() -> None:
    """Not in a name, not where capitals do not count, nor in the name of a folder of outputs."""
    for names in (("x.jpg", "x.png"), ("x.jpg", "X.png"), ("x.jpg", "x.png/y.jpg")):
        sources = to_sources([Path(name) for name in names])
        assert [source.stem for source in sources] == list(names)
    assert [s.stem for s in to_sources([Path("x.jpg"), Path("x/y.jpg")])] == ["x", "x/y"]


def test_a_link_is_what_it_leads_to(tmp_path: Path) -> None:
    touch(tmp_path, "2024/a.png", "2024/b.png", "elsewhere/c.png")
    (tmp_path / "2024" / "0.png").symlink_to("a.png")
    (tmp_path / "1999").symlink_to("2024")
    (tmp_path / "2024" / "loop").symlink_to("..")
    (tmp_path / "2024" / "loop2").symlink_to("..")
    assert found(tmp_path / "2024", "*") == ["a.png", "b.png"]
    assert found(tmp_path, "2024/**") == ["2024/a.png", "2024/b.png", "2024/loop/elsewhere/c.png"]
    assert found(tmp_path, "**/a.png") == ["2024/a.png"]
    assert found(tmp_path, "*/*.png") == ["2024/a.png", "2024/b.png", "elsewhere/c.png"]
    paths = [str(tmp_path / "1999" / "a.png"), str(tmp_path / "2024")]
    assert find_images(paths).images == [tmp_path / "1999/a.png", tmp_path / "2024/b.png"]


def test_a_link_alone_is_an_image(tmp_path: Path) -> None:
    touch(tmp_path, "store/blob.png")
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "a.png").symlink_to("../store/blob.png")
    assert found(tmp_path, "photos/*") == ["photos/a.png"]


def test_what_propose_wrote_is_no_photo(tmp_path: Path) -> None:
    """Below the folder that is named; one that names the overlays themselves means them."""
    touch(tmp_path, "a.png", "out/overlays/a.png", "out/overlays/mine.png")
    (tmp_path / "out" / LEDGER).write_text(json.dumps({"files": {"overlays/a.png": []}}) + "\n")
    assert found(tmp_path, "**") == ["a.png", "out/overlays/mine.png"]
    (line,) = find_images([str(tmp_path / "**")]).left_out()
    assert line == "1 file is propose's own output, and no input"
    assert found(tmp_path, "out/overlays") == ["out/overlays/a.png", "out/overlays/mine.png"]


def test_photos_that_are_not_read_are_counted(tmp_path: Path) -> None:
    touch(tmp_path, "only/1.HEIC", "only/2.heic", "only/3.CR2")
    touch(tmp_path, "mixed/1.HEIC", "mixed/2.JPG", "mixed/3.ico")
    with pytest.raises(UserError, match=r"only: no images .*; not read: 1 CR2, 2 HEIC; "):
        find_images([str(tmp_path / "only")])
    mixed = find_images([str(tmp_path / "mixed")])
    assert mixed.images == [tmp_path / "mixed/2.JPG"]
    assert mixed.unread == [tmp_path / "mixed/1.HEIC", tmp_path / "mixed/3.ico"]
    assert mixed.left_out() == ["not read: 1 HEIC, 1 ICO; convert to JPEG"]


def test_what_is_no_file_is_not_left_out_in_silence(tmp_path: Path) -> None:
    """A link to nothing and a pipe: reading tells what they are, and does not wait for a writer."""
    (tmp_path / "link.png").symlink_to("nowhere")
    os.mkfifo(tmp_path / "pipe.jpg")
    found = find_images([str(tmp_path)]).images
    assert found == [tmp_path / "link.png", tmp_path / "pipe.jpg"]
    for path in found:
        with pytest.raises(UserError, match="no such file, but a folder, a pipe or a "):
            read_image(path)
