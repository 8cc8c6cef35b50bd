"""Without the extras: what predicting and evaluating need imports, the rest names its extra."""

from __future__ import annotations

import subprocess
import sys
from importlib import import_module

import pytest

from instancefcn.core.errors import UserError
from instancefcn.core.extras import extra

LIBRARIES = {
    "train": ["lightning_fabric", "pooch", "tensorboard"],
    "plot": ["matplotlib"],
    "baselines": ["scipy", "skimage"],
    "onnx": ["onnx", "onnxruntime"],
}
"""What each extra installs."""

BASE = ["apps.propose", "apps.evaluate", "apps.check_data", "formats.overlay", "baselines.deepmask"]
OPTIONAL = {
    "apps.train": "train",
    "apps.show_maps": "plot",
    "evaluation.plots": "plot",
    "apps.get_data": "train",
    "apps.selective_search": "baselines",
    "apps.export": "onnx",
    "inference.onnx_engine": "onnx",
}
"""Modules and the extra that each needs."""

PROGRAM = """
import sys
from importlib import import_module
sys.modules.update(dict.fromkeys({libraries}))  # importing one of these fails
for name in {modules}:
    try:
        import_module("instancefcn." + name)
        print(name, "works")
    except ValueError as error:
        print(name, error)
"""


def test_an_extra_is_named_where_its_library_is_missing() -> None:
    libraries = [library for names in LIBRARIES.values() for library in names]
    program = PROGRAM.format(libraries=libraries, modules=[*BASE, *OPTIONAL])
    command = [sys.executable, "-c", program]
    process = subprocess.run(command, check=True, capture_output=True, text=True)
    said = dict(line.split(" ", 1) for line in process.stdout.splitlines())
    assert {said.pop(name) for name in BASE} == {"works"}
    for name, extra_name in OPTIONAL.items():
        assert any(said[name].startswith(library) for library in LIBRARIES[extra_name])
        assert said[name].endswith(f"pip install 'instancefcn[{extra_name}]'")


def test_the_library_and_the_extra_are_named() -> None:
    with (
        pytest.raises(UserError, match=r"^no_such_library is not .* 'instancefcn\[plot\]'$"),
        extra("plot"),
    ):
        import_module("no_such_library")
