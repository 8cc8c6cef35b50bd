"""Where the file of a model is."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

from instancefcn.core.errors import UserError

SUFFIX = ".safetensors"
WEIGHTS = Path(str(files("instancefcn"))) / "weights"


def shipped() -> list[str]:
    """The names of the models inside the package."""
    return sorted(f.name[: -len(SUFFIX)] for f in WEIGHTS.iterdir() if f.name.endswith(SUFFIX))


def find_model(name: str | Path) -> Path:
    """The file of a model, or of one that ships by its name. Raises UserError if there is none."""
    path = WEIGHTS / f"{name}{SUFFIX}" if str(name) in shipped() else Path(name)
    if not path.exists():
        raise UserError(
            f"{name}: no such model; give a file that `instancefcn train` wrote, "
            f"or a model that ships: {', '.join(shipped())}"
        )
    return path
