"""What a model's labels are worth, measured once and kept beside it; and what labelling costs."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from dev_sets import DevSet
from instancefcn.core.candidates import merge
from instancefcn.core.look import Look
from instancefcn.core.proposals import Proposals
from instancefcn.core.types import AnnotatedImage, ScoredMask
from instancefcn.data.dataset import Dataset
from instancefcn.data.images import read_image
from instancefcn.evaluation.coco_precision import MAX_MASKS, judge_by_coco, summarize_by_coco
from instancefcn.evaluation.measuring import find, scored_masks
from instancefcn.evaluation.precision import COUNT, THRESHOLDS, Judgement, judge
from instancefcn.inference.predictor import Predictor
from instancefcn.inference.ranking import ranked
from instancefcn.inference.sampling import Pixels
from instancefcn.labelling.labels import Labelling, labelled
from measuring import measured_once, seconds_each
from results_page import commit

COCO_FIGURES = ("AP", "AP50")
RULES = [COUNT, list(THRESHOLDS), MAX_MASKS, list(COCO_FIGURES)]
"""What is measured with other rules is not kept."""

Options = Mapping[str, Mapping[str, Any]]
"""By name, what differs from a model's own ``Labelling``."""


@dataclass(frozen=True, eq=False)
class Labels:
    """What labelled masks of a set's images are worth.

    judgements: of each image, by the rules of SDS. coco (figures,) float64: ``COCO_FIGURES`` in
    percent. categories: the set's names by id. commit: what measured.
    """

    judgements: tuple[Judgement, ...]
    coco: NDArray[np.float64]
    categories: Mapping[int, str]
    commit: str


@dataclass(frozen=True)
class Seen:
    """An image's best proposals, not labelled yet, and the looks that a labeller reads."""

    proposals: Proposals
    looks: Sequence[Look]


def measured_labels(model: Path, dev: DevSet, what: str, options: Options) -> dict[str, Labels]:
    """What a model's labels on a set are worth, made by each of the options; images are seen once.

    Kept beside the model under the name ``what``: see ``measuring.measured_once``.
    """
    categories = dev.dataset.categories

    def make() -> dict[str, Tensor]:
        found = find_labels(Predictor.from_pretrained(model), dev.dataset, options)
        figures = measure_labels(found, categories)
        return {f"{name}.{k}": t for name in options for k, t in pack(figures[name]).items()}

    rules = [RULES, {name: dict(changes) for name, changes in options.items()}]
    tensors, commit = measured_once(model, dev, what, rules, make)
    return {name: unpack(_part(tensors, name), categories, commit) for name in options}


def _part(tensors: Mapping[str, Tensor], name: str) -> dict[str, Tensor]:
    """Those whose names begin so, without this beginning."""
    keys = (key for key in tensors if key.startswith(f"{name}."))
    return {key.removeprefix(f"{name}."): tensors[key] for key in keys}


def measure_labels(
    found: Iterable[tuple[AnnotatedImage, Mapping[str, Sequence[ScoredMask]]]],
    categories: Mapping[int, str],
) -> dict[str, Labels]:
    """By option, of each image with its labelled masks by option."""
    judgements, by_coco = defaultdict(list), defaultdict(list)
    for image, by_option in found:
        for name, masks in by_option.items():
            judgements[name].append(judge(image, masks))
            by_coco[name].append(judge_by_coco(image, masks, categories))
    reports = {name: summarize_by_coco(of, categories) for name, of in by_coco.items()}
    return {
        name: Labels(
            tuple(judgements[name]),
            np.array([100 * report.mean(figure) for figure in COCO_FIGURES]),
            categories,
            commit(),
        )
        for name, report in reports.items()
    }


def pack(labels: Labels) -> dict[str, Tensor]:
    """As tensors, the masks of all images one after the other; ``unpack`` is the inverse, but for
    objects of other categories, which play no part.
    """
    of = labels.judgements
    objects = [[j.objects.get(category, 0) for category in labels.categories] for j in of]
    arrays: dict[str, NDArray[Any]] = {
        "categories": np.concatenate([j.categories for j in of]),
        "scores": np.concatenate([j.scores for j in of]),
        "verdicts": np.concatenate([j.verdicts for j in of], axis=1),
        "number": np.array([len(j.scores) for j in of]),
        "objects": np.array(objects),
        "void": np.array([j.void for j in of]),
        "coco": labels.coco,
    }
    return {name: torch.from_numpy(array) for name, array in arrays.items()}


def unpack(tensors: Mapping[str, Tensor], categories: Mapping[int, str], commit: str) -> Labels:
    arrays = {name: tensor.numpy() for name, tensor in tensors.items()}
    ends = arrays["number"].cumsum()[:-1]
    parts = zip(
        np.split(arrays["categories"], ends),
        np.split(arrays["scores"], ends),
        np.split(arrays["verdicts"], ends, axis=1),
        arrays["objects"].tolist(),
        arrays["void"].tolist(),
        strict=True,
    )
    judgements = (
        Judgement(labels, scores, verdicts, dict(zip(categories, objects, strict=True)), void)
        for labels, scores, verdicts, objects, void in parts
    )
    return Labels(tuple(judgements), arrays["coco"], categories, commit)


def find_labels(
    predictor: Predictor, dataset: Dataset, options: Options
) -> Iterator[tuple[AnnotatedImage, dict[str, list[ScoredMask]]]]:
    """The images of a set, each with the masks that each option gives, in the set's categories."""
    own = predictor.settings.labelling
    ways = {name: replace(own, **changes) for name, changes in options.items()}

    def method(paths: Iterable[Path]) -> Iterator[dict[str, list[ScoredMask]]]:
        for path in paths:
            seen = see(predictor, read_image(path))
            found = label(predictor, seen, ways.values())
            masks = (scored_masks(each, dataset.categories) for each in found)
            yield dict(zip(ways, masks, strict=True))

    yield from find(method, dataset, range(len(dataset)))


def see(predictor: Predictor, pixels: Pixels) -> Seen:
    """All that a predictor does with an image (H, W, 3) uint8 RGB before it labels."""
    engine, selection = predictor.engine, predictor.settings.selection
    samplings = predictor.samplings(pixels)
    found = merge([each for s in samplings for each in engine.candidates([s], selection)])
    height, width = pixels.shape[:2]
    proposals = ranked(found, height, width, selection)
    return Seen(proposals[: predictor.settings.labelling.proposals], found.looks)


def label(predictor: Predictor, seen: Seen, ways: Iterable[Labelling]) -> list[Proposals]:
    """Labelled proposals, by each way to label. The labeller runs once."""
    engine = predictor.engine
    logits = engine.label(seen.proposals, seen.looks)
    return [labelled(seen.proposals, logits, engine.categories, way) for way in ways]


def seconds_of_labelling(models: Mapping[str, Path], photos: Sequence[Path]) -> dict[str, float]:
    """The median seconds that each model takes to label a photo's proposals, in turns: from the
    encoder's maps to labelled proposals, without what finds the masks and draws them.
    """
    predictors = {name: Predictor.from_pretrained(model) for name, model in models.items()}
    seen = {
        (name, photo): see(predictor, read_image(photo))
        for photo in photos
        for name, predictor in predictors.items()
    }

    def alone(photo: Path, name: str) -> object:
        predictor = predictors[name]
        return label(predictor, seen[name, photo], [predictor.settings.labelling])

    return seconds_each({name: partial(alone, name=name) for name in models}, photos)
