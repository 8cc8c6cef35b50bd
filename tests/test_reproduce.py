"""The paper's comparisons, run really but on next to nothing; and what their tables say."""

from __future__ import annotations

import json
import runpy
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from instancefcn.recipe import shipped_recipes
from shapes import write_shapes

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"
SHORT = ("--steps=1", "--batch=2", "--pretrained=null", "--augmentation.sides=[64]", "--workers=0")


@pytest.fixture(scope="module")
def script() -> dict[str, Any]:
    sys.path.insert(0, str(BENCHMARKS))
    try:
        return runpy.run_path(str(BENCHMARKS / "reproduce.py"))
    finally:
        sys.path.remove(str(BENCHMARKS))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A VOC folder with the splits fit and dev, of one image."""
    folder = tmp_path_factory.mktemp("reproduce")
    write_shapes(folder, images=1)
    root = folder / "data" / "VOCdevkit" / "VOC2012"
    for name in ("JPEGImages", "SegmentationClass", "SegmentationObject", "ImageSets/Segmentation"):
        (root / name).mkdir(parents=True)
    with Image.open(folder / "1.png") as picture:
        picture.save(root / "JPEGImages" / "2007_000001.jpg")
        height, width = picture.height, picture.width
    labels = np.zeros((height, width), np.uint8)
    labels[5:30, 5:30] = 1
    for name in ("SegmentationClass", "SegmentationObject"):
        Image.fromarray(labels).save(root / name / "2007_000001.png")
    for split in ("fit", "dev"):
        (root / "ImageSets" / "Segmentation" / f"{split}.txt").write_text("2007_000001\n")
    return folder


def reproduce(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    places = {"--data": "data", "--runs": "runs", "--page": "page.md", "--pictures": "pictures"}
    places["--summary"] = "summary.md"
    command = [sys.executable, str(BENCHMARKS / "reproduce.py")]
    command += [w for name, place in places.items() for w in (name, str(folder / place))]
    command += ["--only", "parts-1", "--seeds", "1", *words, "--", *SHORT]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_from_data_to_tables_and_pictures_and_once_only(folder: Path) -> None:
    done = reproduce(folder)
    assert done.returncode == 0, done.stderr
    assert "parts-1: 1 runs to train, each about" in done.stderr
    page = (folder / "page.md").read_text()
    assert page.count("| plain FCN, k = 1 | 1 | ") == 1
    assert page.count("| Selective Search, fast | 1 | ") == 1
    assert "objects that touch another of their kind" in page
    assert "0 touch another of their kind" in page
    assert "| DeepMaskZoom | 12.7 | 26.1 | 36.6 |" in page
    assert "| InstanceFCN, k = 5 | 38.9 | 49.7 | 52.6 |" in (folder / "summary.md").read_text()
    kept = json.loads((folder / "runs" / "parts-1-0" / "model.measured.json").read_text())
    assert len(kept["sets"]) == 1
    for name in ("comparison_recall.png", "comparison_average.png"):
        with Image.open(folder / "pictures" / name) as picture:
            assert min(picture.size) > 300

    again = reproduce(folder)
    assert again.returncode == 0, again.stderr
    assert "parts-1: trained" in again.stderr
    assert "parts-1-0 on" not in again.stderr
    assert "Selective Search, fast, on" not in again.stderr


def test_no_data_is_one_line(tmp_path: Path) -> None:
    done = reproduce(tmp_path)
    assert done.returncode == 1
    assert done.stderr == (
        f"reproduce.py: error: {tmp_path / 'data'}: none of the data sets is there; give --data\n"
    )


def test_a_short_run_is_no_run_of_the_recipe(script: dict[str, Any], folder: Path) -> None:
    """Its weights are not those that the tables are about."""
    (first, *_) = script["EXPERIMENTS"]
    run = script["run_of"](first, 0, folder / "runs")
    overrides = [f"--data={folder / 'data'}", f"--weights={BENCHMARKS.parents[1] / 'weights'}"]
    assert run.model.exists()
    assert not script["trained"](run, overrides)


def test_every_experiment_has_its_recipe(script: dict[str, Any]) -> None:
    for experiment in script["EXPERIMENTS"]:
        assert experiment.recipe in shipped_recipes()
        assert "2 CPU cores" in experiment.minutes
