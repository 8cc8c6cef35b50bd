"""README and the users' pages tell the truth: their commands and Python run, top to bottom, in one
folder.

The folder holds what the pages take for granted, so that nothing in their text is replaced;
training is made short by overrides that follow the pages' own words.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from PIL import Image
from skimage import data

from instancefcn.apps.cli import main
from shapes import write_shapes

ROOT = Path(__file__).parents[1]
PAGES = {
    name: (ROOT / name).read_text() for name in ("README.md", "docs/using.md", "docs/training.md")
}
README = PAGES["README.md"]

SHORT = {"steps": 2, "batch": 2, "augmentation.size": 64, "evaluate_images": 1, "workers": 0}
OVERRIDES = [word for name, value in SHORT.items() for word in (f"--{name}", str(value))]
TORCHRUN = [sys.executable, "-m", "torch.distributed.run"]


def blocks(language: str, *names: str) -> list[str]:
    """The code blocks of one language in these pages, or in all, in order."""
    text = "\n".join(PAGES[name] for name in names or PAGES)
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


COMMANDS = list(dict.fromkeys(line for block in blocks("sh") for line in block.splitlines()))
"""Each once: a page may show again what another showed."""

OURS = [line for line in COMMANDS if line.startswith("instancefcn ")]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """photo.jpg, photos, my_data and VOCdevkit, as the pages take for granted, and their files."""
    folder = tmp_path_factory.mktemp("readme")
    photo = Image.fromarray(data.chelsea())
    photo.save(folder / "photo.jpg")
    (folder / "photos").mkdir()
    photo.resize((150, 100)).save(folder / "photos" / "cat.png")
    for seed, split in enumerate(("train", "val", "more")):
        images = folder / "my_data" / split
        images.mkdir(parents=True)
        shutil.move(write_shapes(images, images=3, seed=seed), images.with_suffix(".json"))
    write_voc(folder / "VOCdevkit" / "VOC2012")
    for block in blocks("yaml"):
        name = block.splitlines()[0].removeprefix("# ")
        (folder / name).write_text(block)
    return folder


def write_voc(root: Path) -> None:
    """One image with one object in it, as the image set "val"."""
    labels = np.zeros((60, 80), np.uint8)
    labels[10:40, 20:60] = 1
    for name in ("SegmentationClass", "SegmentationObject"):
        (root / name).mkdir(parents=True)
        Image.fromarray(labels).save(root / name / "2007_000001.png")
    (root / "JPEGImages").mkdir()
    Image.fromarray(labels * 200).convert("RGB").save(root / "JPEGImages" / "2007_000001.jpg")
    sets = root / "ImageSets" / "Segmentation"
    sets.mkdir(parents=True)
    (sets / "val.txt").write_text("2007_000001\n")


@pytest.fixture(scope="module")
def exit_codes(folder: Path) -> Iterator[dict[str, int]]:
    """Of the package's own commands, run in the pages' order."""
    codes = {}
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        for line in OURS:
            words = shlex.split(line)[1:]
            codes[line] = main([*words, *(OVERRIDES if words[0] == "train" else [])])
    yield codes
    torch.use_deterministic_algorithms(False)


def test_the_pages_have_commands_of_every_kind() -> None:
    programs = {line.split()[0] for line in COMMANDS}
    assert programs == {"make", "pip", "instancefcn", "torchrun"}
    assert {line.split()[1] for line in OURS} == {
        *("propose", "evaluate", "export", "show-maps", "check-data", "train")
    }
    assert len(blocks("python")) >= 5
    assert blocks("yaml")


@pytest.mark.parametrize("line", OURS)
def test_a_command_runs(line: str, exit_codes: dict[str, int]) -> None:
    assert exit_codes[line] == 0


@pytest.mark.usefixtures("exit_codes")
def test_the_commands_leave_what_is_said(folder: Path) -> None:
    found = json.loads((folder / "masks" / "proposals.json").read_text())
    assert found["annotations"]
    assert (folder / "masks" / "overlays" / "photo.png").exists()
    assert json.loads((folder / "results" / "results.json").read_text())
    for run in ("mine", "more"):
        names = {path.name for path in (folder / "runs" / run).iterdir()}
        assert {"model.safetensors", "recipe.yaml", "log.jsonl"} <= names
        assert any("tfevents" in name for name in names)
    recipe = yaml.safe_load((folder / "runs" / "more" / "recipe.yaml").read_text())
    assert len(recipe["train"]) == 2


@pytest.mark.parametrize("line", [c for c in COMMANDS if c.startswith("torchrun")])
def test_a_command_runs_in_two_processes(line: str, folder: Path) -> None:
    command = [*TORCHRUN, *shlex.split(line)[1:], *OVERRIDES]
    subprocess.run(command, check=True, cwd=folder, env={**os.environ, "OMP_NUM_THREADS": "1"})
    assert (folder / "runs" / "two" / "model.safetensors").exists()


@pytest.fixture(params=["README.md", "docs/using.md"])
def names(
    request: pytest.FixtureRequest, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> dict[str, Any]:
    """What a page's Python leaves behind: block after block, as a user's one program."""
    monkeypatch.chdir(folder)
    names: dict[str, Any] = {}
    for number, block in enumerate(blocks("python", request.param), start=1):
        exec(compile(block, f"{request.param}, Python block {number}", "exec"), names)
    return names


def test_the_python_does_what_is_said(names: dict[str, Any], folder: Path) -> None:
    assert len(names["proposals"]) > 0
    assert names["best"].shape == data.chelsea().shape[:2]
    assert names["best"].dtype == bool
    saved = json.loads((folder / "photo.json").read_text())
    assert 0 < len(saved["annotations"]) <= len(names["proposals"])


@pytest.mark.parametrize("line", [c for c in COMMANDS if c.startswith("make")])
def test_make_has_the_target(line: str) -> None:
    """Not run from here: `make test` would run this test."""
    target = shlex.split(line, comments=True)[1]
    assert re.search(rf"^{target}:", (ROOT / "Makefile").read_text(), re.MULTILINE)


def test_the_results_have_their_place() -> None:
    assert README.count("<!-- results:begin -->") == README.count("<!-- results:end -->") == 1
    assert README.index("<!-- results:begin -->") < README.index("<!-- results:end -->")


def test_reconstructed_masks_are_never_called_voc_val() -> None:
    """Only published figures are of VOC 2012 val."""
    assert "VOC 2012 images, reconstructed instance" in README
    assert "VOC 2012 val" not in README


def test_the_readme_has_figures_of_the_results_page() -> None:
    """Each AR of its table stands in docs/results.md."""
    table = README.split("<!-- results:begin -->")[1].split("<!-- results:end -->")[0]
    accuracy = (ROOT / "docs" / "results.md").read_text().split("<!-- accuracy:end -->")[0]
    figures = re.findall(r"\b\d+\.\d\b", "".join(re.findall(r"^\|.*$", table, re.MULTILINE)))
    assert len(figures) >= 18
    assert set(figures) <= set(re.findall(r"\b\d+\.\d\b", accuracy))
