"""What every recipe has to do: say what it is in its header, and take a real step."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
import yaml
from lightning_fabric import Fabric

from instancefcn.labelling.network import LabelledNetwork
from instancefcn.training.loop import parameter_groups, train
from instancefcn.training.recipe import read_recipe
from shapes import write_shapes

SCRATCH = ["--pretrained", "null"]
SMALL_CROPS = ["--augmentation.size", "192"]
SMALL_IMAGES = [*SCRATCH, "--augmentation.sides", "[160,192]"]


def tiny_data(folder: Path) -> list[str]:
    """Overrides that put tiny data in the place of a recipe's own."""
    annotations = write_shapes(folder)
    dataset = (
        "[{class_path: instancefcn.formats.coco.CocoDataset, "
        f"init_args: {{annotations: {annotations}, images: {annotations.parent}}}}}]"
    )
    return ["--train", dataset, "--evaluate", dataset, "--workers", "0"]


def check_header(path: Path, name: str) -> None:
    """``name`` is what the command line calls it."""
    lines = path.read_text().splitlines()
    header = "\n".join(line for line in lines if line.startswith("#"))
    assert lines[0].startswith("# ")
    for words in (f"instancefcn train {name}", "Expected time:", "Expected figure:"):
        assert words in header.replace(".apps.cli", ""), words


def check_step(source: str, options: Sequence[str], folder: Path) -> None:
    """Training asks for deterministic algorithms; other tests need not, so that is undone."""
    recipe = read_recipe(source, [*options, "--steps", "1", "--batch", "2"]).recipe
    learning = [
        p for group in parameter_groups(recipe.network, recipe.joint) for p in group["params"]
    ]
    before = [parameter.clone() for parameter in learning]
    fabric = Fabric(accelerator="cpu", devices=1, precision=recipe.precision)  # type: ignore[arg-type]
    try:
        ((step, _),) = train(recipe, folder, fabric)
    finally:
        torch.use_deterministic_algorithms(False)
    assert step.number == 1
    labelled = isinstance(recipe.network, LabelledNetwork)
    assert list(step.terms) == (["label"] if labelled else ["mask", "objectness"])
    assert all(0 < value < 10 for value in step.terms.values())
    moved = [not torch.equal(old, new) for old, new in zip(before, learning, strict=True)]
    # Through an encoder without pretrained weights hardly any gradient comes down.
    assert sum(moved) > len(moved) / 2
    assert (folder / "checkpoint.safetensors").exists()


def differences(source: str, other: str) -> dict[str, tuple[Any, Any]]:
    """The values, by their path, in which two recipes differ."""

    def flat(value: Any, path: str) -> dict[str, Any]:
        if isinstance(value, dict):
            pairs = value.items()
        elif isinstance(value, list):
            pairs = dict(enumerate(value)).items()
        else:
            return {path: value}
        return {k: v for key, part in pairs for k, v in flat(part, f"{path}.{key}").items()}

    one, two = (flat(yaml.safe_load(read_recipe(n).text), "") for n in (source, other))
    return {k: (one.get(k), two.get(k)) for k in one | two if one.get(k) != two.get(k)}
