"""The command as a user runs it: images in, pictures of score maps out."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
import skimage.data
import torch
from PIL import Image

from instancefcn.apps.cli import main
from instancefcn.network.models import Model, build
from tiny_model import DESCRIPTION, write_model

PHOTOS: Any = skimage.data
COFFEE = Image.fromarray(PHOTOS.coffee()).resize((120, 80))


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_model(tmp_path_factory.mktemp("model") / "tiny.safetensors")


@pytest.fixture(scope="module")
def fcn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same with k = 1."""
    description = deepcopy(DESCRIPTION)
    description["init_args"]["branches"][0]["mask_head"]["init_args"]["k"] = 1
    path = tmp_path_factory.mktemp("fcn") / "fcn.safetensors"
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = build(description, "the tests")
    Model(network, description, {"sides": [48]}, {}).save(path)
    return path


@pytest.fixture
def show_maps(model: Path, tmp_path: Path) -> Callable[..., int]:
    """Runs the command on the model, with the output "out"."""

    def run(*words: str | Path, output: Path = tmp_path / "out") -> int:
        options = ("--model", str(model), "--output", str(output))
        return main(["show-maps", *map(str, words), *options])

    return run


def save(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    COFFEE.save(path)
    return path


def files(folder: Path) -> set[str]:
    return {p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file()}


def one_line(capsys: pytest.CaptureFixture[str]) -> str:
    (line,) = capsys.readouterr().err.splitlines()
    prefix = "instancefcn show-maps: error: "
    assert line.startswith(prefix)
    return line[len(prefix) :]


def test_an_image_is_enough(model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Pictures then go below the folder one is in."""
    monkeypatch.chdir(tmp_path)
    assert main(["show-maps", str(save(tmp_path / "x.png")), "--model", str(model)]) == 0
    assert files(tmp_path) == {"x.png", "score_maps/x.png"}


def test_each_image_has_a_picture(
    show_maps: Callable[..., int], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Though their names differ in the suffix, or in the folder, alone."""
    photos = [save(tmp_path / "photos" / name) for name in ("x.png", "x.bmp", "more/x.png")]
    assert show_maps(*photos) == 0
    out = tmp_path / "out" / "score_maps"
    assert files(out) == {"x.png.png", "x.bmp.png", "more/x.png.png"}
    printed = capsys.readouterr()
    assert printed.out.splitlines() == [
        str(out / name) for name in ("x.png.png", "x.bmp.png", "more/x.png.png")
    ]
    assert printed.err == ""
    with Image.open(out / "x.png.png") as picture:
        assert picture.width == 1600


def test_the_plain_fcn_stands_beside(
    show_maps: Callable[..., int], fcn: Path, tmp_path: Path
) -> None:
    photo = save(tmp_path / "x.png")
    assert show_maps(photo) == 0
    assert show_maps(photo, "--fcn", fcn, output=tmp_path / "both") == 0
    one, both = (tmp_path / name / "score_maps" / "x.png" for name in ("out", "both"))
    assert one.read_bytes() != both.read_bytes()


def test_a_plain_fcn_is_a_model_too(fcn: Path, tmp_path: Path) -> None:
    words = [str(save(tmp_path / "x.png")), "--model", str(fcn), "--output", str(tmp_path / "out")]
    assert main(["show-maps", *words]) == 0
    assert files(tmp_path / "out") == {"score_maps/x.png"}


def test_levels_have_each_their_picture(show_maps: Callable[..., int], tmp_path: Path) -> None:
    photo = save(tmp_path / "x.png")
    pictures = set()
    for number in ("1", "2"):
        assert show_maps(photo, "--level", number) == 0
        pictures.add((tmp_path / "out" / "score_maps" / "x.png").read_bytes())
    assert len(pictures) == 2


def test_an_output_beside_the_images_leaves_them_alone(
    show_maps: Callable[..., int], tmp_path: Path
) -> None:
    photo = save(tmp_path / "x.png")
    before = photo.read_bytes()
    assert show_maps(photo, output=tmp_path) == 0
    assert photo.read_bytes() == before


# Mistakes.


def test_a_bad_image_is_reported_and_the_others_are_done(
    show_maps: Callable[..., int], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    photos = [save(tmp_path / "a.png"), tmp_path / "b.jpg", save(tmp_path / "c.png")]
    photos[1].write_text("no image")
    assert show_maps(*photos) == 2
    assert one_line(capsys).startswith(f"{photos[1]}: ")
    assert files(tmp_path / "out") == {"score_maps/a.png", "score_maps/c.png"}


@pytest.mark.parametrize("number", ["0", "3", "-1"])
def test_a_level_that_is_not_there(
    show_maps: Callable[..., int],
    tmp_path: Path,
    number: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert show_maps(save(tmp_path / "x.png"), "--level", number) == 2
    assert one_line(capsys) == f"--level {number}: the model has levels 1 to 2; give one of these"
    assert not (tmp_path / "out").exists()


def test_a_model_of_many_maps_is_no_plain_fcn(
    show_maps: Callable[..., int],
    model: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert show_maps(save(tmp_path / "x.png"), "--fcn", model) == 2
    assert one_line(capsys).startswith(f"{model}: k = 3, and a plain FCN has one score map; ")


def test_an_output_that_is_a_file(
    show_maps: Callable[..., int], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    photo = save(tmp_path / "x.png")
    assert show_maps(photo, output=photo) == 2
    assert one_line(capsys).startswith(f"{photo}: cannot be written (")
