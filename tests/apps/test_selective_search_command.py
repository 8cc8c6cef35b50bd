"""The command's results against a search in this process, and as ``evaluate`` reads them."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np
import pytest

from instancefcn.apps.selective_search import add_arguments, run
from instancefcn.baselines.selective_search import STRATEGIES, selective_search
from instancefcn.data.images import read_image
from instancefcn.evaluation.recall import evaluate_recall
from instancefcn.formats.coco import CocoDataset
from instancefcn.formats.coco.results import read_results
from shapes import write_shapes


@pytest.fixture(scope="module", name="annotations")
def _annotations(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_shapes(tmp_path_factory.mktemp("shapes"), images=2)


def command(annotations: Path, output: Path, *words: str) -> int:
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    arguments = [str(annotations), "--images", str(annotations.parent), "--output", str(output)]
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
        assert results[image.image_id] == expected
    assert evaluate_recall(images, results).average(1000) > 0.9


def test_limit_takes_the_first_images(annotations: Path, tmp_path: Path) -> None:
    output = tmp_path / "results.json"
    assert command(annotations, output, "--limit", "1") == 0
    records = json.loads(output.read_text())
    assert {(r["image_id"], r["category_id"]) for r in records} == {(1, 1)}


def test_an_unreadable_image_is_named_and_nothing_written(tmp_path: Path) -> None:
    annotations = write_shapes(tmp_path, images=1)
    (tmp_path / "1.png").write_bytes(b"no image")
    with pytest.raises(ValueError, match=r"1\.png: not an image"):
        command(annotations, tmp_path / "results.json")
    assert not (tmp_path / "results.json").exists()


def test_an_output_that_cannot_be_written(annotations: Path, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ValueError, match="give another --output"):
        command(annotations, tmp_path / "file" / "results.json", "--limit", "1")
