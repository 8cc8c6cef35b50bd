"""The command on a data set and results of its own making."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from instancefcn.apps.cli import main
from instancefcn.data.identity import KEY, entry, thumbnails
from instancefcn.data.subsets import Every
from instancefcn.formats.coco import CocoDataset
from shapes import write_shapes
from tiny_model import write_model

SHAPES = ["--data", "{folder}/instances.json"]


@pytest.fixture(scope="module", name="annotations")
def _annotations(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_shapes(tmp_path_factory.mktemp("shapes"), images=3)


def perfect_results(annotations: Path, folder: Path) -> Path:
    """The ground truth as results, the second object of each image first."""
    content = json.loads(annotations.read_text())
    results = [
        {
            "image_id": a["image_id"],
            "category_id": 1,
            "segmentation": a["segmentation"],
            "score": a["id"] / 100,
        }
        for a in content["annotations"]
    ]
    path = folder / "perfect.json"
    path.write_text(json.dumps(results))
    return path


def test_perfect_results_have_full_recall(
    annotations: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    results = perfect_results(annotations, tmp_path)
    output = tmp_path / "out"
    arguments = ["--data", str(annotations), "--results", str(results)]
    assert main(["evaluate", *arguments, "--output", str(output)]) == 0
    figures = json.loads((output / "recall.json").read_text())
    assert (figures["images"], figures["objects"]["all"]) == (3, 6)
    assert [f["AR"]["all"] for f in figures["methods"]["perfect"]] == [1, 1, 1]
    assert "100.0" in capsys.readouterr().out
    assert "| perfect |" in (output / "recall.md").read_text()
    with Image.open(output / "recall.png") as plot:
        assert min(plot.size) > 300


def test_a_model_is_measured_beside_results(annotations: Path, tmp_path: Path) -> None:
    model = write_model(tmp_path / "tiny.safetensors")
    output = tmp_path / "out"
    arguments = ["--data", str(annotations), "--model", str(model)]
    results = perfect_results(annotations, tmp_path)
    assert main(["evaluate", *arguments, "--results", str(results), "--output", str(output)]) == 0
    methods = json.loads((output / "recall.json").read_text())["methods"]
    assert set(methods) == {"tiny", "perfect"}
    assert 0 <= methods["tiny"][-1]["AR"]["all"] < 1


# --- Labels


def labelled_results(annotations: Path, folder: Path) -> Path:
    """The ground truth with its categories, but for the first image's, which are exchanged."""
    content = json.loads(annotations.read_text())
    results = [
        {
            "image_id": a["image_id"],
            "category_id": 3 - a["category_id"] if a["image_id"] == 1 else a["category_id"],
            "segmentation": a["segmentation"],
            "score": 1 - a["image_id"] / 10,
        }
        for a in content["annotations"]
    ]
    path = folder / "labelled.json"
    path.write_text(json.dumps(results))
    return path


def test_labels_are_measured_beside_recall(
    annotations: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The two best of six masks have the wrong labels. Results of one category have none."""
    labelled = labelled_results(annotations, tmp_path)
    plain = perfect_results(annotations, tmp_path)
    arguments = ["--data", str(annotations), "--results", str(labelled)]
    arguments += ["--results", str(plain), "--output", str(tmp_path)]
    assert main(["evaluate", *arguments]) == 0
    recall = figures_of(tmp_path)["methods"]
    assert [recall[method][0]["AR"]["all"] for method in ("labelled", "perfect")] == [1, 1]
    figures = json.loads((tmp_path / "precision.json").read_text())
    assert figures["methods"].keys() == {"labelled"}
    found = figures["methods"]["labelled"]
    # Of each class false, true, true; three objects: 2 / 3 at recall up to 2 / 3.
    for precision in (found["mAP^r"], found["categories"][0]["AP^r"]):
        assert precision["11-point"]["0.7"] == pytest.approx(7 / 11 * 2 / 3)
        assert precision["all-point"]["0.7"] == pytest.approx(2 / 3 * 2 / 3)
    assert found["COCO"]["AP50"] == pytest.approx(67 / 101 * 2 / 3)
    assert [each["name"] for each in found["categories"]] == ["rectangle", "frame"]
    tables = (tmp_path / "precision.md").read_text()
    assert "| labelled | 42.4 | 42.4 | 44.4 | 44.4 |" in tables
    assert "| frame | 3 | 3 | 42.4 |" in tables
    output = capsys.readouterr().out
    assert "mAP^r (SDS rules, 11-point" in output
    assert "recall.png, precision.json and precision.md are in" in " ".join(output.split())


def test_labels_of_a_data_set_are_found_by_name(
    annotations: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """It has numbers of its own, and a category that the annotations lack."""
    listed = labelled_results(annotations, tmp_path)
    names = {13: "kite", 12: "frame", 11: "rectangle"}
    results = json.loads(listed.read_text())
    content = {
        "images": json.loads(annotations.read_text())["images"],
        "annotations": [{**each, "category_id": 10 + each["category_id"]} for each in results],
        "categories": [{"id": number, "name": name} for number, name in names.items()],
    }
    content["annotations"].append({**content["annotations"][0], "category_id": 13, "score": 0})
    (tmp_path / "set.json").write_text(json.dumps(content))
    arguments = ["--data", str(annotations), "--output", str(tmp_path)]
    arguments += ["--results", str(listed), "--results", str(tmp_path / "set.json")]
    assert main(["evaluate", *arguments]) == 0
    figures = json.loads((tmp_path / "precision.json").read_text())["methods"]
    assert figures["set"] == figures["labelled"]
    lines = [line for line in capsys.readouterr().err.splitlines() if line.startswith("set: ")]
    assert len(lines) == 2
    assert "lacks 1 of its 3 categories: kite; masks of" in lines[0]
    assert "1 mask is of no category of" in lines[1]


def test_without_labels_there_is_nothing_on_them(
    annotations: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = write_model(tmp_path / "tiny.safetensors")
    results = perfect_results(annotations, tmp_path)
    output = tmp_path / "out"
    arguments = ["--data", str(annotations), "--model", str(model)]
    assert main(["evaluate", *arguments, "--results", str(results), "--output", str(output)]) == 0
    assert {path.name for path in output.iterdir()} == {"recall.json", "recall.md", "recall.png"}
    captured = capsys.readouterr()
    assert "mAP" not in captured.out
    told = [line for line in captured.err.splitlines() if "categor" in line]
    assert len(told) == 1
    assert told[0].startswith("perfect: all its masks are called 'rectangle', one of ")


def test_results_of_a_file_that_names_categories_have_labels(
    annotations: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """All are rectangles, as it happens. What the file lacks counts as missed."""
    content = json.loads(annotations.read_text())
    objects = [each for each in content["annotations"] if each["category_id"] == 1]
    content["annotations"] = [{**each, "score": 1} for each in objects]
    content["categories"] = [{"id": 1, "name": "rectangle"}]
    (tmp_path / "half.json").write_text(json.dumps(content))
    arguments = ["--data", str(annotations), "--results", str(tmp_path / "half.json")]
    assert main(["evaluate", *arguments, "--output", str(tmp_path)]) == 0
    figures = json.loads((tmp_path / "precision.json").read_text())["methods"]["half"]
    assert [each["COCO"]["AP"] for each in figures["categories"]] == [1, 0]
    assert figures["COCO"]["AP"] == 0.5
    (line,) = (line for line in capsys.readouterr().err.splitlines() if "lacks" in line)
    assert line.startswith("half: it lacks 1 of ")
    assert "2 categories: frame; objects of these count as missed" in line


def test_a_model_is_measured_by_the_names_of_its_categories(
    annotations: Path, tmp_path: Path
) -> None:
    """Its masks are called "object"; here this is a category of the data set's."""
    content = json.loads(annotations.read_text())
    content["categories"][1]["name"] = "object"
    (named := tmp_path / "named.json").write_text(json.dumps(content))
    model = write_model(tmp_path / "tiny.safetensors")
    arguments = ["--data", str(named), "--images", str(annotations.parent), "--model", str(model)]
    assert main(["evaluate", *arguments, "--output", str(tmp_path)]) == 0
    figures = json.loads((tmp_path / "precision.json").read_text())
    rectangles, objects = figures["methods"]["tiny"]["categories"]
    assert (rectangles["masks"], rectangles["COCO"]["AP"]) == (0, 0)
    assert objects["masks"] > 0


def test_limit_takes_the_first_images(annotations: Path, tmp_path: Path) -> None:
    model = write_model(tmp_path / "tiny.safetensors")
    arguments = ["--data", str(annotations), "--model", str(model)]
    assert main(["evaluate", *arguments, "--limit", "1", "--output", str(tmp_path)]) == 0
    assert json.loads((tmp_path / "recall.json").read_text())["images"] == 1


def test_limit_takes_results_of_all_images(annotations: Path, tmp_path: Path) -> None:
    results = perfect_results(annotations, tmp_path)
    arguments = ["--data", str(annotations), "--results", str(results)]
    assert main(["evaluate", *arguments, "--limit", "2", "--output", str(tmp_path)]) == 0
    figures = json.loads((tmp_path / "recall.json").read_text())
    assert (figures["images"], figures["methods"]["perfect"][0]["AR"]["all"]) == (2, 1)


def test_runs_are_called_by_their_folders(annotations: Path, tmp_path: Path) -> None:
    """And by whole paths where these are the same."""
    models = [write_model(tmp_path / run / "model.safetensors") for run in ("a", "b", "c/b")]
    arguments = ["--data", str(annotations)]
    arguments += [word for model in models for word in ("--model", str(model))]
    assert main(["evaluate", *arguments, "--limit", "1", "--output", str(tmp_path)]) == 0
    figures = json.loads((tmp_path / "recall.json").read_text())
    assert set(figures["methods"]) == {"a", *map(str, models[1:])}


def figures_of(folder: Path) -> dict[str, Any]:
    figures: dict[str, Any] = json.loads((folder / "recall.json").read_text())
    return figures


def test_images_trained_on_are_left_out(
    annotations: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Two of three images; for the other method too, so that all are measured on the same."""
    whole = CocoDataset(annotations, annotations.parent)
    half = Every(whole, 2)
    model = write_model(tmp_path / "tiny.safetensors", {KEY: [entry(half, thumbnails(half))]})
    results = perfect_results(annotations, tmp_path)
    arguments = ["--data", str(annotations), "--model", str(model)]
    arguments += ["--results", str(results), "--output", str(tmp_path)]
    assert main(["evaluate", *arguments]) == 0
    error = capsys.readouterr().err
    assert "left out 2 images that a model was trained on; --include-trained takes them" in error
    figures = figures_of(tmp_path)
    assert (figures["images"], figures["objects"]["all"]) == (1, 2)
    assert figures["data"] == f"{whole.name}, without 2 images trained on"
    assert figures["methods"]["perfect"][0]["AR"]["all"] == 1
    assert main(["evaluate", *arguments, "--include-trained"]) == 0
    figures = figures_of(tmp_path)
    assert (figures["images"], figures["data"]) == (3, f"{whole.name}, 2 images of it trained on")
    assert main(["evaluate", *arguments, "--limit", "1"]) == 0
    figures = figures_of(tmp_path)
    assert (figures["images"], figures["data"]) == (1, f"{whole.name}, without 1 images trained on")


def test_nothing_left_to_measure_on_is_one_line(
    annotations: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    whole = CocoDataset(annotations, annotations.parent)
    model = write_model(tmp_path / "tiny.safetensors", {KEY: [entry(whole, thumbnails(whole))]})
    arguments = ["--data", str(annotations), "--model", str(model)]
    assert main(["evaluate", *arguments]) == 2
    assert capsys.readouterr().err.splitlines()[-1] == (
        f"instancefcn evaluate: error: {whole.name}: a model was trained on all images of it "
        "(3); measure on others, or give --include-trained"
    )


def test_a_model_that_does_not_say_is_told(
    annotations: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = write_model(tmp_path / "tiny.safetensors")
    arguments = ["--data", str(annotations), "--model", str(model)]
    assert main(["evaluate", *arguments, "--limit", "1"]) == 0
    assert f"{model}: its file does not say on which images it" in capsys.readouterr().err


def test_all_files_are_opened_before_any_is_measured(annotations: Path, tmp_path: Path) -> None:
    model, broken = write_model(tmp_path / "tiny.safetensors"), tmp_path / "broken.json"
    broken.write_text("[")
    arguments = ["--data", str(annotations), "--model", str(model)]
    arguments += ["--results", str(broken), "--output", str(tmp_path / "out")]
    assert main(["evaluate", *arguments]) == 2
    assert not list((tmp_path / "out").iterdir())


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--data", "{folder}/none.json"], "name the data set with --data"),
        (["--data", "{folder}/instances.json", "--model", "x"], "x: no such model"),
        (
            ["--data", "{folder}/instances.json", "--results", "{folder}/1.png"],
            "1.png",
        ),
        (
            ["--data", "{folder}/instances.json", "--output", "{folder}/1.png"],
            "1.png",
        ),
    ],
)
def test_a_mistake_is_one_line(
    annotations: Path, arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    filled = [a.format(folder=annotations.parent) for a in arguments]
    assert main(["evaluate", *filled]) == 2
    error = capsys.readouterr().err
    assert error.startswith("instancefcn evaluate: error: ")
    assert words in error
    assert error.count("\n") == 1


@pytest.mark.parametrize("words", [["--limit", "0"], ["--limit", "-1"], ["--sides", "0"]])
def test_a_number_below_one_is_refused(
    annotations: Path, words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["--data", str(annotations)]
    with pytest.raises(SystemExit) as info:
        main(["evaluate", *arguments, *words])
    assert info.value.code == 2
    assert "is not 1 or more" in capsys.readouterr().err
