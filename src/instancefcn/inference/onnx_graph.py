"""A network -> an ONNX file that ``onnx_engine`` runs: normalisation, network, selection of windows
and assembling in one graph.
"""

from __future__ import annotations

import io
import json
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor, nn

from instancefcn.core.extras import extra
from instancefcn.core.files import whole_file
from instancefcn.inference.onnx_engine import ENTRY, INPUTS, OUTPUTS
from instancefcn.inference.ranking import Selection
from instancefcn.inference.windows import filled
from instancefcn.network.fcn import InstanceFCN

with extra("onnx"):
    import onnx

OPSET = 17


class Graph(nn.Module):
    """What is exported: ``windows.filled`` of a network and one sampling of an image.

    ``forward`` takes ``onnx_engine.INPUTS``: images (1, 3, H, W) float32 in 0..1, sides multiples
    of the network's; scale (2,) and size (2,), height before width, float32, as a
    ``Sampling`` has them; windows_per_side int64 and confidence float32, as a ``Selection`` has
    them. It returns ``onnx_engine.OUTPUTS``, in pixels of the image, then what further heads say.
    """

    def __init__(self, network: InstanceFCN) -> None:
        super().__init__()
        self.network = network

    def forward(
        self,
        images: Tensor,
        scale: Tensor,
        size: Tensor,
        windows_per_side: Any,
        confidence: Any,
    ) -> tuple[Tensor, ...]:
        # Numbers to the functions, inputs of the graph to the tracer.
        selection = Selection(windows_per_side, confidence=confidence)
        (x, y), (height, width) = (cast(Any, numbers.unbind()) for numbers in (scale, size))
        levels = [level.rescaled((x, y)) for level in self.network(images)]
        found = filled(levels, height, width, selection)
        return *(getattr(found, name) for name in OUTPUTS), *found.answers.values()


def write_onnx(
    path: Path, network: InstanceFCN, inference: Mapping[str, Any], card: Mapping[str, Any]
) -> None:
    """Write a network, how it is meant to be used and its card, both plain values, as an ONNX file.

    A labeller is left out. Invariant: ``open_onnx`` opens what this writes.
    """
    graph = Graph(network).eval()
    multiple = network.backbone.multiple
    side = 2 * multiple
    numbers = (torch.ones(2), torch.full((2,), side - 1.0), torch.tensor(9), torch.tensor(1.0))
    example = (torch.full((1, 3, side, side), 0.5), *numbers)
    with torch.no_grad():
        levels = network(example[0])
        said = filled(levels, side, side, Selection(9)).answers
        model = onnx.load_from_string(_traced(graph, example, [*OUTPUTS, *said]))
    about = {
        "multiple": multiple,
        "num_levels": len(levels),
        "inference": inference,
        "card": card,
    }
    onnx.helper.set_model_props(model, {ENTRY: json.dumps(about)})
    with whole_file(path) as file:
        file.write(model.SerializeToString())


def _traced(graph: Graph, example: tuple[Tensor, ...], outputs: list[str]) -> bytes:
    """Torch's newer exporter reasons about sizes as symbols, for ten minutes and more; the trace
    takes seconds, and what depends on sizes in ``windows`` is made of operations on tensors.
    """
    file = io.BytesIO()
    exporter: Any = torch.onnx  # its annotations know of the newer one only
    exporter.register_custom_op_symbolic("aten::argsort", _argsort, OPSET)
    try:
        with warnings.catch_warnings():
            # Of that, and of each assertion about a shape, which holds for the example alone.
            warnings.simplefilter("ignore")
            exporter.export(
                graph,
                example,
                file,
                input_names=list(INPUTS),
                output_names=outputs,
                dynamic_axes={"images": {2: "H", 3: "W"}} | {name: {0: "n"} for name in outputs},
                opset_version=OPSET,
                dynamo=False,
            )
    finally:
        exporter.unregister_custom_op_symbolic("aten::argsort", OPSET)
    return file.getvalue()


def _argsort(g: Any, values: Any, stable: Any, dim: Any, descending: Any) -> Any:
    """How ``windows.best_windows`` sorts, which torch does not translate. Of equal values TopK puts
    the first one first, as a stable sort does.
    """
    return g.op("TopK", values, g.op("Shape", values), axis_i=-1, outputs=2)[1]
