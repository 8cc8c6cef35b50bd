"""What ``propose`` is to write where masks have labels."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from instancefcn.core.errors import UserError
from instancefcn.core.files import whole_file
from instancefcn.formats.coco import CocoDataset
from instancefcn.formats.coco.results import read_results
from instancefcn.formats.coco.writing import ImageMasks
from instancefcn.formats.ledger import Ledger
from instancefcn.formats.plan import Plan
from predictions import NAMES, labelled, predicted


def listing(path: Path, *names: str) -> Path:
    """A COCO file of one image, with categories from 100 on."""
    images = [{"id": 7, "file_name": "x.jpg", "width": 64, "height": 64}]
    categories = [{"id": i, "name": name} for i, name in enumerate(names, 100)]
    path.write_text(json.dumps({"images": images, "annotations": [], "categories": categories}))
    return path


def carry_out(plan: Plan) -> None:
    """As the command does for one image: its files, notes of it, the file of all images."""
    prediction = predicted(labelled())
    ledger = Ledger(plan.folder)
    ledger.start({"set of labels": plan.categories}, plan.names_at_the_end())
    masks, writers = ImageMasks.of(prediction), plan.writers(prediction, Counter())
    done = ledger.add(prediction.source, masks, writers)
    assert plan.joined
    with whole_file(plan.joined) as file, plan.joining(file) as add:
        source = plan.identify(prediction.source, done.height, done.width)
        add(source, Ledger(plan.folder).masks(done))


def test_labels_come_out_of_the_notes_into_the_file_of_all_images(tmp_path: Path) -> None:
    carry_out(Plan.of(tmp_path, ["coco"], NAMES))
    dataset = CocoDataset(tmp_path / "proposals.json", "photos")
    assert dict(dataset.categories) == NAMES
    assert [i.category for i in dataset[0].instances] == labelled().labels.tolist()
    others = dict(enumerate(NAMES.values(), 200))
    results = read_results(tmp_path / "proposals.json", [dataset[0]], others)
    assert [others[mask.category] for mask in results[1]] == labelled().names


def test_results_have_the_annotations_ids_of_the_labels(tmp_path: Path) -> None:
    names = sorted(NAMES.values())
    annotations = listing(tmp_path / "instances.json", *names, "another")
    carry_out(Plan.of(tmp_path / "out", ["coco"], NAMES, annotations))
    results: list[dict[str, Any]] = json.loads((tmp_path / "out" / "results.json").read_text())
    assert [names[r["category_id"] - 100] for r in results] == labelled().names
    assert {r["image_id"] for r in results} == {7}


def test_a_label_that_the_annotations_lack_is_told_before_the_work_begins(tmp_path: Path) -> None:
    annotations = listing(tmp_path / "instances.json", "stop sign")
    with pytest.raises(UserError, match="8 of the model's 9 labels, 'person' the first"):
        Plan.of(tmp_path, ["coco"], NAMES, annotations)
    assert Plan.of(tmp_path, ["png"], NAMES, annotations).joined is None
    assert Plan.of(tmp_path, ["coco"], {1: "object"}, annotations).ids == {1: 1}
