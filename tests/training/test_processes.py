"""Processes that share a run: what ends one of them is told by all, without a traceback."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from lightning_fabric import Fabric

from instancefcn.core.errors import UserError
from instancefcn.training.processes import ends_of_others_told, first_alone, gathered, share
from shapes import write_recipe, write_shapes


def test_one_process_has_all() -> None:
    fabric = Fabric(accelerator="cpu", devices=1)
    assert list(share(3, fabric)) == [0, 1, 2]
    assert gathered(["a", "b"], fabric) == ["a", "b"]
    done: list[int] = []
    first_alone(lambda: done.append(1), fabric)
    assert done == [1]


def test_an_error_of_the_first_process_is_that_of_all(tmp_path: Path) -> None:
    recipe = write_recipe(tmp_path, write_shapes(tmp_path))
    (tmp_path / "instances.json").write_text('{"images": 3}')
    words = ["train", str(recipe), "--output", str(tmp_path / "run"), "--devices", "2"]
    done = subprocess.run(
        [sys.executable, "-m", "instancefcn.apps.cli", *words, "--accelerator", "cpu"],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    assert done.stderr.count('instances.json: "images" is a single value') == 2
    assert not (tmp_path / "run").exists()


def test_the_end_of_another_process_is_one_line() -> None:
    with pytest.raises(UserError, match="another process of this run"), ends_of_others_told():
        raise RuntimeError("[pair.cc:561] Connection closed by peer [127.0.0.1]:36545. GLHF!")
    with pytest.raises(RuntimeError, match="of ours") as error, ends_of_others_told():
        raise RuntimeError("a fault of ours")
    assert not isinstance(error.value, UserError)
