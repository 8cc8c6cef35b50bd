"""Which engine a file is for. A new one is its own file and a line here."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from instancefcn.inference.engine import Opened
from instancefcn.network.finding import find_model

ONNX_SUFFIX = ".onnx"


def open_engine(name: str | Path, device: str | None = None, trust: Collection[str] = ()) -> Opened:
    """The engine that runs a model, and what the model says of itself.

    name: a model file, an exported graph (.onnx), or a model that ships. Raises UserError, naming
    it, for what no engine runs.
    """
    # Imported when they are asked for: an engine of an exported graph needs no network.
    if is_onnx(name):
        from instancefcn.inference.onnx_engine import open_onnx  # noqa: PLC0415

        return open_onnx(find_model(name), device)
    from instancefcn.inference.torch_engine import open_torch  # noqa: PLC0415

    return open_torch(name, device, trust)


def is_onnx(name: str | Path) -> bool:
    """Whether this names an exported graph: ONNX files begin with nothing that tells them."""
    return Path(name).suffix.lower() == ONNX_SUFFIX
