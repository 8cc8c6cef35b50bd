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
from numpy.typing import NDArray
from PIL import Image

from instancefcn.evaluation.recall import RecallReport
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
    command = [sys.executable, str(BENCHMARKS / "reproduce.py")]
    command += [w for name, place in places.items() for w in (name, str(folder / place))]
    command += ["--only", "parts-1", "--seeds", "1", *words, "--", *SHORT]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_from_data_to_tables_and_pictures_and_once_only(folder: Path) -> None:
    done = reproduce(folder)
    assert done.returncode == 0, done.stderr
    assert "plain FCN, k = 1: 1 runs to train, each about" in done.stderr
    page = (folder / "page.md").read_text()
    assert page.count("| plain FCN, k = 1 | 1 | ") == page.count("| Selective Search, fast |") == 2
    assert "objects that touch another of their kind" in page
    kept = json.loads((folder / "runs" / "parts-1-0" / "measured.json").read_text())
    assert len(kept["reports"]) == 2
    for name in ("comparison_recall.png", "comparison_average.png"):
        with Image.open(folder / "pictures" / name) as picture:
            assert min(picture.size) > 300

    again = reproduce(folder)
    assert again.returncode == 0, again.stderr
    assert "plain FCN, k = 1: trained" in again.stderr
    assert "measuring on" not in again.stderr


def test_no_data_is_one_line(tmp_path: Path) -> None:
    done = reproduce(tmp_path)
    assert done.returncode == 1
    assert done.stderr == (
        f"reproduce.py: error: {tmp_path / 'data'}: none of the data sets is there; give --data\n"
    )


def report_of(recall: NDArray[np.float64]) -> RecallReport:
    """Of one area, the same recall at each of three numbers of proposals and each IoU."""
    filled = np.broadcast_to(recall[:, None, None], (3, 4, 11)).copy()
    objects = {"all": 4, "small": 1, "medium": 1, "large": 2}
    return RecallReport((10, 100, 1000), filled, 3, objects, void=False)


def test_a_short_run_is_no_run_of_the_recipe(script: dict[str, Any], folder: Path) -> None:
    """Its weights are not those that the tables are about."""
    (first, *_) = script["EXPERIMENTS"]
    run = folder / "runs" / "parts-1-0"
    overrides = [f"--data={folder / 'data'}", f"--weights={BENCHMARKS.parents[1] / 'weights'}"]
    assert (run / "model.safetensors").exists()
    assert not script["trained"](first, 0, run, overrides)


def test_a_row_is_mean_and_deviation_over_seeds(script: dict[str, Any]) -> None:
    """By hand: 10, 20 and 30 have the mean 20 and the deviation 10."""
    figures = [
        script["Figures"]({"set": report_of(np.array([share, 0.5, 0.5]))}, 1_500_000, seconds)
        for share, seconds in ((0.1, 0.2), (0.2, 0.4), (0.3, 0.3))
    ]
    assert script["row"]("method", figures, "set") == (
        *("method", "3", "20.0 ± 10.0", "50.0 ± 0.0", "50.0 ± 0.0", "1.50 M", "0.30"),
    )
    assert script["row"]("method", figures[:1], "set")[2:5] == ("10.0", "50.0", "50.0")


def test_figures_come_back_from_json(script: dict[str, Any]) -> None:
    experiments = runpy.run_path(str(BENCHMARKS / "experiments.py"))
    recall = np.random.default_rng(0).random((3, 4, 11))
    recall[1, 2] = np.nan  # no object of that area
    objects = {"all": 4, "small": 0, "medium": 1, "large": 3}
    report = RecallReport((10, 100, 1000), recall, 7, objects, void=True)
    figures = experiments["Figures"]({"set": report}, 12, 0.5)
    text = json.dumps(experiments["figures_to"](figures))
    back = experiments["figures_from"](json.loads(text))
    assert (back.weights, back.seconds) == (12, 0.5)
    assert back.reports["set"].counts == report.counts
    assert back.reports["set"].objects == objects
    assert back.reports["set"].void
    np.testing.assert_array_equal(back.reports["set"].recall, recall)


def test_every_experiment_has_its_recipe(script: dict[str, Any]) -> None:
    for experiment in script["EXPERIMENTS"]:
        assert experiment.recipe in shipped_recipes()
        assert "2 CPU cores" in experiment.minutes
