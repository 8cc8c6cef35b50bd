"""A class of one's own: trained, and then used; never trusted by a file's own word."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
import yaml

from instancefcn.apps.cli import main
from instancefcn.core.errors import UserError
from instancefcn.inference.predictor import Predictor
from instancefcn.network.models import load_model
from shapes import write_recipe, write_shapes

PACKAGE = '''
from instancefcn.network.backbones import FeaturePyramid
from torch.optim import SGD


class Flipped(FeaturePyramid):
    """Sees each image mirrored."""

    def __init__(self, width: int) -> None:
        super().__init__("test_efficientnet", width)

    def encode(self, images):
        return [each.flip(3) for each in super().encode(images.flip(3))]


class Slow(SGD):
    def __init__(self, params, lr: float = 0.001) -> None:
        super().__init__(params, lr=lr, momentum=0.9)
'''


@pytest.fixture
def recipe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A recipe with a backbone and an optimizer of a package in the current folder."""
    path = write_recipe(tmp_path, write_shapes(tmp_path))
    content = yaml.safe_load(path.read_text())
    own = {"class_path": "own_package.Flipped", "init_args": {"width": 16}}
    branch = {
        "m": 11,
        "mask_head": {
            "class_path": "instancefcn.network.heads.ScoreMapHead",
            "init_args": {"channels": 16, "hidden": 16, "k": 3},
        },
        "objectness_head": {"channels": 16, "hidden": 16},
    }
    content["network"] = {"backbone": own, "branches": [branch]}
    content["optimizer"] = {"class_path": "own_package.Slow"}
    content |= {"steps": 2, "workers": 0, "evaluate_every": 2}
    path.write_text(yaml.safe_dump(content))
    (tmp_path / "own_package.py").write_text(PACKAGE)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    yield path
    sys.modules.pop("own_package", None)
    torch.use_deterministic_algorithms(False)


def test_an_own_class_trains_and_is_used(recipe: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", str(recipe), "--output", "run"]) == 2
    assert "names the class own_package.Flipped" in capsys.readouterr().err
    assert "own_package" not in sys.modules
    assert main(["train", str(recipe), "--output", "run", "--trust", "own_package"]) == 0

    model = Path("run", "model.safetensors")
    with pytest.raises(UserError, match=r"own_package\.Flipped.* --trust own_package"):
        load_model(model)
    network = load_model(model, trust=("own_package",)).network
    assert type(network.backbone).__name__ == "Flipped"
    assert len(Predictor.from_pretrained(model, trust=("own_package",))("1.png").scores) > 0

    command = ["propose", "1.png", "--output", "out", "--model", str(model)]
    assert main(command) == 2
    assert main([*command, "--trust", "own_package"]) == 0
    assert json.loads(Path("out", "proposals.json").read_text())["annotations"]
    assert main(["show-maps", "1.png", "--model", str(model), "--trust", "own_package"]) == 0
    data = ["--data", "instances.json", "--images", "."]
    words = ["--model", str(model), "--trust", "own_package", "--include-trained"]
    assert main(["evaluate", *data, *words]) == 0


def test_a_name_to_trust_is_a_packages(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", "general", "--trust", "./own.py"]) == 2
    assert "--trust ./own.py: no package's name" in capsys.readouterr().err
