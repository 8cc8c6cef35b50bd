"""The engine of exported graphs: onnxruntime runs them, without torch."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from instancefcn.core.candidates import Candidates
from instancefcn.core.errors import UserError
from instancefcn.core.extras import extra
from instancefcn.core.look import Look
from instancefcn.core.proposals import Proposals
from instancefcn.core.types import Floats
from instancefcn.inference.engine import Opened
from instancefcn.inference.ranking import Selection
from instancefcn.inference.sampling import Sampling
from instancefcn.inference.settings import Inference

with extra("onnx"):
    import onnxruntime

ENTRY = "instancefcn"
"""The entry of a file's metadata that says, as JSON, what this engine has to know."""

INPUTS = ("images", "scale", "size", "windows_per_side", "confidence")
OUTPUTS = ("scores", "windows", "logits", "boxes", "level")
"""Those of a graph, see ``onnx_graph.Graph``. Further outputs are the answers of further heads."""


class OnnxEngine:
    """An exported graph, run by onnxruntime on the CPU. multiple: what the sides of its inputs are
    multiples of. num_levels: how many levels its windows come from.
    """

    categories: Mapping[int, str] = {}

    def __init__(self, session: Any, multiple: int, num_levels: int) -> None:
        self.session = session
        self.multiple = multiple
        self.num_levels = num_levels
        self._names = [output.name for output in session.get_outputs()]

    def candidates(self, samplings: Sequence[Sampling], selection: Selection) -> list[Candidates]:
        """See ``Engine``."""
        return [self._candidates(sampling, selection) for sampling in samplings]

    def label(self, proposals: Proposals, looks: Sequence[Look]) -> Floats:
        """See ``Engine``: there are no categories."""
        return np.zeros((len(proposals), 1), np.float32)

    def _candidates(self, sampling: Sampling, selection: Selection) -> Candidates:
        values = (
            np.ascontiguousarray(sampling.to_input(self.multiple)),
            np.array(sampling.scale, np.float32),
            np.array((sampling.height, sampling.width), np.float32),
            np.int64(selection.windows_per_side),
            np.float32(selection.confidence),
        )
        given = {name: np.asarray(value) for name, value in zip(INPUTS, values, strict=True)}
        found = dict(zip(self._names, self.session.run(None, given), strict=True))
        scores, windows, logits, boxes, level = (found.pop(name) for name in OUTPUTS)
        look = Look(self.num_levels, (), sampling.scale)
        return Candidates(scores, windows, logits, boxes, level, (look,), found)


def open_onnx(path: Path, device: str | None) -> Opened:
    """See ``engines.open_engine``; of a file as ``export`` writes it."""
    if device not in (None, "cpu"):
        raise UserError(f"device {device!r}: {path} runs on the CPU; give cpu, or a model of torch")
    session = _session(path)
    text = session.get_modelmeta().custom_metadata_map.get(ENTRY)
    names = [each.name for each in session.get_inputs()]
    try:
        about = json.loads(text or "")
        engine = OnnxEngine(session, int(about["multiple"]), int(about["num_levels"]))
        inference, card = about["inference"], dict(about["card"])
        ours = engine.multiple >= 1 and names == list(INPUTS) and set(OUTPUTS) <= set(engine._names)
    except (ValueError, KeyError, TypeError, RecursionError):
        ours = False
    if not ours:
        raise UserError(
            f"{path}: an ONNX file, but no InstanceFCN model; give one that "
            "`instancefcn export` wrote"
        )
    return Opened(engine, Inference.of(inference, str(path)), card)


def _session(path: Path) -> Any:
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4  # what it says of a broken file is said once, by us
    try:
        content = path.read_bytes()
        return onnxruntime.InferenceSession(content, options, ["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime's own have no class in common
        reason = " ".join(str(error).split())[:200]
        raise UserError(
            f"{path}: no ONNX file that onnxruntime {onnxruntime.__version__} reads ({reason}); "
            "give one that `instancefcn export` wrote"
        ) from error
