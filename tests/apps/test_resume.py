"""No run loses what it has done, nor replaces what it did not write, however it ends."""

from __future__ import annotations

import json
import os
import resource
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import killing
import numpy as np
import pytest
from PIL import Image

from instancefcn.apps.cli import main
from instancefcn.formats.ledger import LEDGER
from tiny_model import write_model

ALL = ("--formats", "coco", "png", "labelme", "overlay")
Output = dict[str, bytes]


@pytest.fixture(scope="module", name="model")
def _model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_model(tmp_path_factory.mktemp("model") / "tiny.safetensors")


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """A folder of two photos."""
    (tmp_path / "photos").mkdir()
    for name in ("a.png", "b.png"):
        draw(tmp_path / "photos" / name)
    return tmp_path / "photos"


@pytest.fixture
def propose(model: Path, photos: Path, tmp_path: Path) -> Callable[..., int]:
    """Runs the command on the photos, with the output "out"."""

    def run(*words: str | Path, output: Path = tmp_path / "out", paths: Any = (photos,)) -> int:
        options = ("--output", output, "--model", model, "--top", "20", *words)
        return main(["propose", *map(str, paths), *map(str, options)])

    return run


def draw(path: Path) -> None:
    """A picture that follows from its name."""
    rng = np.random.default_rng(list(path.name.encode()))
    Image.fromarray(rng.integers(0, 256, (40, 60, 3), dtype=np.uint8)).save(path)


def content(folder: Path) -> Output:
    """All files of an output, hidden ones too, but the notes."""
    files = [p for p in folder.rglob("*") if p.is_file() and p.name != LEDGER]
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in files}


def correct(path: Path) -> bytes:
    """What a person leaves of a labelme file."""
    record = json.loads(path.read_bytes())
    record["shapes"] = [{**record["shapes"][0], "label": "cup"}]
    path.write_text(json.dumps(record))
    return path.read_bytes()


def ended(folder: Path, every: int, name: str, *words: str | Path) -> list[int]:
    """Runs of a command that a signal ends, see ``killing``: the steps before which it did."""
    folder.mkdir()
    done = subprocess.run(
        [sys.executable, killing.__file__, str(folder), str(every), name, *map(str, words)],
        check=True,
        capture_output=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    number = signal.Signals[name]
    *codes, (_, last) = json.loads(done.stdout.splitlines()[-1]).items()
    expected = -number if number == signal.SIGKILL else 128 + number
    assert ({code for _, code in codes}, last) == ({expected}, 0)
    return [int(step) for step, _ in codes]


# Runs that are ended.


def test_a_kill_at_any_moment_loses_no_image_that_was_done(
    propose: Callable[..., int], model: Path, photos: Path, tmp_path: Path
) -> None:
    formats = ("--formats", "coco", "png")
    words = ("propose", photos, "--output", "{out}", "--model", model, "--top", "20", *formats)
    folder = tmp_path / "killed"
    steps = ended(folder, 1, "SIGKILL", *words)
    assert len(steps) > 15
    expected = content(folder / "whole")
    for step in steps:
        out = folder / str(step)
        seen = {name: data for name, data in content(out).items() if "/." not in f"/{name}"}
        assert seen.items() <= expected.items(), "no file is half"
        assert propose(*formats, "--resume", output=out) == 0
        assert content(out) == expected, f"killed before step {step}"


@pytest.mark.parametrize(("name", "every"), [("SIGTERM", 1), ("SIGHUP", 5), ("SIGINT", 5)])
def test_a_signal_ends_a_run_with_one_line(
    model: Path, photos: Path, tmp_path: Path, name: str, every: int
) -> None:
    folder = tmp_path / "ended"
    words = ("propose", photos, "--output", "{out}", "--model", model, "--formats", "png")
    steps = ended(folder, every, name, *words)
    lines = []
    for step in steps:
        (line,) = (folder / f"{step}.err").read_text().splitlines()
        assert line.startswith(f"instancefcn propose: ended by {name}; ")
        assert line.endswith(" of 2 images done; --resume does the rest")
        assert not [file for file in content(folder / str(step)) if "/." in f"/{file}"]
        lines.append(line)
    assert "; 0 of 2" in lines[0]
    assert every > 1 or "; 2 of 2" in lines[-1]


def test_selective_search_ends_with_one_line_and_goes_on(tmp_path: Path) -> None:
    """Of one image, which it does in its own process."""
    annotations = tmp_path / "instances.json"
    draw(tmp_path / "a.png")
    image = {"id": 1, "file_name": "a.png", "width": 60, "height": 40}
    annotations.write_text(json.dumps({"images": [image], "annotations": [], "categories": []}))
    words = ("selective-search", "--data", str(annotations), "--images", str(tmp_path), "--output")
    folder = tmp_path / "ended"
    for step in ended(folder, 1, "SIGTERM", *words, "{out}"):
        assert "Traceback" not in (folder / f"{step}.err").read_text()
        assert (folder / str(step)).exists() or main(
            [*words, str(folder / str(step)), "--resume"]
        ) == 0
        assert (folder / str(step)).read_bytes() == (folder / "whole").read_bytes()
        assert not list(folder.glob(".*"))


@contextmanager
def files_of_at_most(size: int) -> Iterator[None]:
    """As on a disk that is full: writing beyond is refused."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.parametrize("share", [0.3, 0.8, 1.05])
def test_a_disk_that_fills_is_one_line_and_the_run_goes_on_later(
    propose: Callable[..., int], tmp_path: Path, capsys: pytest.CaptureFixture[str], share: float
) -> None:
    """At the first image, at the second, and when all are joined."""
    assert propose("--formats", "coco", output=tmp_path / "whole") == 0
    size = (tmp_path / "whole" / LEDGER).stat().st_size
    capsys.readouterr()
    with files_of_at_most(int(share * size)):
        assert propose("--formats", "coco") == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "cannot be written (File too large)" in line
    assert content(tmp_path / "out") == {}
    assert propose("--formats", "coco", "--resume") == 0
    assert content(tmp_path / "out") == content(tmp_path / "whole")


# Runs that go on.


def test_a_new_photo_is_done_and_the_others_are_kept(
    propose: Callable[..., int],
    photos: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert propose(*ALL) == 0
    draw(photos / "0.png")
    corrected = correct(tmp_path / "out" / "labelme" / "a.json")
    times = {p: p.stat().st_mtime_ns for p in (tmp_path / "out" / "overlays").iterdir()}
    capsys.readouterr()
    assert propose(*ALL, "--resume") == 0
    (summary, *_) = capsys.readouterr().out.splitlines()
    assert summary.startswith("3 of 3 images, ")
    assert summary.endswith(", 2 done before")
    assert propose(*ALL, output=tmp_path / "fresh") == 0
    expected = content(tmp_path / "fresh") | {"labelme/a.json": corrected}
    assert content(tmp_path / "out") == expected
    assert all(path.stat().st_mtime_ns == time for path, time in times.items())


def test_what_is_missing_or_has_changed_is_done_again(
    propose: Callable[..., int], photos: Path, tmp_path: Path
) -> None:
    assert propose("--formats", "png") == 0
    draw(photos / "other.png")
    (photos / "other.png").rename(photos / "a.png")
    (tmp_path / "out" / "labels" / "b.png").unlink()
    assert propose(*ALL, "--resume") == 0
    assert propose(*ALL, output=tmp_path / "fresh") == 0
    assert content(tmp_path / "out") == content(tmp_path / "fresh")


def test_masks_of_other_settings_are_not_mixed(
    propose: Callable[..., int], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert propose() == 0
    before = content(tmp_path / "out")
    assert propose("--sides", "32", "--resume") == 2
    assert "made with another --sides; give the same" in capsys.readouterr().err
    assert content(tmp_path / "out") == before
    assert propose("--sides", "32") == 0


def test_notes_of_the_time_before_labels_are_one_line(
    propose: Callable[..., int], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert propose("--formats", "coco") == 0
    before = content(tmp_path / "out")
    ledger = tmp_path / "out" / LEDGER
    records = [json.loads(line) for line in ledger.read_text().splitlines()]
    for record in records:
        record.get("settings", {}).pop("set of labels", None)
        if "masks" in record:
            record["masks"] = [mask[:2] for mask in record["masks"]]
    ledger.write_text("".join(f"{json.dumps(record)}\n" for record in records))
    capsys.readouterr()
    assert propose("--formats", "coco", "--resume") == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "its masks were made with another set of labels; give the same as before" in line
    assert propose("--formats", "coco") == 0
    assert content(tmp_path / "out") == before


def test_unfinished_work_is_not_thrown_away(
    propose: Callable[..., int], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert propose("--formats", "coco") == 0
    notes = tmp_path / "out" / LEDGER
    notes.write_bytes(notes.read_bytes().replace(b'{"ended": true}\n', b""))
    assert propose("--formats", "coco") == 2
    assert "2 finished images of a run that did not end; give --resume" in capsys.readouterr().err
    assert propose("--formats", "coco", "--overwrite") == 0
    assert propose("--formats", "coco") == 0


def test_damaged_notes_are_one_line(
    propose: Callable[..., int], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "out").mkdir()
    for text in ('{"files": 3}', '{"image": "a.png"}', '{"files": {"a": 1}}', '{"settings": 1}'):
        (tmp_path / "out" / LEDGER).write_text(f"{text}\n")
        assert propose("--resume") == 2
        (line,) = capsys.readouterr().err.splitlines()
        assert f"{LEDGER}: damaged (" in line


# Files of others.


def test_a_file_that_a_person_changed_is_replaced_on_request_only(
    propose: Callable[..., int], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert propose(*ALL) == 0
    original = content(tmp_path / "out")
    corrected = correct(tmp_path / "out" / "labelme" / "b.json")
    capsys.readouterr()
    assert propose(*ALL) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "labelme/b.json: not written by this command, or changed since; give --resume" in line
    assert content(tmp_path / "out") == original | {"labelme/b.json": corrected}
    assert propose(*ALL, "--overwrite") == 0
    assert content(tmp_path / "out") == original


@pytest.mark.parametrize("name", ["proposals.json", "labels/b.png"])
@pytest.mark.parametrize("words", [(), ("--resume",)])
def test_a_file_of_something_else_is_replaced_on_request_only(
    propose: Callable[..., int], tmp_path: Path, name: str, words: tuple[str, ...]
) -> None:
    path = tmp_path / "out" / name
    path.parent.mkdir(parents=True)
    path.write_text("mine")
    assert propose(*ALL, *words) == 2
    assert content(tmp_path / "out") == {name: b"mine"}
    assert propose(*ALL, "--overwrite") == 0
    assert propose(*ALL, *words) == 0
    assert path.read_bytes() != b"mine"


def test_inputs_are_never_outputs(
    propose: Callable[..., int], photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    overlays = photos.rename(tmp_path / "overlays")
    listing = tmp_path / "results.json"
    images = [{"id": 1, "file_name": "a.png", "width": 60, "height": 40}]
    listing.write_text(json.dumps({"images": images}))
    (tmp_path / "elsewhere").symlink_to(tmp_path)
    before = content(tmp_path)
    for paths, words in (((overlays,), ()), ((overlays / "a.png",), ("--annotations", listing))):
        for output in (tmp_path, tmp_path / "elsewhere"):
            assert propose(*words, "--overwrite", output=output, paths=paths) == 2
            (line,) = capsys.readouterr().err.splitlines()
            assert "is read by this command, and would be replaced; give another --output" in line
    assert content(tmp_path) == before


def test_outputs_are_no_inputs(
    propose: Callable[..., int], photos: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for _ in range(2):
        assert propose(*ALL, output=photos / "masks", paths=(photos / "**",)) == 0
        assert capsys.readouterr().out.startswith("2 of 2 images, ")


def test_an_image_whose_outputs_have_no_room_is_reported_and_the_others_are_done(
    propose: Callable[..., int], photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    draw(photos / ("x" * 249 + ".png"))
    draw(photos / ("y" * 251 + ".png"))
    (tmp_path / "out" / "labels" / "b.png").mkdir(parents=True)
    assert propose("--formats", "coco", "png", "labelme") == 2
    printed = capsys.readouterr()
    assert printed.out.startswith("2 of 4 images, ")
    assert "2 failed" in printed.out
    first, second = printed.err.splitlines()
    assert "labels/b.png: cannot be written (Is a directory)" in first
    assert "y.json: cannot be written (File name too long)" in second
    listed = json.loads((tmp_path / "out" / "proposals.json").read_bytes())["images"]
    assert [image["file_name"] for image in listed] == ["a.png", "x" * 249 + ".png"]


def test_other_images_do_not_replace_the_masks_of_these(
    propose: Callable[..., int], photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The file of all images would lose the first photo's masks without a word."""
    first, second = photos / "a.png", photos / "b.png"
    assert propose("--formats", "coco", paths=(first,)) == 0
    before = content(tmp_path / "out")
    for words in ((), ("--resume",)):
        assert propose("--formats", "coco", *words, paths=(second,)) == 2
        assert f"holds the masks of 1 other image, {first} the first" in capsys.readouterr().err
        assert content(tmp_path / "out") == before
    assert propose("--formats", "coco", "--resume", paths=(first, second)) == 0
    assert propose("--formats", "coco", "--overwrite", paths=(second,)) == 0
