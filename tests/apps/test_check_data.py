"""The command on a sound and on a broken data set."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from instancefcn.apps.cli import main
from shapes import write_recipe, write_shapes


def test_a_sound_data_set(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    annotations = write_shapes(tmp_path)
    assert main(["check-data", "--data", str(annotations), "--decode"]) == 0
    assert capsys.readouterr().out == "errors: 0, warnings: 0\n"


def test_says_what_is_wrong_where(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    annotations = write_shapes(tmp_path)
    (tmp_path / "3.png").unlink()
    content = json.loads(annotations.read_text())
    content["annotations"][0]["segmentation"] = [[1, 2, 3, 4]]
    annotations.write_text(json.dumps(content))
    assert main(["check-data", "--data", str(annotations), "--images", str(tmp_path)]) == 1
    printed = capsys.readouterr().out
    assert "3.png" in printed
    assert "annotation 2" in printed
    assert "errors: 1, warnings: 1" in printed


def test_training_refuses_what_the_check_refuses(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    annotations = write_shapes(tmp_path)
    recipe = write_recipe(tmp_path, annotations)
    (tmp_path / "3.png").unlink()
    assert main(["train", str(recipe), "--output", str(tmp_path / "run")]) == 2
    assert "3.png" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()
