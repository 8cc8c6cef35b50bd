"""A run's figures by step: a line of JSON each, and for TensorBoard."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path

from instancefcn.core.errors import UserError
from instancefcn.core.extras import extra
from instancefcn.core.files import whole_file

with extra("train"):
    from torch.utils.tensorboard import SummaryWriter

LOG = "log.jsonl"


class RunLog:
    """Figures by step. A run that goes on from an earlier step takes back what was written beyond
    it, so that the log of a run does not depend on interruptions. Silent where it is not ``kept``.
    """

    def __init__(self, folder: Path, kept: bool = True) -> None:
        self.path = folder / LOG
        self.kept = kept
        self.board: SummaryWriter | None = None

    def __enter__(self) -> RunLog:
        return self

    def __exit__(self, *_: object) -> None:
        if self.board is not None:
            self.board.close()

    def write(self, step: int, values: Mapping[str, float]) -> None:
        if not self.kept:
            return
        if self.board is None:
            self._take_back(step)
            self.board = SummaryWriter(str(self.path.parent), purge_step=step)
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps({"step": step, **values}) + "\n")
        for name, value in values.items():
            self.board.add_scalar(name, value, step)

    def _take_back(self, step: int) -> None:
        if not self.path.exists():
            return
        try:
            lines = self.path.read_text(encoding="utf-8", errors="replace").splitlines()
        except OSError as error:
            raise UserError(f"{self.path}: cannot be read ({error.strerror}); mend that") from None
        kept = [line for line in lines if _step_of(line) < step]
        with whole_file(self.path) as file:
            file.write("".join(f"{line}\n" for line in kept).encode())


def _step_of(line: str) -> float:
    """The step of a line of the log; beyond all steps for one that is damaged, as by a kill."""
    try:
        return float(json.loads(line)["step"])
    except (ValueError, TypeError, KeyError):
        return math.inf
