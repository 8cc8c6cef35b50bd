"""The paper's comparisons as runs: each trained once and measured once, and taken up where it
stopped. What a run gave is kept beside its model.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any

import numpy as np
from rich.console import Console
from rich.progress import track

from instancefcn.apps.train import changes
from instancefcn.data.dataset import Dataset
from instancefcn.evaluation.recall import Matches, RecallReport, match, summarize
from instancefcn.evaluation.touching import touching_only
from instancefcn.files import whole_file
from instancefcn.geometry import proposals_to_rle
from instancefcn.models import load_model
from instancefcn.network import Branch
from instancefcn.predictor import Predictor
from instancefcn.recipe import read_recipe, shipped_recipes
from instancefcn.types import AnnotatedImage, Rle
from results_page import commit

COUNTS = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000)
TOUCHING = ", objects that touch another of their kind"


@dataclass(frozen=True)
class Experiment:
    """What tables call it, the recipe that trains it, and the seeds to repeat it with."""

    name: str
    recipe: str
    seeds: tuple[int, ...] = (0, 1, 2)

    @property
    def minutes(self) -> str:
        """A run's expected time, in its recipe's own words."""
        header = shipped_recipes()[self.recipe].read_text()
        found = re.search(r"Expected time: (.*)", header)
        assert found, "each recipe's header says it, see tests/test_recipes.py"
        return found[1]


EXPERIMENTS = (
    Experiment("plain FCN, k = 1", "parts-1"),
    Experiment("InstanceFCN, k = 3", "parts-3"),
    Experiment("InstanceFCN, k = 5", "parts-5"),
    Experiment("InstanceFCN, k = 7", "parts-7"),
    Experiment("InstanceFCN, k = 5, crops", "parts-5-crops"),
    Experiment("~DeepMask, crops", "deepmask-crops"),
    Experiment("InstanceFCN, VGG-16", "paper-small", seeds=(0,)),
)


@dataclass(frozen=True)
class Figures:
    """What one run gave: recall by data set, weights of a mask head, seconds an image."""

    reports: Mapping[str, RecallReport]
    weights: int
    seconds: float


def run_folder(folder: Path, experiment: Experiment, seed: int) -> Path:
    return folder / f"{experiment.recipe}-{seed}"


def trained(experiment: Experiment, seed: int, run: Path, overrides: Sequence[str]) -> bool:
    """Has a run of this very recipe made all its steps?"""
    model = run / "model.safetensors"
    if not model.exists():
        return False
    card = load_model(model).card
    read = read_recipe(experiment.recipe, [f"--seed={seed}", *overrides])
    return card["step"] == read.recipe.steps and not changes(card["recipe"], read.text)


def train(experiment: Experiment, seed: int, run: Path, overrides: Sequence[str]) -> None:
    """Train to the end, from the last checkpoint if there is one, in two processes at most."""
    processes = min(2, os.cpu_count() or 1)
    command = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", str(processes)]
    command += ["-m", "instancefcn.apps.cli", "train", experiment.recipe]
    command += [f"--seed={seed}", "--output", str(run), *overrides]
    subprocess.run(command, check=True, env={**os.environ, "OMP_NUM_THREADS": "1"})


def measured(run: Path, datasets: Mapping[str, Dataset]) -> Figures:
    """The figures of a run's model on these sets, measured unless they are kept beside it, of the
    same weights and by the same commit.
    """
    model, kept = run / "model.safetensors", run / "measured.json"
    digest = hashlib.sha256(model.read_bytes()).hexdigest()
    if kept.exists():
        content = json.loads(kept.read_text())
        if content["model"] == digest and content["commit"] == commit():
            figures = figures_from(content)
            if figures.reports.keys() == {*datasets, *(label + TOUCHING for label in datasets)}:
                return figures
    predictor = Predictor.from_pretrained(model)
    reports: dict[str, RecallReport] = {}
    seconds: list[float] = []
    for label, dataset in datasets.items():
        found = _measure(predictor, dataset, seconds)
        reports |= recall_of(found, label)
    branch = next(iter(predictor.network.branches))
    assert isinstance(branch, Branch)
    weights = sum(p.numel() for p in branch.mask_head.parameters())
    figures = Figures(reports, weights, median(seconds))
    with whole_file(kept) as file:
        file.write(
            json.dumps(
                {"model": digest, "commit": commit(), **figures_to(figures)}, indent=1
            ).encode()
        )
    return figures


def recall_of(
    found: Iterable[tuple[AnnotatedImage, Sequence[Rle]]], label: str
) -> dict[str, RecallReport]:
    """Recall on a data set, and on those of its objects that touch another of their kind."""
    every: list[Matches] = []
    touching: list[Matches] = []
    for image, masks in found:
        every.append(match(image, masks))
        touching.append(match(touching_only(image), masks))
    return {label: summarize(every, COUNTS), label + TOUCHING: summarize(touching, COUNTS)}


def _measure(
    predictor: Predictor, dataset: Dataset, seconds: list[float]
) -> Iterator[tuple[AnnotatedImage, list[Rle]]]:
    bar = track(range(len(dataset)), f"measuring on {dataset.name}", console=Console(stderr=True))
    for index in bar:
        image = dataset[index]
        start = perf_counter()
        masks = list(proposals_to_rle(predictor(image.path)))
        seconds.append(perf_counter() - start)
        yield image, masks


def figures_to(figures: Figures) -> dict[str, Any]:
    """As JSON; ``figures_from`` is the inverse."""
    reports = {
        label: {
            "counts": report.counts,
            "recall": [[[float(x) for x in row] for row in area] for area in report.recall],
            "images": report.images,
            "objects": report.objects,
            "void": report.void,
        }
        for label, report in figures.reports.items()
    }
    return {"reports": reports, "weights": figures.weights, "seconds": figures.seconds}


def figures_from(content: Mapping[str, Any]) -> Figures:
    reports = {
        label: RecallReport(
            tuple(report["counts"]),
            np.array(report["recall"], np.float64),
            report["images"],
            report["objects"],
            report["void"],
        )
        for label, report in content["reports"].items()
    }
    return Figures(reports, content["weights"], content["seconds"])
