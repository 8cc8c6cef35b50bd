"""Training state and models as safetensors files: tensors and a JSON header; no pickle."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor, nn
from torch.optim import Optimizer

from instancefcn.files import whole_file


def write_tensors(path: Path, tensors: Mapping[str, Tensor], header: Mapping[str, Any]) -> None:
    """Write a safetensors file whole or not at all."""
    content = save(
        {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()},
        {key: json.dumps(value) for key, value in header.items()},
    )
    with whole_file(path) as file:
        file.write(content)


def read_tensors(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """The tensors and the header of a safetensors file; ValueError if it is not one.

    The file is opened once: safetensors' ``safe_open`` opens it a second time for the tensors, and
    would pair the header of one state with the tensors of the next that is renamed over it.
    """
    try:
        content = path.read_bytes()
        return load(content), {key: _value(text) for key, text in _metadata(content).items()}
    except FileNotFoundError:
        raise ValueError(f"{path}: no such file; check the path") from None
    except (SafetensorError, OSError) as error:
        reason = " ".join(str(error).split())
        raise ValueError(
            f"{path}: not a safetensors file ({reason}); give one that `instancefcn train` wrote"
        ) from None


def _metadata(content: bytes) -> dict[str, str]:
    """A file's text entries. Its first 8 bytes are the length of the JSON that follows."""
    length = int.from_bytes(content[:8], "little")
    metadata: dict[str, str] = json.loads(content[8 : 8 + length]).get("__metadata__", {})
    return metadata


def _value(text: str) -> Any:
    """The JSON of a header's entry; other programs write plain words, as {"format": "pt"}."""
    try:
        return json.loads(text)
    except json.JSONDecodeError:
        return text


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
            raise ValueError(
                f"{path}: no training state of this recipe's network and optimizer ({reason}); "
                "go on with the recipe that wrote it, or train in another folder"
            ) from None
        return step
