"""Training state as a safetensors file: tensors and a JSON header; no pickle."""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from instancefcn.core.errors import UserError
from instancefcn.core.extras import extra
from instancefcn.core.tensors import read_tensors, write_tensors

with extra("train"):
    from lightning_fabric.plugins.precision import Precision


@dataclass(frozen=True)
class TrainingState:
    """What changes during a run, by reference: ``restore`` fills the same objects again.

    There are no random states to keep: all that is drawn follows from seed and position.
    """

    network: nn.Module
    average: nn.Module
    optimizer: Optimizer
    precision: Precision = field(default_factory=Precision)  # in float16 it has found a scale

    def save(self, path: Path, step: int) -> None:
        """Write all of it. Raises UserError for an optimizer that keeps what is neither a tensor
        nor a plain value.
        """
        tensors = {
            **{f"network.{k}": v for k, v in self.network.state_dict().items()},
            **{f"average.{k}": v for k, v in self.average.state_dict().items()},
        }
        plain: dict[str, Any] = {}
        for name, value in _flat(self.optimizer.state_dict()).items():
            if isinstance(value, Tensor):
                tensors[f"optimizer.{name}"] = value
            else:
                plain[name] = value
        scale = dict(self.precision.state_dict())
        try:
            write_tensors(path, tensors, {"step": step, "optimizer": plain, "precision": scale})
        except TypeError as error:
            raise UserError(
                f"{type(self.optimizer).__name__} keeps what no checkpoint holds ({error}); "
                "take an optimizer that keeps tensors and numbers"
            ) from None

    def restore(self, path: Path) -> int:
        """Take up a saved state; returns the number of steps it had seen.

        Raises UserError, naming the file, for what is no state of this network and optimizer.
        """
        tensors, header = read_tensors(path)
        parts: dict[str, dict[str, Any]] = {"network": {}, "average": {}, "optimizer": {}}
        try:
            for name, tensor in tensors.items():
                part, _, rest = name.partition(".")
                parts[part][rest] = tensor
            step = _number(header["step"])
            self.network.load_state_dict(parts["network"])
            self.average.load_state_dict(parts["average"])
            values = {**parts["optimizer"], **header["optimizer"]}
            self.optimizer.load_state_dict(_nested(values, self.optimizer.state_dict()))
            try_step(self.optimizer)
            if header.get("precision"):  # none in earlier checkpoints
                self.precision.load_state_dict(header["precision"])
        except (AttributeError, LookupError, RuntimeError, TypeError, ValueError) as error:
            reason = (str(error).splitlines() or [""])[-1].strip()
            raise UserError(
                f"{path}: no training state of this recipe's network and optimizer ({reason}); "
                "go on with the recipe that wrote it, or train in another folder"
            ) from None
        return step


def _flat(state: Mapping[str, Any]) -> dict[str, Any]:
    """An optimizer's values by name: "state.0.exp_avg", "group.0.lr"."""
    flat = {
        f"state.{index}.{name}": value
        for index, values in state["state"].items()
        for name, value in values.items()
    }
    for number, group in enumerate(state["param_groups"]):
        flat |= {f"group.{number}.{k}": v for k, v in group.items() if k != "params"}
    return flat


def _nested(flat: Mapping[str, Any], own: Mapping[str, Any]) -> dict[str, Any]:
    """The inverse of ``_flat``; which parameters a group has is taken from the optimizer's own."""
    state: dict[int, dict[str, Any]] = {}
    groups = [dict(group) for group in own["param_groups"]]
    last = sum(len(group["params"]) for group in groups) - 1
    for name, value in flat.items():
        kind, number, key = name.split(".", 2)
        index = int(number)
        if kind == "state" and not 0 <= index <= last:
            raise LookupError(f"{name}, but parameters 0 to {last}")
        holder = state.setdefault(index, {}) if kind == "state" else groups[index]
        holder[key] = tuple(value) if isinstance(value, list) else value  # as JSON has no tuples
    return {"state": state, "param_groups": groups}


def try_step(optimizer: Optimizer) -> None:
    """Raises what the optimizer raises in a step from this state: on a copy, without a gradient."""
    trial = deepcopy(optimizer)
    for group in trial.param_groups:
        for parameter in group["params"]:
            parameter.grad = torch.zeros_like(parameter)
    trial.step()


def _number(step: Any) -> int:
    if not isinstance(step, int) or step < 0:
        raise ValueError(f"step {step!r}")
    return step
