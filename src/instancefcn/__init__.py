"""InstanceFCN: ranked, class-agnostic instance masks of a photo (Dai et al., ECCV 2016)."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from instancefcn.core.proposals import Proposals
    from instancefcn.inference.predictor import Predictor
    from instancefcn.network.models import load_model

__all__ = ["Predictor", "Proposals", "load_model"]

_HOMES = {
    "Predictor": "inference.predictor",
    "Proposals": "core.proposals",
    "load_model": "network.models",
}


if not TYPE_CHECKING:  # else a type checker would take any name for one of ours

    def __getattr__(name: str) -> Any:
        """Import a public name when it is asked for: torch takes seconds, `--help` should not."""
        if name not in _HOMES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
