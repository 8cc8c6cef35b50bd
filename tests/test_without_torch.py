"""An engine without torch: found, labelled, written and measured where torch cannot be imported."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bright_engine import CATEGORIES
from instancefcn.core.rle import decode
from instancefcn.core.types import AnnotatedImage
from instancefcn.data.dataset import Dataset
from instancefcn.data.images import read_image, read_labels
from instancefcn.formats.coco import CocoDataset
from instancefcn.formats.labelme import LabelmeDataset
from instancefcn.formats.saving import load_proposals

ROOT = Path(__file__).parents[1]
PROGRAM = """
import json, sys
from importlib import import_module
from pathlib import Path
from pkgutil import walk_packages

BLOCKED = ("torch", "torchvision", "timm")
sys.modules.update(dict.fromkeys(BLOCKED))
import bright_engine, instancefcn

folder = Path(sys.argv[1])
bright_engine.draw(folder / "photo.png")
bright_engine.work(folder / "photo.png", folder)
recall = bright_engine.recall(folder / "photo.png", folder)

lacking = []
for room in sys.argv[2:]:
    path = Path(instancefcn.__file__).parent / room
    for module in walk_packages([path], f"{room}."):
        try:
            import_module(f"instancefcn.{module.name}")
        except ImportError as error:
            assert error.name.partition(".")[0] in BLOCKED, error
            lacking.append(module.name)
print(json.dumps({"recall": recall, "lacking": lacking}))
"""


def table() -> dict[str, list[str]]:
    """The architecture's: by room, the modules that import torch."""
    text = (ROOT / "docs" / "architecture.md").read_text()
    rows = text.split("<!-- torch:begin -->")[1].split("<!-- torch:end -->")[0].splitlines()
    names = [[re.findall(r"`(\w+)`", cell) for cell in row.split("|")[1:3]] for row in rows]
    return {cells[0][0]: cells[1] for cells in names if cells and cells[0]}


@pytest.fixture(scope="module", name="folder")
def _folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("bright")


@pytest.fixture(scope="module")
def said(folder: Path) -> Any:
    """What the program says once it has done its work."""
    command = [sys.executable, "-c", PROGRAM, str(folder), *table()]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, cwd=ROOT / "tests")
    return json.loads(done.stdout)


def test_the_architecture_names_the_modules_that_import_torch(said: Any) -> None:
    named = {f"{room}.{module}" for room, modules in table().items() for module in modules}
    assert {"core", "formats", "inference", "evaluation"} <= table().keys()
    assert set(said["lacking"]) == named


def test_what_is_found_is_measured(said: Any) -> None:
    assert said["recall"] == 1


def shapes(image: AnnotatedImage, dataset: Dataset) -> dict[str, Any]:
    """The masks by the names of their categories."""
    return {dataset.categories[i.category]: decode(i.mask) for i in image.instances}


@pytest.mark.usefixtures("said")
def test_what_is_written_can_be_read(folder: Path) -> None:
    """The red disc and the blue square, in each format, nearly as they were drawn."""
    drawn = read_image(folder / "photo.png")
    wanted = {"red": drawn[..., 0] > 0, "blue": drawn[..., 2] > 0}
    coco = CocoDataset(folder / "proposals.json", folder)
    own = CocoDataset(folder / "own.json", folder)
    labelme = LabelmeDataset(folder / "labelme-masks", images=folder)
    for dataset in (coco, own, labelme):
        found = shapes(dataset[0], dataset)
        assert found.keys() == wanted.keys()
        for name, mask in wanted.items():
            assert (found[name] & mask).sum() / (found[name] | mask).sum() > 0.85
    for path in (folder / "labels" / "photo.png", folder / "own.png"):
        labels = read_labels(path)
        np.testing.assert_array_equal(labels > 0, sum(shapes(coco[0], coco).values()))
    (picture,) = (folder / "overlays").iterdir()
    assert read_image(picture).any()
    again = load_proposals(folder / "own.safetensors")
    assert (again.names, again.categories) == (["red", "blue"], CATEGORIES)
