"""The command's results against a search in this process, and as ``evaluate`` reads them."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np
import pytest

from instancefcn.apps.selective_search import add_arguments, run
from instancefcn.baselines.selective_search import STRATEGIES, selective_search
from instancefcn.core.errors import UserError
from instancefcn.core.journal import Journal
from instancefcn.data.images import read_image
from instancefcn.evaluation.recall import evaluate_recall
from instancefcn.formats.coco import CocoDataset
from instancefcn.formats.coco.results import read_results
from instancefcn.formats.prediction import ImageMasks
from shapes import write_shapes


@pytest.fixture(scope="module", name="annotations")
def _annotations(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_shapes(tmp_path_factory.mktemp("shapes"), images=2)


def command(annotations: Path, output: Path, *words: str) -> int:
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    arguments = ["--data", str(annotations), "--output", str(output)]
    return run(parser.parse_args([*arguments, *words]))


def test_results_are_those_of_one_process(annotations: Path, tmp_path: Path) -> None:
    """So the number of workers does not matter; and the rectangles are found."""
    assert command(annotations, tmp_path / "results.json", "--seed", "5") == 0
    dataset = CocoDataset(annotations, annotations.parent)
    images = [dataset[i] for i in range(len(dataset))]
    results = read_results(tmp_path / "results.json", images)
    for position, image in enumerate(images):
        generator = np.random.default_rng((5, position))
        expected = selective_search(read_image(image.path), STRATEGIES["fast"], generator)
        assert [(found.mask, found.score) for found in results[image.image_id]] == expected
    assert evaluate_recall(images, results).average(1000) > 0.9


def test_limit_takes_the_first_images(annotations: Path, tmp_path: Path) -> None:
    output = tmp_path / "results.json"
    assert command(annotations, output, "--limit", "1") == 0
    records = json.loads(output.read_text())
    assert {(r["image_id"], r["category_id"]) for r in records} == {(1, 1)}


def test_a_bad_image_is_reported_and_the_others_are_done(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    annotations = write_shapes(tmp_path, images=2)
    (tmp_path / "1.png").write_bytes(b"no image")
    assert command(annotations, tmp_path / "results.json") == 2
    assert {r["image_id"] for r in json.loads((tmp_path / "results.json").read_text())} == {2}
    printed = capsys.readouterr()
    assert f"{tmp_path / '1.png'}: not an image; " in printed.err
    assert printed.out.startswith("1 of 2 images, ")


def test_where_no_image_is_done_nothing_is_written(tmp_path: Path) -> None:
    annotations = write_shapes(tmp_path, images=1)
    (tmp_path / "1.png").write_bytes(b"no image")
    with pytest.raises(UserError, match="nothing is written"):
        command(annotations, tmp_path / "out" / "results.json")
    assert list((tmp_path / "out").iterdir()) == []


def test_an_output_that_cannot_be_written(annotations: Path, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match="cannot be written"):
        command(annotations, tmp_path / "file" / "results.json", "--limit", "1")


def test_a_file_that_is_there_is_replaced_on_request_only(
    annotations: Path, tmp_path: Path
) -> None:
    output = tmp_path / "results.json"
    output.write_text("of another method")
    with pytest.raises(UserError, match="is there already; give --overwrite"):
        command(annotations, output, "--limit", "1")
    with pytest.raises(UserError, match="is read by this command"):
        command(annotations, annotations, "--limit", "1", "--overwrite")
    assert output.read_text() == "of another method"
    assert command(annotations, output, "--limit", "1", "--overwrite") == 0
    assert json.loads(output.read_text())


def test_a_run_that_was_killed_goes_on(annotations: Path, tmp_path: Path) -> None:
    """From the records of the images that were done: the first's here, the second's cut short."""
    output, part = tmp_path / "results.json", tmp_path / "results.json.part"
    assert command(annotations, output) == 0
    expected = output.read_bytes()
    assert not part.exists()
    images = [CocoDataset(annotations, annotations.parent)[i] for i in range(2)]
    found = read_results(output, images)
    output.unlink()
    settings = {"dataset": str(annotations), "split": None, "strategy": "fast", "seed": 0}
    journal = Journal(part)
    journal.append(settings)
    for image in images:
        masks = ImageMasks(image.height, image.width, found[image.image_id])
        journal.append({"image": image.image_id, **masks.to_json()})
    part.write_bytes(part.read_bytes()[:-100])
    for words in ((), ("--resume", "--seed", "1")):
        with pytest.raises(UserError, match=r"results\.json\.part: holds the work of a"):
            command(annotations, output, *words)
    assert command(annotations, output, "--resume") == 0
    assert output.read_bytes() == expected
    assert not part.exists()
