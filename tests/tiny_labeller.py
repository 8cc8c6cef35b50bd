"""The description of a small network with a labeller, and a model file of it."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from instancefcn.network.models import Model, build

NETWORK: dict[str, Any] = {
    "class_path": "instancefcn.network.presets.PyramidNetwork",
    "init_args": {
        **{"encoder": "test_efficientnet", "channels": 8, "k": 3, "prior": 0.5},
        **{"sizes": [11], "maps": [[0, 1]], "centres": [[1, 1]]},
    },
}


def labelled_description(
    categories: Mapping[int, str], encoder: str = "test_efficientnet"
) -> dict[str, Any]:
    network = copy.deepcopy(NETWORK)
    network["init_args"]["encoder"] = encoder
    labeller = {
        "class_path": "instancefcn.labelling.mnc.MncLabeller",
        "init_args": {"width": 8, "hidden": 16},
    }
    return {
        "class_path": "instancefcn.labelling.network.LabelledNetwork",
        "init_args": {
            "network": network,
            "labeller": labeller,
            "categories": {str(category): name for category, name in categories.items()},
        },
    }


def write_labelled_model(path: Path, categories: Mapping[int, str]) -> Path:
    """Its weights are always the same; it sees images at 64 pixels."""
    description = labelled_description(categories)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = build(description, "the tests")
    Model(network, description, {"sides": [64]}, {}).save(path)
    return path
