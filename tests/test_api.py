"""The public names, frozen.

Users write these names, so to change one breaks their programs. To add one: add it to
``__all__`` and here, to the README, and to the changelog. To remove or rename one: keep the old
name for a release, with a DeprecationWarning, and say so in the changelog.
"""

from __future__ import annotations

import inspect
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest

import instancefcn

PUBLIC = ["Predictor", "Proposals", "load_model"]

SIGNATURES: dict[str, tuple[Callable[..., Any], list[str]]] = {
    "Predictor": (
        instancefcn.Predictor.__init__,
        ["self", "engine", "settings", "batch", "labels", "card"],
    ),
    "Predictor.from_pretrained": (
        instancefcn.Predictor.from_pretrained,
        ["name", "sides", "selection", "device", "batch", "trust", "labels"],
    ),
    "Predictor()": (instancefcn.Predictor.__call__, ["self", "image"]),
    "Predictor.at": (instancefcn.Predictor.at, ["self", "image", "x", "y"]),
    "Predictor.stream": (instancefcn.Predictor.stream, ["self", "images"]),
    "Proposals.at": (instancefcn.Proposals.at, ["self", "x", "y"]),
    "Proposals.save": (instancefcn.Proposals.save, ["self", "path"]),
    "Proposals": (
        instancefcn.Proposals.__init__,
        [
            *("self", "scores", "windows", "logits", "level", "height", "width", "answers"),
            *("categories", "labels"),
        ],
    ),
    "load_model": (instancefcn.load_model, ["name", "trust"]),
}


def test_public_names() -> None:
    assert sorted(instancefcn.__all__) == PUBLIC
    assert set(PUBLIC) <= set(dir(instancefcn))


@pytest.mark.parametrize("name", SIGNATURES)
def test_arguments_keep_their_names_and_order(name: str) -> None:
    function, expected = SIGNATURES[name]
    assert list(inspect.signature(function).parameters) == expected


@pytest.mark.parametrize("name", PUBLIC)
def test_public_names_are_documented(name: str) -> None:
    assert inspect.getdoc(getattr(instancefcn, name))


def test_an_unknown_name_is_an_attribute_error() -> None:
    """For mypy too: were this name taken for one of ours, the comment would be called unused."""
    with pytest.raises(AttributeError, match="module 'instancefcn' has no attribute 'predictors'"):
        _ = instancefcn.predictors  # type: ignore[attr-defined]


def test_importing_the_package_imports_none_of_the_heavy_ones() -> None:
    """So that `instancefcn --help` answers at once."""
    heavy = {"torch", "torchvision", "timm", "numpy", "cv2", "PIL", "matplotlib", "jsonargparse"}
    code = (
        "import sys, instancefcn, instancefcn.apps.cli; "
        f"print(sorted({heavy!r} & set(sys.modules)), *sorted(instancefcn.__all__))"
    )
    output = subprocess.run(
        [sys.executable, "-c", code], check=True, capture_output=True, text=True
    ).stdout
    assert output.split() == ["[]", *PUBLIC]
