"""``instancefcn export MODEL --output FILE``: a model as a graph that other runtimes run."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from instancefcn.apps.model_arguments import add_trust_argument, trusted
from instancefcn.apps.output import require_apart
from instancefcn.core.errors import UserError
from instancefcn.core.files import writing
from instancefcn.inference.engines import ONNX_SUFFIX, is_onnx
from instancefcn.inference.onnx_graph import write_onnx
from instancefcn.inference.settings import Inference
from instancefcn.labelling.network import LabelledNetwork
from instancefcn.network.finding import find_model
from instancefcn.network.models import load_model


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("model", metavar="MODEL", help="a model file, or a model that ships, such as general")
    add("--format", choices=["onnx"], default="onnx", help="default: %(default)s")
    add("--output", type=Path, required=True, metavar="FILE", help="ends in .onnx")
    add("--overwrite", action="store_true", help="replace FILE")
    add_trust_argument(parser)


def run(arguments: argparse.Namespace) -> int:
    name, output = arguments.model, arguments.output
    if is_onnx(name):
        raise UserError(f"{name}: is exported already; give a file that `instancefcn train` wrote")
    if not is_onnx(output):
        raise UserError(f"{output}: no name of an ONNX file; give one that ends in {ONNX_SUFFIX}")
    require_apart([output], [find_model(name)])
    with writing(output):
        if output.exists() and not arguments.overwrite:
            raise UserError(f"{output}: is there already; give --overwrite, or another --output")
    model = load_model(name, trusted(arguments))
    settings = Inference.of(model.inference, name).plain()
    if isinstance(model.network, LabelledNetwork):
        print(f"{name}: its masks are exported; its labels are left out", file=sys.stderr)
    write_onnx(output, model.network, settings, model.card)
    print(output)
    return 0
