"""The command as a user runs it: real processes, killed and started again, one or two of them."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from base64 import b64decode
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
import torch

from instancefcn.apps.cli import main
from instancefcn.core.tensors import read_tensors
from instancefcn.data.images import read_image
from instancefcn.inference.predictor import Predictor
from instancefcn.network.models import load_model
from instancefcn.training.log import RunLog
from instancefcn.training.run import changes
from shapes import write_recipe, write_shapes

COMMAND = [sys.executable, "-m", "instancefcn.apps.cli", "train"]

KILLED = """
import os, signal, sys
from instancefcn.apps.cli import main

def replace(source, target):
    if os.path.basename(target) == "checkpoint.safetensors":
        saved.append(target)
        if len(saved) == 3:
            os.kill(os.getpid(), signal.SIGKILL)
    whole(source, target)

saved, whole, os.replace = [], os.replace, replace
sys.exit(main(sys.argv[1:]))
"""
"""The command, which dies before its third checkpoint has its name."""


@pytest.fixture(scope="module")
def recipe(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("shapes")
    return write_recipe(folder, write_shapes(folder))


@pytest.fixture(scope="module")
def undisturbed(recipe: Path) -> Path:
    run = recipe.parent / "undisturbed"
    assert main(["train", str(recipe), "--output", str(run)]) == 0
    return run


@pytest.fixture(autouse=True)
def _any_algorithm() -> Iterator[None]:
    """Training asks for deterministic algorithms; other tests need not."""
    yield
    torch.use_deterministic_algorithms(False)


def test_a_run_leaves_a_model_logs_and_its_recipe(undisturbed: Path, recipe: Path) -> None:
    assert {"model.safetensors", "log.jsonl", "recipe.yaml", "checkpoint.safetensors"} <= {
        path.name for path in undisturbed.iterdir()
    }
    lines = [json.loads(line) for line in (undisturbed / "log.jsonl").read_text().splitlines()]
    assert {"step", "objectness", "mask", "rate", "images_per_second"} <= set(lines[-2])
    assert sum("instances AR@" in name for name in lines[-1]) == 3
    assert [line["step"] for line in lines] == [1, 2, 3, 3, 4, 5, 6, 6]
    assert lines[0]["rate"] == pytest.approx(0.001 / 2), "the first of two steps of warming up"
    assert any(path.name.startswith("events.out.tfevents") for path in undisturbed.iterdir())
    model = undisturbed / "model.safetensors"
    (entry,) = load_model(model).card["trained_on"]
    assert (entry["images"], len(b64decode(entry["thumbnails"]))) == (6, 6 * 64)
    predictor = Predictor.from_pretrained(model)
    assert predictor.settings.sides == (64,)
    assert predictor(read_image(recipe.parent / "1.png")).height == 64


def test_equal_runs_write_equal_files(undisturbed: Path, recipe: Path) -> None:
    """To the byte: the header's order too."""
    run = recipe.parent / "again"
    assert main(["train", str(recipe), "--output", str(run)]) == 0
    for name in ("model.safetensors", "checkpoint.safetensors", "recipe.yaml"):
        assert (run / name).read_bytes() == (undisturbed / name).read_bytes(), name


def test_killed_and_resumed_gives_the_same_bits(undisturbed: Path, recipe: Path) -> None:
    """Killed while it writes its third checkpoint, of a step whose figures are in the log."""
    run = recipe.parent / "killed"
    command = [sys.executable, "-c", KILLED, "train", str(recipe), "--output", str(run)]
    process = subprocess.Popen(command, env=_environment(), start_new_session=True)
    assert process.wait() == -signal.SIGKILL
    with suppress(ProcessLookupError):  # its data workers, unless they have seen it already
        os.killpg(process.pid, signal.SIGKILL)
    checkpoint = run / "checkpoint.safetensors"
    assert read_tensors(checkpoint)[1]["step"] == 2
    assert len((run / "log.jsonl").read_text().splitlines()) > 2

    subprocess.run([*COMMAND, str(recipe), "--output", str(run)], check=True, env=_environment())
    resumed, _ = read_tensors(checkpoint)
    whole, _ = read_tensors(undisturbed / "checkpoint.safetensors")
    assert resumed.keys() == whole.keys()
    for name, tensor in whole.items():
        assert torch.equal(tensor, resumed[name]), name
    one, other = (
        [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]
        for folder in (run, undisturbed)
    )
    assert [{**line, "images_per_second": 0} for line in one] == [
        {**line, "images_per_second": 0} for line in other
    ]


def test_a_run_goes_on_with_another_number_of_workers_and_a_torn_log(
    undisturbed: Path, recipe: Path
) -> None:
    """Neither changes a weight. A kill may cut the last line of the log short."""
    run = recipe.parent / "torn"
    shutil.copytree(undisturbed, run)
    log = run / "log.jsonl"
    log.write_text(log.read_text() + '{"step": 6, "objec')
    assert main(["train", str(recipe), "--output", str(run), "--workers", "1"]) == 0
    RunLog(run).write(7, {"mask": 0.0})
    steps = [json.loads(line)["step"] for line in log.read_text().splitlines()]
    assert steps == sorted(steps)
    assert steps[-1] == 7


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("steps: 3\nseed: 1", "steps: 3\nseed: 1", []),
        ("steps: 3", "steps: 3\nbase: general", []),
        ("steps: 3\nworkers: 0", "steps: 3\nworkers: 2", []),
        ("steps: 3", "steps: 3\npaste: 0.0", []),
        ("steps: 3", "steps: 3\npaste: 0.5", ["paste"]),
        ("steps: 3\nseed: 1", "steps: 4\nseed: 2", ["steps", "seed"]),
    ],
)
def test_what_makes_it_another_run(old: str, new: str, expected: list[str]) -> None:
    assert changes(old, new) == expected


def test_a_run_goes_on_where_its_data_lie_elsewhere_once_its_recipe_says_so(
    undisturbed: Path, recipe: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = recipe.parent / "moved"
    shutil.copytree(undisturbed, run)
    command = ["train", str(recipe), "--output", str(run), "--data", "elsewhere"]
    assert main(command) == 2
    kept = run / "recipe.yaml"
    way_out = f"if the same files only lie elsewhere now, write their place into {kept}\n"
    assert capsys.readouterr().err.endswith(way_out)
    kept.write_text(kept.read_text().replace("data: data\n", "data: elsewhere\n"))
    assert main(command) == 0
    assert main([*command, "--steps", "9"]) == 2
    assert "lie elsewhere" not in capsys.readouterr().err


def test_a_finished_run_without_its_model_is_told(
    undisturbed: Path, recipe: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = recipe.parent / "gone"
    shutil.copytree(undisturbed, run)
    (run / "model.safetensors").unlink()
    assert main(["train", str(recipe), "--output", str(run)]) == 2
    assert "its model.safetensors is gone" in capsys.readouterr().err


def test_a_finished_run_is_not_said_to_have_trained(
    undisturbed: Path, recipe: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["train", str(recipe), "--output", str(undisturbed)]) == 0
    printed = capsys.readouterr().err
    assert "all 6 steps were made before, nothing was trained now" in printed
    assert f"--start {undisturbed / 'model.safetensors'}\n" in printed
    assert "0/6" not in printed
    assert "" not in printed.splitlines()


def test_a_finished_run_takes_another_inference(undisturbed: Path, recipe: Path) -> None:
    run = recipe.parent / "inference"
    shutil.copytree(undisturbed, run)
    assert main(["train", str(recipe), "--output", str(run), "--inference.sides", "[32, 64]"]) == 0
    assert Predictor.from_pretrained(run / "model.safetensors").settings.sides == (32, 64)
    weights, header = read_tensors(run / "model.safetensors")
    same, before = read_tensors(undisturbed / "model.safetensors")
    assert all(torch.equal(tensor, weights[name]) for name, tensor in same.items())
    assert header["card"]["step"] == before["card"]["step"]


def test_two_processes_train_as_one(recipe: Path) -> None:
    """One step of plain gradient descent: weights differ by the gradients alone."""
    sgd = ["--optimizer", "torch.optim.SGD", "--optimizer.lr", "0.1"]
    options = [*sgd, "--steps", "1", "--evaluate_every", "9", "--clip", "1e9", "--paste", "0.5"]
    weights = []
    for name, launcher in (
        ("one", COMMAND[:1]),
        ("two", [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2"]),
    ):
        run = recipe.parent / name
        command = [*launcher, *COMMAND[1:], str(recipe), "--output", str(run), *options]
        subprocess.run(command, check=True, env=_environment())
        weights.append(read_tensors(run / "checkpoint.safetensors")[0])
    one, two = weights
    moved = 0
    for name, tensor in one.items():
        if name.startswith("network."):
            torch.testing.assert_close(two[name], tensor, rtol=1e-4, atol=1e-5, msg=name)
            moved += 1
    assert moved > 50


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["no_such_recipe"], "no_such_recipe: no such recipe"),
        (["{recipe}", "--steps", "many"], "steps"),
        (["{recipe}", "--no_such_value", "1"], "no_such_value"),
        (["{recipe}", "--train", "[]"], "no data set to train on"),
        (["{recipe}", "--pretrained", "missing.safetensors"], "missing.safetensors: no such file"),
        (
            ["{recipe}", "--output", "{killed}", "--steps", "99"],
            "(compare steps in its recipe.yaml)",
        ),
        (["{recipe}", "--batch", "0"], "batch: 0; give 1 to 100000"),
        (["{recipe}", "--evaluate_every", "0"], "evaluate_every: 0; give 1 or more"),
        (["{recipe}", "--accelerator", "abacus"], "--accelerator abacus"),
        (["{recipe}", "--output", "{recipe}"], "shapes"),
        (
            ["{recipe}", "--output", "{killed}-diverged", "--optimizer.init_args.lr", "1e30"],
            "gradients are not finite, training has diverged; take a lower rate",
        ),
    ],
)
@pytest.mark.usefixtures("deterministic_no_longer")
def test_a_mistake_is_one_line(
    undisturbed: Path,
    recipe: Path,
    arguments: list[str],
    words: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    filled = [a.format(recipe=recipe, killed=undisturbed) for a in arguments]
    if "--output" not in filled:
        filled += ["--output", f"{undisturbed}-mistaken"]
    assert main(["train", *filled]) == 2
    printed = capsys.readouterr().err
    assert words in printed
    assert printed.strip().splitlines()[-1].startswith("instancefcn train: error: ")


def test_help_lists_the_recipes_values(recipe: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", str(recipe), "--help"]) == 0
    printed = capsys.readouterr().out
    for line in ("--output", "--trust", "--steps 6", "--paste 0.5"):
        assert line in printed


@pytest.fixture
def deterministic_no_longer() -> Iterator[None]:
    """A run in this process leaves torch deterministic."""
    yield
    torch.use_deterministic_algorithms(False)


def _environment() -> dict[str, str]:
    return {**os.environ, "OMP_NUM_THREADS": "1"}
