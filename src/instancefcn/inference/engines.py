"""Which engine a file is for. A new one is its own file and a line here."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from instancefcn.inference.engine import Opened


def open_engine(name: str | Path, device: str | None = None, trust: Collection[str] = ()) -> Opened:
    """The engine that runs a model, and what the model says of itself.

    name: a file, or a model that ships. Raises UserError, naming it, for what no engine runs.
    """
    # Imported when it is asked for: an engine of an exported graph needs no network.
    from instancefcn.inference.torch_engine import open_torch  # noqa: PLC0415

    return open_torch(name, device, trust)
