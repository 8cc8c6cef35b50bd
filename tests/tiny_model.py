"""A model file of a small random network, for tests of the command line."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import torch

from instancefcn.network.models import Model, build

DESCRIPTION: dict[str, Any] = {
    "class_path": "instancefcn.network.fcn.InstanceFCN",
    "init_args": {
        "backbone": {
            "class_path": "instancefcn.network.backbones.FeaturePyramid",
            "init_args": {"encoder": "test_efficientnet", "channels": 8},
        },
        "branches": [
            {
                "m": 9,
                "mask_head": {
                    "class_path": "instancefcn.network.heads.ScoreMapHead",
                    "init_args": {"channels": 8, "hidden": 8, "k": 3},
                },
                "objectness_head": {"channels": 8, "hidden": 8},
                "maps": [0, 1],
                "centres": [0, 1],
            }
        ],
    },
}


def write_model(path: Path, card: Mapping[str, Any] = MappingProxyType({})) -> Path:
    """Its weights are always the same; it sees images at 64 pixels."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = build(DESCRIPTION, "the tests")
    Model(network, DESCRIPTION, {"sides": [64]}, dict(card)).save(path)
    return path
