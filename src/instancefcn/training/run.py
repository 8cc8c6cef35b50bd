"""A run and its folder: the recipe, the log, checkpoints and the model that it leaves.

``follow`` trains to the end. What the folder holds after a kill at any moment is enough to go on.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import cache, partial
from pathlib import Path
from typing import Any

import torch
import yaml

from instancefcn.core.errors import UserError
from instancefcn.core.extras import extra
from instancefcn.core.files import whole_file
from instancefcn.core.tensors import read_tensors, write_tensors
from instancefcn.data.identity import KEY
from instancefcn.evaluation.measuring import scored_masks
from instancefcn.evaluation.precision import THRESHOLDS, judge, summarize_precision
from instancefcn.evaluation.recall import match, summarize
from instancefcn.inference.predictor import Predictor
from instancefcn.inference.torch_engine import TorchEngine
from instancefcn.labelling.network import LabelledNetwork
from instancefcn.network.fcn import InstanceFCN
from instancefcn.network.models import Model
from instancefcn.training.log import RunLog
from instancefcn.training.loop import CHECKPOINT, Step, train
from instancefcn.training.processes import gathered, share
from instancefcn.training.recipe import ReadRecipe, Recipe
from instancefcn.training.trained_on import trained_on

with extra("train"):
    from lightning_fabric import Fabric

MODEL, COPY = "model.safetensors", "recipe.yaml"
FREE = ("evaluate", "evaluate_every", "evaluate_images", "save_every", "inference", "workers")
"""What may change when a run goes on: no weight depends on it."""

PLACES = {"train", "data", "weights", "pretrained", "start"}
"""Where what a run reads lies."""


def keep_recipe(folder: Path, text: str) -> None:
    """Write the recipe beside its run. Raises UserError as ``require_same_run``."""
    require_same_run(folder, text)
    with whole_file(folder / COPY) as file:
        file.write(text.encode())


def require_same_run(folder: Path, text: str) -> None:
    """Raises UserError if a folder holds a run of another recipe, whose checkpoint would not be
    the same run's, or one whose recipe is damaged.
    """
    copy = folder / COPY
    if not (folder / CHECKPOINT).exists() or not copy.exists():
        return
    try:
        changed = changes(copy.read_text(encoding="utf-8"), text)
    except (OSError, ValueError, AttributeError, yaml.YAMLError) as error:
        raise UserError(
            f"{copy}: no recipe ({type(error).__name__}), though the folder holds a run; put it "
            "back, or train in another folder"
        ) from None
    if changed:
        same = f", or, if the same files only lie elsewhere now, write their place into {copy}"
        raise UserError(
            f"{folder} holds a run of another recipe (compare {', '.join(changed)} in its "
            f"{COPY}); train in another folder{same if set(changed) <= PLACES else ''}"
        )


def changes(old: str, new: str) -> list[str]:
    """The values by name in which two recipes differ and on which a run's weights depend. A value
    that one of them does not know yet has its default.
    """
    one, two = yaml.safe_load(old) or {}, yaml.safe_load(new) or {}
    return [
        name
        for name, field in Recipe.__dataclass_fields__.items()
        if name not in FREE and one.get(name, field.default) != two.get(name, field.default)
    ]


def follow(read: ReadRecipe, folder: Path, fabric: Fabric) -> Iterator[Step]:
    """Train to the end; each step that was made.

    The first process logs and writes the model. All processes share each evaluation, and the look
    at all images for the model's card, so that none waits for another longer than its own part
    takes.
    """
    recipe = read.recipe
    origin = cache(partial(trained_on, recipe, fabric))  # the model is written again and again
    with RunLog(folder, fabric.is_global_zero) as log:
        for step, network in train(recipe, folder, fabric):
            figures = {"rate": step.rate, "images_per_second": step.images_per_second}
            log.write(step.number, {**step.terms, **figures})
            if step.number % recipe.evaluate_every == 0 or step.number == recipe.steps:
                log.write(step.number, evaluate_on_the_way(network, recipe, fabric))
                known = origin()
                if fabric.is_global_zero:
                    write_model(folder / MODEL, network, read, step.number, known)
            yield step
    if fabric.is_global_zero:
        require_model(folder)
        renew_inference(folder / MODEL, read)


def evaluate_on_the_way(network: InstanceFCN, recipe: Recipe, fabric: Fabric) -> dict[str, float]:
    """AR (COCO's definition) on the recipe's evaluation sets, of a network with a labeller mAP^r;
    each process measures its share.
    """
    predictor = Predictor(TorchEngine(network), recipe.inference)
    labels = isinstance(network, LabelledNetwork)
    values = {}
    for dataset in recipe.evaluate:
        number = min(recipe.evaluate_images, len(dataset))
        images = (dataset[place] for place in share(number, fabric))
        found = ((image, predictor(image.path)) for image in images)
        if labels:
            judged = [judge(image, scored_masks(p, dataset.categories)) for image, p in found]
            precision = summarize_precision(gathered(judged, fabric), dataset.categories)
            for iou in THRESHOLDS:
                values[f"{dataset.name} mAP^r@{iou}"] = precision.mean(iou)
            continue
        report = summarize(gathered([match(image, p.masks()) for image, p in found], fabric))
        for count in report.counts:
            values[f"{dataset.name} AR@{count}"] = report.average(count)
    return values


def write_model(
    path: Path,
    network: InstanceFCN,
    read: ReadRecipe,
    step: int,
    known: Sequence[Mapping[str, Any]] | None,
) -> None:
    """``known`` is what the card says of the images trained on, see ``trained_on``."""
    card = {"recipe": read.text, "step": step, "torch": torch.__version__, KEY: known}
    Model(network, read.description, read.recipe.inference.plain(), card).save(path)


def require_model(folder: Path) -> None:
    """Raises UserError if a finished run's model is gone: no step is left that would write it."""
    if not (folder / MODEL).exists():
        raise UserError(
            f"{folder}: the run has made all its steps, but its {MODEL} is gone; "
            "train in another folder"
        )


def renew_inference(path: Path, read: ReadRecipe) -> None:
    """Let a model be used as its recipe says now, if that has changed since the run's last step.
    Its weights stay as they are.
    """
    weights, header = read_tensors(path)
    inference = read.recipe.inference.plain()
    if header["inference"] != inference:
        card = {**header["card"], "recipe": read.text}
        write_tensors(path, weights, {**header, "inference": inference, "card": card})
