"""Labels from end to end: trained by one command, written, left out and measured by others."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import torch

from instancefcn.apps.cli import main
from instancefcn.core.tensors import read_tensors, write_tensors
from instancefcn.formats.opening import open_dataset
from instancefcn.inference.predictor import Predictor
from instancefcn.training.run import MODEL
from predictions import NAMES
from shapes import write_label_recipe, write_shapes
from tiny_labeller import labelled_description, write_labelled_model

NAMES_OF_SHAPES = {"rectangle", "frame"}
QUICK = ["--steps", "2", "--batch", "2", "--workers", "0", "--evaluate_every", "2"]


@pytest.fixture(autouse=True)
def _any_algorithm() -> Iterator[None]:
    """Training asks for deterministic algorithms; other tests need not."""
    yield
    torch.use_deterministic_algorithms(False)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three pictures of rectangles and frames, instances.json beside them."""
    folder = tmp_path_factory.mktemp("shapes")
    write_shapes(folder, images=3)
    return folder


@pytest.fixture(scope="module")
def model(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Trained for two steps: what it says is as good as any."""
    folder = tmp_path_factory.mktemp("run")
    recipe = write_label_recipe(folder, data / "instances.json")
    assert main(["train", str(recipe), *QUICK, "--output", str(folder / "run")]) == 0
    return folder / "run" / MODEL


def proposals(model: Path, data: Path, output: Path, *words: str) -> Mapping[str, Any]:
    options = ["--model", str(model), "--output", str(output), "--formats", "coco", *words]
    assert main(["propose", str(data / "1.png"), *options]) == 0
    content: Mapping[str, Any] = json.loads((output / "proposals.json").read_bytes())
    assert content["annotations"]
    return content


# --- used


def test_a_run_logs_what_its_labels_are_worth(model: Path) -> None:
    lines = [json.loads(line) for line in (model.parent / "log.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines] == [1, 2, 2]
    assert {"label", "rate", "images_per_second"} < lines[0].keys()
    measured = lines[2].keys() - {"step"}
    assert {name.split()[-1] for name in measured} == {"mAP^r@0.5", "mAP^r@0.7"}
    assert all(0 <= lines[2][name] <= 1 for name in measured)


def test_masks_are_written_with_their_names(model: Path, data: Path, tmp_path: Path) -> None:
    content = proposals(model, data, tmp_path / "out")
    names = {each["id"]: each["name"] for each in content["categories"]}
    assert names == {1: "rectangle", 2: "frame"}
    found = Predictor.from_pretrained(model)(data / "1.png")
    written = [names[annotation["category_id"]] for annotation in content["annotations"]]
    assert written == found.names


def test_masks_are_written_without_on_demand(model: Path, data: Path, tmp_path: Path) -> None:
    content = proposals(model, data, tmp_path / "out", "--no-labels")
    assert [each["name"] for each in content["categories"]] == ["object"]


def test_yolo_files_of_other_names_are_replaced_on_demand_only(
    model: Path, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Both would count their classes from 0, by one data.yaml."""
    command = ["propose", str(data / "1.png"), "--model", str(model), "--formats", "yolo"]
    command += ["--output", str(tmp_path)]
    assert main([*command, "--no-labels"]) == 0
    plain = (tmp_path / "yolo" / "labels" / "1.txt").read_bytes()
    capsys.readouterr()
    assert main(command) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "data.yaml: its names are not those of the proposals' classes; give another" in line
    assert (tmp_path / "yolo" / "labels" / "1.txt").read_bytes() == plain
    assert main([*command, "--overwrite"]) == 0
    dataset = open_dataset(tmp_path / "yolo", images=data)
    assert set(dataset.categories.values()) == NAMES_OF_SHAPES
    named = [dataset.categories[i.category] for i in dataset[0].instances]
    assert named == Predictor.from_pretrained(model)(data / "1.png").names[: len(named)]


def test_fewer_labelled_masks_are_written_on_demand(
    model: Path, data: Path, tmp_path: Path
) -> None:
    every = proposals(model, data, tmp_path / "all")["annotations"]
    few = proposals(model, data, tmp_path / "few", "--top", "3")["annotations"]
    assert few == every[:3]
    limit = (every[4]["score"] + every[5]["score"]) / 2
    good = proposals(model, data, tmp_path / "good", "--min-score", str(limit))["annotations"]
    assert good == every[:5]


def test_labels_are_measured(
    model: Path, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["--data", str(data / "instances.json"), "--images", str(data), "--include-trained"]
    words += ["--model", str(model)]
    assert main(["evaluate", *words, "--output", str(tmp_path / "with")]) == 0
    assert "mAP^r" in capsys.readouterr().out
    table = (tmp_path / "with" / "precision.md").read_text()
    assert all(name in table for name in NAMES_OF_SHAPES)
    assert main(["evaluate", *words, "--no-labels", "--output", str(tmp_path / "without")]) == 0
    assert "mAP^r" not in capsys.readouterr().out
    assert not (tmp_path / "without" / "precision.md").exists()


def test_a_click_gives_a_mask_and_its_name(model: Path, data: Path) -> None:
    predictor = Predictor.from_pretrained(model)
    found = predictor(data / "1.png")
    y, x = found.mask(0).nonzero()
    clicked = predictor.at(data / "1.png", int(x[0]) + 0.5, int(y[0]) + 0.5)
    assert clicked.names == found.names[:1]
    assert clicked.names[0] in NAMES_OF_SHAPES


# --- mistakes


def changed(folder: Path, change: Callable[[dict[str, Any]], None]) -> Path:
    """Such pictures again, their file changed."""
    folder.mkdir()
    path = write_shapes(folder, images=3)
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))
    return path


def rename_frame(content: dict[str, Any]) -> None:
    content["categories"][1]["name"] = "hoop"


def drop_frames(content: dict[str, Any]) -> None:
    content["annotations"] = [a for a in content["annotations"] if a["category_id"] == 1]


def one_line(capsys: pytest.CaptureFixture[str], command: str) -> str:
    (line,) = capsys.readouterr().err.splitlines()
    prefix = f"instancefcn {command}: error: "
    assert line.startswith(prefix)
    message = line.removeprefix(prefix)
    assert ";" in message, "no way out is said"
    return message


def test_categories_that_differ_between_files_are_one_line(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = changed(tmp_path / "other", rename_frame)
    recipe = write_label_recipe(tmp_path, data / "instances.json")
    sets = [
        {
            "class_path": "instancefcn.formats.coco.CocoDataset",
            "init_args": {"annotations": str(path), "images": str(path.parent)},
        }
        for path in (data / "instances.json", other)
    ]
    words = ["--train", json.dumps(sets), "--output", str(tmp_path / "run")]
    assert main(["train", str(recipe), *QUICK, *words]) == 2
    message = one_line(capsys, "train")
    assert message.startswith("other/instances: ")
    assert "lacks frame and has also hoop" in message
    assert not (tmp_path / "run").exists()


def test_a_category_without_an_object_is_said_in_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The others are learnt all the same."""
    recipe = write_label_recipe(tmp_path, changed(tmp_path / "fewer", drop_frames))
    assert main(["train", str(recipe), *QUICK, "--output", str(tmp_path / "run")]) == 0
    printed = capsys.readouterr().err.splitlines()
    line = "1 category has no object to learn from, and will not be found: frame"
    assert printed.count(line) == 1


def test_a_start_of_another_network_is_one_line(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    recipe = write_label_recipe(tmp_path, data / "instances.json")
    words = ["--start", "general", "--output", str(tmp_path / "run")]
    assert main(["train", str(recipe), *QUICK, *words]) == 2
    assert one_line(capsys, "train").startswith("general: a model of another network")


@pytest.mark.parametrize("fault", ["more categories", "another encoder", "two alike"])
def test_a_model_whose_labeller_does_not_fit_is_one_line(
    data: Path, tmp_path: Path, fault: str, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write_labelled_model(tmp_path / "wrong.safetensors", NAMES)
    tensors, header = read_tensors(path)
    header["network"] = {
        "more categories": labelled_description({**NAMES, 7: "one more"}),
        "another encoder": labelled_description(NAMES, encoder="mobilenetv3_small_100"),
        "two alike": labelled_description({**NAMES, 91: "person"}),
    }[fault]
    write_tensors(path, tensors, header)
    words = ["--model", str(path), "--output", str(tmp_path / "out")]
    assert main(["propose", str(data / "1.png"), *words]) == 2
    assert one_line(capsys, "propose").startswith(f"{path}: ")
