"""What ``propose`` is to write where masks have labels."""

from __future__ import annotations

import io
import json
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import pytest

from instancefcn.core.errors import UserError
from instancefcn.core.files import whole_file
from instancefcn.formats import plan
from instancefcn.formats.coco import CocoDataset
from instancefcn.formats.coco.results import read_results
from instancefcn.formats.format import Add, Joined, JoinedWriter
from instancefcn.formats.ledger import Ledger
from instancefcn.formats.plan import Plan
from instancefcn.formats.prediction import ImageMasks
from instancefcn.formats.table import JOINED_WRITERS
from predictions import NAMES, labelled, predicted


def listing(path: Path, *names: str) -> Path:
    """A COCO file of one image, with categories from 100 on."""
    images = [{"id": 7, "file_name": "x.jpg", "width": 64, "height": 64}]
    categories = [{"id": i, "name": name} for i, name in enumerate(names, 100)]
    path.write_text(json.dumps({"images": images, "annotations": [], "categories": categories}))
    return path


def carry_out(of: Plan) -> None:
    """As the command does for one image: its files, notes of it, the file of all images."""
    prediction = predicted(labelled())
    ledger = Ledger(of.folder)
    ledger.start({"set of labels": NAMES}, of.names_at_the_end())
    masks, writers = ImageMasks.of(prediction), of.writers(prediction, Counter())
    done = ledger.add(prediction.source, masks, writers)
    for joined in of.joined:
        with whole_file(of.folder / joined.name) as file, joined.write(file) as add:
            source = of.identify(prediction.source, done.height, done.width)
            add(source, Ledger(of.folder).masks(done))


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
    assert Plan.of(tmp_path, ["png"], NAMES, annotations).joined == []
    (results,) = Plan.of(tmp_path, ["coco"], {1: "object"}, annotations).joined
    assert results.name == "results.json"


def test_a_second_format_of_one_file_is_a_line_in_the_table(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Here one that counts each image's masks."""

    @contextmanager
    def counts(file: BinaryIO) -> Iterator[Add]:
        yield lambda source, image: print(source.stem, len(image.masks), file=text)
        file.write(text.getvalue().encode())

    text = io.StringIO()
    counting = JoinedWriter("counts", "how many", lambda *_: Joined("counts.txt", counts))
    monkeypatch.setattr(plan, "JOINED_WRITERS", (*JOINED_WRITERS, counting))
    carry_out(Plan.of(tmp_path, ["counts", "coco", "png"], NAMES))
    assert (tmp_path / "counts.txt").read_text() == f"{predicted(labelled()).source.stem} 10\n"
    assert (tmp_path / "proposals.json").exists()
