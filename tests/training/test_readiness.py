"""What would end a run in its first step is found before its data are read."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn

from builders import small_network
from instancefcn.apps.cli import main
from instancefcn.core.errors import UserError
from instancefcn.training.readiness import require_fit, require_optimizer, require_ready
from instancefcn.training.recipe import read_recipe


def test_a_network_that_fits_is_left_as_it_was() -> None:
    network = small_network()
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    require_fit(network)
    for name, tensor in network.state_dict().items():
        assert torch.equal(tensor, before[name]), name
    assert all(parameter.grad is None for parameter in network.parameters())


def test_parts_that_do_not_fit_are_one_line() -> None:
    network = small_network()
    head = network.get_submodule("branches.0.objectness_head")
    head.hidden = nn.Conv2d(13, 8, 3)
    with pytest.raises(UserError, match=r"do not fit one another .*13 channels") as error:
        require_fit(network)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ([], "tf_efficientnet_lite0.safetensors: no such file of pretrained weights"),
        (["--pretrained", "null", "--start", "nowhere"], "nowhere: no such model"),
    ],
)
def test_missing_weights_are_found_before_missing_data(
    options: list[str], reason: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["--data", str(tmp_path), "--weights", str(tmp_path), "--output", str(tmp_path / "run")]
    assert main(["train", "general-first", *words, *options]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert reason in line
    assert ";" in line
    assert not (tmp_path / "run").exists()
    if not options:
        assert "--weights" in line
        assert "--pretrained download" in line


@pytest.mark.parametrize(
    ("optimizer", "reason"),
    [
        ("{class_path: torch.optim.AdamW, init_args: {lr: -1}}", "Invalid learning rate: -1"),
        ("{class_path: torch.optim.LBFGS}", "LBFGS doesn't support per-parameter options"),
        ("{class_path: torch.optim.SparseAdam}", "SparseAdam does not support dense gradients"),
    ],
)
def test_an_optimizer_that_does_not_train_is_one_line(optimizer: str, reason: str) -> None:
    recipe = read_recipe("general", ["--start", "null", "--optimizer", optimizer]).recipe
    before = {name: tensor.clone() for name, tensor in recipe.network.state_dict().items()}
    with pytest.raises(UserError, match=reason) as error:
        require_ready(recipe)
    assert "\n" not in str(error.value)
    require_optimizer(read_recipe("general").recipe)
    for name, tensor in recipe.network.state_dict().items():
        assert torch.equal(tensor, before[name]), name


@pytest.mark.parametrize("value", ["--network.channels=0", "--network.channels=-3"])
def test_a_layer_without_channels_is_one_line(
    value: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Torch only warns of the first: a warning is an error in tests."""
    assert main(["train", "general", value]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"instancefcn train: error: general with {value}: ")


def test_data_that_were_not_named_are_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["train", "finetune", "--accelerator", "cpu"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    expected = "data: no such file or folder; name the data set with --data"
    assert line == f"instancefcn train: error: {expected}"
