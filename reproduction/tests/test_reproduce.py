"""The paper's comparisons, run really but on next to nothing; and what their tables say."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from measurements import measured_of
from PIL import Image
from voc_folder import PLACES, write_voc

from dev_sets import COCO, dev_sets
from experiments import EXPERIMENTS, first_run, run_of, trained
from reproduce import main
from separation_figures import scene

ROOT = Path(__file__).parents[2]
SHORT = ("--steps=1", "--batch=2", "--pretrained=null", "--augmentation.sides=[64]", "--workers=0")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_voc(tmp_path_factory.mktemp("reproduce"))


def reproduce(folder: Path, *words: str, overrides: Sequence[str] = ()) -> None:
    places = [word for name in PLACES for word in (f"--{name}", str(folder / name))]
    main([*places, "--seeds", "1", *words, *([] if "--" in words else ["--"]), *SHORT, *overrides])


def test_from_data_to_tables_and_pictures_and_once_only(
    folder: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    words = ("--only", "parts-1", "parts-5")
    reproduce(folder, *words)
    error = capfd.readouterr().err
    assert "dev split: 1 images, annotations " in error
    assert "parts-1: 1 runs to train, about 5 minutes each on 2 CPU cores" in error
    page = (folder / "output" / "docs" / "results.md").read_text()
    assert "`reproduction/reproduce.py --only parts-1 parts-5 --seeds 1 -- " in page
    assert "the models' files list as trained on: 1." in page, "fit and dev are one image here"
    assert page.count("| plain FCN, k = 1 | 1 | ") == 1
    assert "| 2 | 0.01 M |" in page
    assert page.count("| Selective Search, fast | 1 | ") == 1
    assert page.count("| plain FCN, k = 1, less InstanceFCN, k = 5 | ") == 1
    assert "4 objects touch another of their kind" in page
    assert "| DeepMaskZoom | 12.7 | 26.1 | 36.6 |" in page
    assert "| InstanceFCN, k = 5 | 38.9 | 49.7 | 52.6 |" in page
    images = folder / "output" / "docs" / "images"
    shown = ("comparison_recall_voc2012-dev", "comparison_average_voc2012-dev")
    for name in (*shown, "score_maps/2007_000001"):
        assert f"images/{name}.png" in page
        with Image.open(images / f"{name}.png") as picture:
            assert min(picture.size) > 300

    reproduce(folder, *words)
    error = capfd.readouterr().err
    assert "parts-1: trained" in error
    assert "parts-1-0 on" not in error
    assert "Selective Search, fast, on" not in error


def test_a_short_run_is_no_run_of_the_recipe(folder: Path) -> None:
    """Its weights are not those that the tables are about."""
    reproduce(folder, "--only", "parts-1")
    (first, *_) = EXPERIMENTS
    run = run_of(first, 0, folder / "runs")
    same = [f"--{name}={(folder / name).resolve()}" for name in ("data", "weights")] + [*SHORT]
    assert trained(run, same)
    with pytest.raises(ValueError, match=r"parts-1-0 holds a run of another recipe .*steps"):
        trained(run, [*same, "--steps=2"])
    assert not trained(run, [*same, "--inference={sides: [64]}"])


def test_a_run_from_before_the_recipes_moved_is_still_the_recipes_run(folder: Path) -> None:
    """Its copy of the recipe then named a base that ships no longer."""
    reproduce(folder, "--only", "parts-1")
    copy = folder / "runs" / "parts-1-0" / "recipe.yaml"
    copy.write_text(copy.read_text() + "base: parts-5\n")
    model = copy.with_name("model.safetensors").stat()
    reproduce(folder, "--only", "parts-1")
    assert copy.with_name("model.safetensors").stat() == model


def test_no_data_is_one_line(tmp_path: Path) -> None:
    """Started as `make reproduce` does, which shares the modules of benchmarks."""
    shared = os.pathsep.join([str(ROOT / "benchmarks"), os.environ.get("PYTHONPATH", "")])
    done = subprocess.run(
        [sys.executable, "reproduction/reproduce.py", "--data", str(tmp_path)],
        env={**os.environ, "PYTHONPATH": shared},
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert done.stderr == (
        f"reproduce.py: error: {tmp_path}: none of the data sets is there; give --data\n"
    )


@pytest.mark.parametrize("root", [ROOT, Path(".")])
@pytest.mark.parametrize("words", [["--only", "parts-1"], []])
def test_a_part_does_not_replace_the_whole(
    folder: Path, root: Path, words: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Fewer recipes, and fewer data sets too."""
    monkeypatch.chdir(ROOT)
    part = ", ".join([*words, dev_sets(folder / "data")[COCO].label])
    expected = f"^{re.escape(part)}, .*would replace all of them in docs/results.md; give --output"
    with pytest.raises(ValueError, match=expected):
        main(["--output", str(root), "--data", str(folder / "data"), *words])


@pytest.mark.parametrize("word", ["--seed=5", "--data=elsewhere"])
def test_what_the_command_sets_itself_is_no_override(folder: Path, word: str) -> None:
    with pytest.raises(ValueError, match=f"^{word}: this command sets it itself"):
        reproduce(folder, "--", word)


def test_a_training_that_fails_ends_in_one_line_of_ours(
    folder: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(subprocess.CalledProcessError):
        reproduce(folder, "--only", "parts-3", overrides=["--batch=3"])
    assert "make batch a multiple of the processes" in capfd.readouterr().err


def test_a_recipe_of_a_set_that_is_not_there_is_told(folder: Path) -> None:
    with pytest.raises(ValueError, match=r"^nuclei-1: measured on none of the sets that are there"):
        reproduce(folder, "--only", "nuclei-1")


def test_the_first_run_is_of_the_set(tmp_path: Path) -> None:
    """Two recipes are called alike in tables, each on its own set."""
    runs = [run_of(e, seed, tmp_path) for e in EXPERIMENTS for seed in (1, 2)]
    nuclei = next(e for e in EXPERIMENTS if e.recipe == "nuclei-5")
    run = first_run(runs, nuclei.name, nuclei.sets[0])
    assert run.model == tmp_path / "nuclei-5-1" / "model.safetensors"


def test_the_scene_is_where_touching_objects_are_found_best() -> None:
    figures = measured_of(0.5)
    better = replace(figures.touching[7], ranks=np.zeros_like(figures.touching[7].ranks))
    few = replace(better, ranks=better.ranks[..., :2], counted=better.counted[:, :2])
    touching = (few, *figures.touching[1:7], better, *figures.touching[8:])
    assert scene(replace(figures, touching=touching)) == 7
    assert scene(measured_of(0.5, touching=False)) is None
