"""``export``, and ``propose`` with what it wrote where torch cannot be imported."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import skimage.data
from PIL import Image

from instancefcn.apps.cli import main
from tiny_model import write_model

PROGRAM = """
import sys
sys.modules.update(dict.fromkeys(("torch", "torchvision", "timm", "onnx")))
from instancefcn.apps.cli import main
sys.exit(main(sys.argv[1:]))
"""


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return write_model(tmp_path / "tiny.safetensors", {"step": 3})


def test_propose_without_torch_finds_what_torch_finds(model: Path, tmp_path: Path) -> None:
    graph = tmp_path / "tiny.onnx"
    assert main(["export", str(model), "--output", str(graph)]) == 0
    photos = tmp_path / "photos"
    photos.mkdir()
    for name in ("coffee", "rocket"):
        Image.fromarray(getattr(skimage.data, name)()).resize((120, 80)).save(
            photos / f"{name}.png"
        )
    words = ["propose", str(photos), "--formats", "coco", "--top", "20"]
    assert main([*words, "--model", str(model), "--output", str(tmp_path / "torch")]) == 0
    words += ["--model", str(graph), "--output", str(tmp_path / "onnx")]
    subprocess.run([sys.executable, "-c", PROGRAM, *words], check=True)
    wanted, found = (
        json.loads((tmp_path / name / "proposals.json").read_text())["annotations"]
        for name in ("torch", "onnx")
    )
    assert len(found) == len(wanted) > 10
    for a, b in zip(wanted, found, strict=True):
        assert b["image_id"] == a["image_id"]
        assert b["bbox"] == pytest.approx(a["bbox"], abs=1)


def test_labels_are_left_out_and_that_is_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["export", "voc20", "--output", str(tmp_path / "voc20.onnx")]) == 0
    said = capsys.readouterr()
    assert said.out == f"{tmp_path / 'voc20.onnx'}\n"
    assert said.err == "voc20: its masks are exported; its labels are left out\n"


def test_a_file_of_a_person_stays(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    graph = tmp_path / "mine.onnx"
    graph.write_text("mine")
    words = ["export", str(model), "--output", str(graph)]
    assert main(words) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.endswith("mine.onnx: is there already; give --overwrite, or another --output")
    assert graph.read_text() == "mine"
    assert main([*words, "--overwrite"]) == 0
    assert len(graph.read_bytes()) > 1000
    assert set(os.listdir(tmp_path)) == {"mine.onnx", "tiny.safetensors"}


def test_what_cannot_be_exported_is_one_line(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").touch()
    for name, output in (
        (model, tmp_path / "tiny.txt"),
        (model, model),
        (tmp_path / "no.safetensors", tmp_path / "a.onnx"),
        (tmp_path / "tiny.onnx", tmp_path / "a.onnx"),
        (model, tmp_path / "file" / "a.onnx"),
    ):
        assert main(["export", str(name), "--output", str(output)]) == 2
        (line,) = capsys.readouterr().err.splitlines()
        assert line.startswith("instancefcn export: error: ")
        assert ";" in line
