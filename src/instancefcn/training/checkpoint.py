"""Training state and models as safetensors files: tensors and a JSON header; no pickle."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from instancefcn.core.errors import UserError
from instancefcn.network.tensors import read_tensors, write_tensors


@dataclass(frozen=True)
class TrainingState:
    """What changes during a run, by reference: ``restore`` fills the same objects again.

    There are no random states to keep: all that is drawn follows from seed and position.
    """

    network: nn.Module
    average: nn.Module
    optimizer: Optimizer

    def save(self, path: Path, step: int) -> None:
        tensors = {
            **{f"network.{k}": v for k, v in self.network.state_dict().items()},
            **{f"average.{k}": v for k, v in self.average.state_dict().items()},
        }
        for index, state in self.optimizer.state_dict()["state"].items():
            for name, value in state.items():
                if value is not None:
                    tensors[f"optimizer.{index}.{name}"] = torch.as_tensor(value)
        write_tensors(path, tensors, {"step": step})

    def restore(self, path: Path) -> int:
        """Take up a saved state; returns the number of steps it had seen.

        Raises ValueError, naming the file, for what is no state of this network and optimizer.
        """
        tensors, header = read_tensors(path)
        parts: dict[str, dict[str, Tensor]] = {"network": {}, "average": {}, "optimizer": {}}
        state: dict[int, dict[str, Tensor]] = {}
        try:
            for name, tensor in tensors.items():
                part, _, rest = name.partition(".")
                parts[part][rest] = tensor
            for name, tensor in parts["optimizer"].items():
                index, _, key = name.partition(".")
                state.setdefault(int(index), {})[key] = tensor
            step = int(header["step"])
            self.network.load_state_dict(parts["network"])
            self.average.load_state_dict(parts["average"])
            groups = self.optimizer.state_dict()["param_groups"]
            self.optimizer.load_state_dict({"state": state, "param_groups": groups})
        except (KeyError, RuntimeError, ValueError) as error:
            reason = str(error).splitlines()[-1].strip()
            raise UserError(
                f"{path}: no training state of this recipe's network and optimizer ({reason}); "
                "go on with the recipe that wrote it, or train in another folder"
            ) from None
        return step
