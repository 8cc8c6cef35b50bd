"""Files of tensors: whole or not at all, ours or refused; training states restored bit for bit."""

from __future__ import annotations

import math
import os
import threading
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from lightning_fabric.plugins import MixedPrecision
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.optim import ASGD, SGD, AdamW, Optimizer, Rprop
from torch.optim.swa_utils import AveragedModel

from instancefcn.core.errors import UserError
from instancefcn.core.tensors import read_tensors, write_tensors
from instancefcn.training.checkpoint import TrainingState

# --- round trips

TENSORS = {
    "float32": torch.arange(6.0).view(2, 3),
    "float16": torch.tensor([1.5, float("inf")], dtype=torch.float16),
    "bfloat16": torch.tensor([-2.25], dtype=torch.bfloat16),
    "int64": torch.tensor([2**62, -1]),
    "bool": torch.tensor([True, False]),
    "scalar": torch.tensor(7.0),
    "empty": torch.zeros(0, 3),
    "channels_last": torch.arange(24.0)
    .view(1, 2, 3, 4)
    .contiguous(memory_format=torch.channels_last),
    "transposed": torch.arange(6.0).view(2, 3).T,
    "parameter": nn.Parameter(torch.ones(2)),
}
HEADER = {"step": 3, "card": {"name": "ä", "list": [1, 2.5, None]}, "text": "plain", "none": None}


def test_tensors_and_header_survive(tmp_path: Path) -> None:
    path = tmp_path / "new" / "folder" / "file.safetensors"
    write_tensors(path, TENSORS, HEADER)
    tensors, header = read_tensors(path)
    assert header == HEADER
    assert tensors.keys() == TENSORS.keys()
    for name, tensor in TENSORS.items():
        assert tensors[name].dtype == tensor.dtype
        assert torch.equal(tensors[name], tensor)


def test_a_header_alone_survives(tmp_path: Path) -> None:
    write_tensors(tmp_path / "empty", {}, {"step": 0})
    assert read_tensors(tmp_path / "empty") == ({}, {"step": 0})


@pytest.mark.parametrize("metadata", [None, {"format": "pt"}])
def test_files_of_other_programs_are_read(tmp_path: Path, metadata: dict[str, str] | None) -> None:
    save_file({"a": torch.ones(2)}, tmp_path / "theirs", metadata)
    tensors, header = read_tensors(tmp_path / "theirs")
    assert torch.equal(tensors["a"], torch.ones(2))
    assert header == (metadata or {})


# --- whole or not at all


@pytest.mark.parametrize("header", [{"step": object()}, {"step": {1, 2}}])
def test_a_write_that_fails_leaves_the_old_file_alone(tmp_path: Path, header: Any) -> None:
    path = tmp_path / "file"
    write_tensors(path, {"a": torch.ones(2)}, {"step": 1})
    with pytest.raises(TypeError):
        write_tensors(path, {"a": torch.zeros(2)}, header)
    assert os.listdir(tmp_path) == ["file"]
    assert read_tensors(path)[1] == {"step": 1}


def test_a_write_that_fails_leaves_nothing_behind(tmp_path: Path) -> None:
    shared = torch.ones(4)
    with pytest.raises(RuntimeError):
        write_tensors(tmp_path / "file", {"a": shared, "b": shared}, {})
    assert os.listdir(tmp_path) == []


def test_a_half_written_file_is_never_seen(tmp_path: Path) -> None:
    """A reader that looks while a writer overwrites the file finds one state or the other."""
    path = tmp_path / "file"
    write_tensors(path, {"a": torch.zeros(100_000)}, {"step": 0})
    done = threading.Event()

    def write() -> None:
        for step in range(1, 30):
            write_tensors(path, {"a": torch.full((100_000,), float(step))}, {"step": step})
        done.set()

    writer = threading.Thread(target=write)
    writer.start()
    steps = []
    while not done.is_set():
        tensors, header = read_tensors(path)
        assert (tensors["a"] == header["step"]).all()
        steps.append(header["step"])
    writer.join()
    assert steps == sorted(steps)
    assert read_tensors(path)[1] == {"step": 29}
    assert os.listdir(tmp_path) == ["file"]


# --- what is not ours


def not_safetensors(path: Path) -> None:
    path.write_text("hello")


def empty(path: Path) -> None:
    path.touch()


def truncated(path: Path) -> None:
    write_tensors(path, {"a": torch.zeros(1000)}, {})
    path.write_bytes(path.read_bytes()[:-100])


def pickled(path: Path) -> None:
    torch.save({"a": torch.zeros(3)}, path)


def folder(path: Path) -> None:
    path.mkdir()


def missing(path: Path) -> None:
    assert not path.exists()


@pytest.mark.parametrize(
    "spoil", [not_safetensors, empty, truncated, pickled, folder, missing], ids=lambda f: f.__name__
)
def test_what_is_no_safetensors_file_is_told_in_one_line(
    tmp_path: Path, spoil: Callable[[Path], None]
) -> None:
    path = tmp_path / "model"
    spoil(path)
    with pytest.raises(ValueError, match=r"model: (not a safetensors file|no such file)") as error:
        read_tensors(path)
    assert "\n" not in str(error.value)


# --- training states


class Distance(SGD):
    """As Prodigy and others, it keeps what it has learnt in its groups: numbers and a tensor."""

    def __init__(self, parameters: Iterable[Any]) -> None:
        super().__init__(parameters, lr=0.1)
        for group in self.param_groups:
            group |= {"d": 1e-3, "k": 0, "seen": (0, 1), "far": torch.zeros(2), "none": None}

    def step(self, closure: None = None) -> None:  # type: ignore[override]
        for group in self.param_groups:
            group["k"] += 1
            group["d"] = group["d"] * 1.1 + 1 / 3
            group["seen"] = (group["k"], group["d"])
            group["far"] = group["far"] + group["d"]
            group["lr"] = group["d"] / 10
            for parameter in group["params"]:
                self.state[parameter]["plain"] = group["d"]
        super().step(closure)


OPTIMIZERS: dict[str, Callable[[Iterable[Any]], Optimizer]] = {
    "AdamW": lambda parameters: AdamW(parameters, lr=0.01, weight_decay=0.1),
    "AMSGrad": lambda parameters: AdamW(parameters, lr=0.01, amsgrad=True),
    "SGD": lambda parameters: SGD(parameters, lr=0.1),
    "ASGD": lambda parameters: ASGD(parameters, lr=0.1, t0=1),
    "Rprop": lambda parameters: Rprop(parameters, lr=0.1),
    "Distance": Distance,
    "momentum": lambda parameters: SGD(parameters, lr=0.1, momentum=0.9, weight_decay=0.01),
}


class Run:
    """A small network with a part that never gets a gradient, in two groups of parameters."""

    def __init__(self, optimizer: str, seed: int = 0, width: int = 4) -> None:
        torch.manual_seed(seed)
        self.network = nn.Sequential(nn.Conv2d(3, width, 3), nn.ReLU(), nn.Conv2d(width, 2, 1))
        self.network.to(memory_format=torch.channels_last)
        self.network.register_parameter("idle", nn.Parameter(torch.ones(2)))
        self.average = AveragedModel(self.network)
        first, rest = self.network[0], self.network[2]
        groups = [{"params": first.parameters(), "lr": 0.02}, {"params": rest.parameters()}]
        groups.append({"params": [self.network.idle]})
        self.optimizer = OPTIMIZERS[optimizer](groups)
        self.state = TrainingState(self.network, self.average, self.optimizer)

    def train(self, steps: range) -> None:
        for step in steps:
            x = torch.rand(2, 3, 6, 6, generator=torch.Generator().manual_seed(step))
            self.optimizer.zero_grad()
            self.network(x).square().mean().backward()
            self.optimizer.step()
            self.average.update_parameters(self.network)

    def values(self) -> dict[str, Tensor]:
        moments = self.optimizer.state_dict()["state"]
        return {
            **{f"network.{k}": v for k, v in self.network.state_dict().items()},
            **{f"average.{k}": v for k, v in self.average.state_dict().items()},
            **{
                f"{index}.{name}": torch.as_tensor(value)
                for index, state in moments.items()
                for name, value in state.items()
                if value is not None
            },
        }


def assert_same(one: dict[str, Tensor], other: dict[str, Tensor]) -> None:
    assert one.keys() == other.keys()
    for name, value in one.items():
        assert value.dtype == other[name].dtype, name
        assert torch.equal(value, other[name]), name


@pytest.mark.parametrize("steps", [0, 1, 3])
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_a_restored_run_goes_on_bit_for_bit(tmp_path: Path, optimizer: str, steps: int) -> None:
    path = tmp_path / "checkpoint"
    run, resumed = Run(optimizer), Run(optimizer, seed=1)
    run.train(range(steps))
    run.state.save(path, steps)
    assert resumed.state.restore(path) == steps
    assert_same(resumed.values(), run.values())
    run.train(range(steps, 6))
    resumed.train(range(steps, 6))
    assert_same(resumed.values(), run.values())
    for one, other in zip(run.optimizer.param_groups, resumed.optimizer.param_groups, strict=True):
        assert {k: str(v) for k, v in one.items() if k != "params"} == {
            k: str(v) for k, v in other.items() if k != "params"
        }


def test_the_scale_of_float16_is_kept(tmp_path: Path) -> None:
    """An overflow halves it. A run that began again with the first scale would lose other steps."""
    precisions = [
        MixedPrecision("16-mixed", "cpu", torch.amp.GradScaler("cpu", init_scale=2.0**40))
        for _ in range(2)
    ]
    run, resumed = (replace(Run("SGD").state, precision=precision) for precision in precisions)
    scaler = precisions[0].scaler
    assert scaler is not None
    for parameter in run.network.parameters():
        parameter.grad = torch.full_like(parameter, math.inf)
    scaler.scale(torch.ones(()))
    scaler.step(run.optimizer)
    scaler.update()
    run.save(tmp_path / "checkpoint", 1)
    resumed.restore(tmp_path / "checkpoint")
    assert precisions[1].state_dict() == precisions[0].state_dict()
    assert precisions[1].state_dict()["scale"] == 2.0**39


def test_restoring_fills_the_same_objects(tmp_path: Path) -> None:
    run, resumed = Run("AdamW"), Run("AdamW", seed=1)
    parameters = list(resumed.network.parameters())
    run.train(range(2))
    run.state.save(tmp_path / "checkpoint", 2)
    resumed.state.restore(tmp_path / "checkpoint")
    held = [p for group in resumed.optimizer.param_groups for p in group["params"]]
    assert {id(p) for p in held} == {id(p) for p in parameters}
    assert [group["lr"] for group in resumed.optimizer.param_groups] == [0.02, 0.01, 0.01]


def test_a_state_of_another_network_is_told_in_one_line(tmp_path: Path) -> None:
    path = tmp_path / "checkpoint"
    Run("AdamW", width=5).state.save(path, 1)
    run = Run("AdamW")
    with pytest.raises(ValueError, match=r"checkpoint: no training state .*size mismatch") as error:
        run.state.restore(path)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("optimizer.state.0.exp_avg", torch.zeros(3)),
        ("optimizer.state.0.exp_avg", torch.zeros(2, 4, 3, 3, 3)),
        ("optimizer.state.9.exp_avg", torch.zeros(3)),
        ("optimizer.group.7.lr", torch.zeros(3)),
        ("optimizer.state.x.exp_avg", torch.zeros(3)),
        ("optimizer.nothing", torch.zeros(3)),
        ("other.0", torch.zeros(3)),
        ("step", None),
        ("step", -1),
        ("step", "3"),
        ("optimizer", None),
        ("optimizer", [3]),
        ("optimizer", {"group.0.betas": 3}),
    ],
)
def test_a_spoilt_state_is_told_in_one_line(tmp_path: Path, name: str, value: Any) -> None:
    path = tmp_path / "checkpoint"
    run = Run("AdamW")
    run.train(range(2))
    run.state.save(path, 2)
    tensors, header = read_tensors(path)
    (tensors if isinstance(value, Tensor) else header)[name] = value
    write_tensors(path, tensors, header)
    with pytest.raises(UserError, match="checkpoint: no training state") as error:
        Run("AdamW").state.restore(path)
    assert "\n" not in str(error.value)


def test_what_json_cannot_hold_is_told_in_one_line(tmp_path: Path) -> None:
    run = Run("SGD")
    run.optimizer.param_groups[0]["object"] = object()
    with pytest.raises(UserError, match="SGD keeps what no checkpoint holds") as error:
        run.state.save(tmp_path / "checkpoint", 1)
    assert "\n" not in str(error.value)
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize(
    "tensors",
    [
        {},
        {"a": torch.zeros(2)},
        {"network.0.weight": torch.zeros(2)},
        {"optimizer.a.b": torch.ones(1)},
    ],
)
def test_what_is_no_state_is_told_in_one_line(tmp_path: Path, tensors: dict[str, Tensor]) -> None:
    path = tmp_path / "checkpoint"
    write_tensors(path, tensors, {"by": "another program"})
    with pytest.raises(ValueError, match="checkpoint: no training state") as error:
        Run("SGD").state.restore(path)
    assert "\n" not in str(error.value)
