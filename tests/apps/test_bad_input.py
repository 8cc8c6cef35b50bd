"""What a user may hand to ``propose`` by mistake: handled, or one line that says the way out."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import skimage.data
import torch
from PIL import Image
from safetensors.torch import save_file

from instancefcn.apps.cli import main
from instancefcn.core.rle import rle_from_coco
from instancefcn.data.images import image_size, read_image
from instancefcn.formats.ledger import LEDGER
from instancefcn.network.models import build
from tiny_model import DESCRIPTION, write_model

PHOTOS: Any = skimage.data
COFFEE = Image.fromarray(PHOTOS.coffee()).resize((120, 80))


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_model(tmp_path_factory.mktemp("model") / "tiny.safetensors")


@pytest.fixture
def propose(model: Path, tmp_path: Path) -> Callable[..., int]:
    """Runs the command in a folder of its own, with the output "out"."""

    def run(*words: str | Path, output: Path = tmp_path / "out", model: Path = model) -> int:
        options = ("--model", str(model), "--output", str(output))
        return main(["propose", *map(str, words), *options])

    return run


def one_line(capsys: pytest.CaptureFixture[str], about: Path) -> str:
    """The error that was printed: one line, which names a file and says the way out."""
    (line,) = capsys.readouterr().err.splitlines()
    prefix = f"instancefcn propose: error: {about}: "
    assert line.startswith(prefix)
    message = line[len(prefix) :]
    assert ";" in message
    return message


def files(folder: Path) -> set[str]:
    """What lies in a folder, the notes for --resume left out."""
    names = {p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file()}
    return names - {LEDGER}


# Images of every kind are handled.


def rotated() -> tuple[Image.Image, dict[str, Any]]:
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was held upright
    return COFFEE, {"exif": exif}


KINDS: dict[str, tuple[str, Image.Image, dict[str, Any], tuple[int, int]]] = {
    "CMYK": ("jpg", COFFEE.convert("CMYK"), {}, (120, 80)),
    "palette": ("png", COFFEE.convert("P"), {}, (120, 80)),
    "transparent palette": ("gif", COFFEE.convert("P"), {"transparency": 0}, (120, 80)),
    "grey": ("png", COFFEE.convert("L"), {}, (120, 80)),
    "black and white": ("png", COFFEE.convert("1"), {}, (120, 80)),
    "16-bit": (
        "png",
        Image.fromarray(np.asarray(COFFEE.convert("L")).astype(np.uint16) * 257),
        {},
        (120, 80),
    ),
    "alpha": ("png", COFFEE.convert("RGBA"), {}, (120, 80)),
    "grey and alpha": ("png", COFFEE.convert("LA"), {}, (120, 80)),
    "EXIF-rotated": ("jpg", *rotated(), (80, 120)),
    "1 pixel wide": ("png", COFFEE.resize((1, 80)), {}, (1, 80)),
    "1 pixel high": ("png", COFFEE.resize((120, 1)), {}, (120, 1)),
    "1 pixel": ("png", COFFEE.resize((1, 1)), {}, (1, 1)),
    "long": ("png", COFFEE.resize((3000, 3)), {}, (3000, 3)),
}


@pytest.mark.parametrize("kind", KINDS)
def test_an_image_of_any_kind_is_done(
    propose: Callable[..., int],
    tmp_path: Path,
    kind: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    suffix, image, options, (width, height) = KINDS[kind]
    image.save(tmp_path / f"x.{suffix}", **options)
    words = ("--formats", "coco", "overlay", "png", "labelme")
    assert propose(tmp_path / f"x.{suffix}", *words) == 0
    assert capsys.readouterr().err == ""
    out = tmp_path / "out"
    assert files(out) == {"proposals.json", "overlays/x.png", "labels/x.png", "labelme/x.json"}
    content = json.loads((out / "proposals.json").read_bytes())
    assert content["images"] == [
        {"id": 1, "file_name": f"x.{suffix}", "width": width, "height": height}
    ]
    for annotation in content["annotations"]:
        mask = rle_from_coco(annotation["segmentation"])
        assert (mask.height, mask.width) == (height, width)
        assert annotation["area"] > 0
    assert image_size(out / "labels" / "x.png") == (height, width)
    assert read_image(out / "overlays" / "x.png").any()


def test_an_image_of_100_megapixels_is_done_in_bounded_memory(model: Path, tmp_path: Path) -> None:
    resource = pytest.importorskip("resource", reason="measures memory by getrusage")
    image = tmp_path / "large.jpg"
    Image.fromarray(PHOTOS.coffee()).resize((12_500, 8_000), Image.Resampling.BOX).save(image)
    options = ["--top", "1000", "--sides", "192", "--model", str(model)]
    command = [sys.executable, "-m", "instancefcn.apps.cli", "propose", str(image)]
    subprocess.run(
        [*command, *options, "--output", str(tmp_path / "out")],
        check=True,
        timeout=300,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    unit = 1 if sys.platform == "darwin" else 1024
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * unit
    assert peak < 3e9, "the pixels alone are 0.3 GB, and as much again while they are decoded"
    content = json.loads((tmp_path / "out" / "proposals.json").read_bytes())
    assert (content["images"][0]["width"], content["images"][0]["height"]) == (12_500, 8_000)
    assert len(content["annotations"]) == 1000
    assert image_size(tmp_path / "out" / "overlays" / "large.png") == (1280, 2000)


# Files that are no images are reported, and the others are done.


def text(path: Path) -> None:
    path.write_text("no image")


def truncated(path: Path) -> None:
    COFFEE.save(path, format="JPEG")
    path.write_bytes(path.read_bytes()[:-500])


def empty(path: Path) -> None:
    path.touch()


def folder(path: Path) -> None:
    path.mkdir()
    (path / "notes.txt").touch()


def missing(path: Path) -> None:
    assert not path.exists()


@pytest.mark.filterwarnings("default")
def test_a_stack_of_pages_is_done_by_its_first_and_one_line_says_so(
    propose: Callable[..., int], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    COFFEE.save(tmp_path / "x.tif", save_all=True, append_images=[COFFEE])
    assert propose(tmp_path / "x.tif") == 0
    lines = [line for line in capsys.readouterr().err.splitlines() if "pages" in line]
    assert lines == [
        f"instancefcn: warning: {tmp_path / 'x.tif'}: a file of several pages, the first is used"
    ]


def test_broken_exif_is_no_reason_to_fail(
    propose: Callable[..., int], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    COFFEE.save(tmp_path / "x.jpg", exif=b"Exif\0\0MM\0*\0\0\0\x08\xff\xff")
    assert propose(tmp_path / "x.jpg") == 0
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("write", [text, truncated, empty, missing])
def test_a_bad_image_is_reported_and_the_others_are_done(
    propose: Callable[..., int],
    tmp_path: Path,
    write: Callable[[Path], None],
    capsys: pytest.CaptureFixture[str],
) -> None:
    COFFEE.save(tmp_path / "a.png")
    COFFEE.save(tmp_path / "c.png")
    write(tmp_path / "b.jpg")
    words = ("--formats", "coco", "overlay", "png", "labelme")
    assert propose(*(tmp_path / name for name in ("a.png", "b.jpg", "c.png")), *words) == 2
    one_line(capsys, about=tmp_path / "b.jpg")
    out = tmp_path / "out"
    names = [f"{kind}/{stem}" for kind in ("overlays", "labels") for stem in ("a.png", "c.png")]
    assert files(out) == {"proposals.json", "labelme/a.json", "labelme/c.json", *names}
    images = json.loads((out / "proposals.json").read_bytes())["images"]
    assert [(image["id"], image["file_name"]) for image in images] == [(1, "a.png"), (3, "c.png")]


def test_many_bad_images_are_a_line_each(
    propose: Callable[..., int], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    COFFEE.save(tmp_path / "good.png")
    bad = {tmp_path / f"{write.__name__}.jpg": write for write in (empty, text, truncated)}
    for path, write in bad.items():
        write(path)
    assert propose(tmp_path) == 2
    printed = capsys.readouterr()
    assert printed.out.startswith("1 of 4 images, ")
    lines = printed.err.splitlines()
    assert len(lines) == 3
    for path, line in zip(bad, lines, strict=True):
        assert f"error: {path}: " in line


def test_where_no_image_is_done_nothing_is_written(
    propose: Callable[..., int], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text(tmp_path / "x.jpg")
    assert propose(tmp_path / "x.jpg") == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    first, second = printed.err.splitlines()
    assert first.startswith(f"instancefcn propose: error: {tmp_path / 'x.jpg'}: not an image; ")
    assert "nothing is written" in second
    assert not (tmp_path / "out").exists()


# Outputs that cannot be written.


@pytest.mark.parametrize("words", [(), ("--formats", "overlay")])
def test_an_output_that_is_a_file_is_one_line(
    propose: Callable[..., int],
    tmp_path: Path,
    words: tuple[str, ...],
    capsys: pytest.CaptureFixture[str],
) -> None:
    COFFEE.save(tmp_path / "x.png")
    text(tmp_path / "taken")
    for output in (tmp_path / "taken", tmp_path / "taken" / "deeper"):
        assert propose(tmp_path / "x.png", *words, output=output) == 2
        assert "cannot be written" in one_line(capsys, about=output)
    assert files(tmp_path) == {"x.png", "taken"}


def test_a_read_only_output_is_one_line(
    propose: Callable[..., int], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    COFFEE.save(tmp_path / "x.png")
    output = tmp_path / "locked"
    output.mkdir()
    output.chmod(0o500)
    if os.access(output, os.W_OK):
        pytest.skip("this user may write anywhere")
    assert propose(tmp_path / "x.png", output=output) == 2
    assert "cannot be written" in one_line(capsys, about=output)


# Annotations that are not COCO.


IMAGE = {"id": 1, "file_name": "x.png", "width": 120, "height": 80}


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"no json",
        b"\xff\xfe\x00",
        b"[]",
        b"null",
        b'{"a": 1}',
        b'{"images": {}}',
        b'{"images": ["x.png"]}',
        b'{"images": [{"id": 1}]}',
        json.dumps({"images": [{**IMAGE, "id": "one"}]}).encode(),
        json.dumps({"images": [{**IMAGE, "width": 0}]}).encode(),
        json.dumps({"images": [IMAGE, {**IMAGE, "id": 2}]}).encode(),
    ],
)
def test_annotations_that_are_not_coco_are_one_line(
    propose: Callable[..., int],
    tmp_path: Path,
    content: bytes,
    capsys: pytest.CaptureFixture[str],
) -> None:
    COFFEE.save(tmp_path / "x.png")
    path = tmp_path / "instances.json"
    path.write_bytes(content)
    assert propose(tmp_path / "x.png", "--annotations", path) == 2
    one_line(capsys, about=path)
    assert not (tmp_path / "out").exists()


def test_missing_annotations_are_one_line(
    propose: Callable[..., int], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    COFFEE.save(tmp_path / "x.png")
    assert propose(tmp_path / "x.png", "--annotations", tmp_path / "no.json") == 2
    one_line(capsys, about=tmp_path / "no.json")


# Models that are not ours.


def pickled(path: Path) -> None:
    torch.save({"weights": torch.zeros(3)}, path)


def foreign(path: Path) -> None:
    save_file({"weights": torch.zeros(3)}, path)


def foreign_header(path: Path) -> None:
    save_file({"weights": torch.zeros(3)}, path, {"network": "not JSON"})


def headed(path: Path, **header: Any) -> None:
    """Our weights under another header."""
    complete = {"network": DESCRIPTION, "inference": {"sides": [64]}, "card": {}, **header}
    tensors = {k: v.contiguous() for k, v in build(DESCRIPTION, "x").state_dict().items()}
    save_file(tensors, path, {key: json.dumps(value) for key, value in complete.items()})


def of_a_foreign_class(path: Path) -> None:
    headed(path, network={"class_path": "subprocess.Popen", "init_args": {"args": ["true"]}})


def of_an_unknown_class(path: Path) -> None:
    headed(path, network={"class_path": "instancefcn.network.fcn.Nothing"})


def described_otherwise(path: Path) -> None:
    description = json.loads(json.dumps(DESCRIPTION))
    description["init_args"]["backbone"]["init_args"]["channels"] = 4
    headed(path, network=description)


def described_by_a_word(path: Path) -> None:
    headed(path, network="network")


def without_sides(path: Path) -> None:
    headed(path, inference={})


def with_unknown_settings(path: Path) -> None:
    headed(path, inference={"sides": [64], "selection": {"winners": 3}})


@pytest.mark.parametrize(
    "write",
    [
        *(text, empty, folder, missing, truncated, pickled, foreign, foreign_header),
        *(of_a_foreign_class, of_an_unknown_class, described_otherwise, described_by_a_word),
        *(without_sides, with_unknown_settings),
    ],
)
def test_a_model_that_is_not_ours_is_one_line(
    propose: Callable[..., int],
    tmp_path: Path,
    write: Callable[[Path], None],
    capsys: pytest.CaptureFixture[str],
) -> None:
    COFFEE.save(tmp_path / "x.png")
    path = tmp_path / "strange.safetensors"
    write(path)
    assert propose(tmp_path / "x.png", model=path) == 2
    message = one_line(capsys, about=path)
    assert not re.search(r"Traceback|object at 0x", message)
    assert not (tmp_path / "out").exists()


def test_a_model_that_does_not_ship_is_one_line(
    propose: Callable[..., int], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    COFFEE.save(tmp_path / "x.png")
    assert propose(tmp_path / "x.png", model=Path("colonel")) == 2
    assert "no such model" in one_line(capsys, about=Path("colonel"))
