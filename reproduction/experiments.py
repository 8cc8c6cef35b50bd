"""The paper's comparisons as runs, each trained once and taken up where it stopped."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter

import numpy as np
import torch

from dev_sets import COCO, NUCLEI, PETS, VOC, DevSet
from instancefcn.data.identity import recorded, union
from instancefcn.evaluation.measuring import choose
from instancefcn.inference.settings import Inference
from instancefcn.network.models import load_model, read_card
from instancefcn.training.recipe import ReadRecipe, read_recipe
from instancefcn.training.run import require_same_run

FCN = "plain FCN, k = 1"
K3 = "InstanceFCN, k = 3"
K5 = "InstanceFCN, k = 5"
K7 = "InstanceFCN, k = 7"
CROPS = "InstanceFCN, k = 5, crops"
DEEPMASK = "~DeepMask, crops"
CROPS_FEW = f"{CROPS}, few images"
DEEPMASK_FEW = f"{DEEPMASK}, few images"
VGG = "InstanceFCN, VGG-16"
MNC = "MNC's classifier"
RFCN_BOX = "R-FCN, over boxes"
RFCN_MASK = "R-FCN, over masks"
MNC_VGG = "MNC's classifier, VGG-16"

RECIPES = Path(__file__).parent / "recipes"


@dataclass(frozen=True)
class Experiment:
    """What tables call it, the recipe that trains it, the sets to measure it on, and its seeds."""

    name: str
    recipe: str
    sets: tuple[str, ...] = (VOC, COCO)
    seeds: tuple[int, ...] = (0, 1, 2)

    @property
    def file(self) -> Path:
        return RECIPES / f"{self.recipe}.yaml"

    @property
    def minutes(self) -> int:
        """A run's expected time, by its recipe's header."""
        header = self.file.read_text()
        found = re.search(r"Expected time: about (\d+) minutes on 2 CPU cores", header)
        assert found, "each recipe of an experiment says so, see tests/test_study_recipes.py"
        return int(found[1])


EXPERIMENTS = (
    Experiment(FCN, "parts-1"),
    Experiment(K3, "parts-3"),
    Experiment(K5, "parts-5"),
    Experiment(K7, "parts-7"),
    Experiment(CROPS, "parts-5-crops"),
    Experiment(DEEPMASK, "deepmask-crops"),
    Experiment(CROPS_FEW, "few-5-crops"),
    Experiment(DEEPMASK_FEW, "few-deepmask-crops"),
    Experiment(VGG, "paper-small", sets=(VOC,), seeds=(0,)),
    Experiment(FCN, "nuclei-1", sets=(NUCLEI,)),
    Experiment(K5, "nuclei-5", sets=(NUCLEI,)),
)

LABELLERS = (
    Experiment(MNC, "label-mnc", sets=(VOC,)),
    Experiment(RFCN_BOX, "label-rfcn-box", sets=(VOC,)),
    Experiment(RFCN_MASK, "label-rfcn-mask", sets=(VOC,)),
    Experiment(MNC_VGG, "label-vgg", sets=(VOC,), seeds=()),
)
"""The last one wants GPUs: none of its runs is trained here."""

CATEGORIES = (
    Experiment("cats and dogs", "label-pets", sets=(PETS,), seeds=(0,)),
    Experiment("COCO's 80 categories", "label-coco", sets=(COCO,), seeds=(0,)),
)
"""The first of ``LABELLERS`` on other categories."""


@dataclass(frozen=True)
class Run:
    """One training of an experiment, in a folder of its own."""

    experiment: Experiment
    seed: int
    folder: Path

    @property
    def model(self) -> Path:
        return self.folder / "model.safetensors"


def run_of(experiment: Experiment, seed: int, runs: Path) -> Run:
    return Run(experiment, seed, runs / f"{experiment.recipe}-{seed}")


def first_run(runs: Sequence[Run], name: str, key: str) -> Run:
    """The first run that tables call so, of those to be measured on a set."""
    return next(run for run in runs if run.experiment.name == name and key in run.experiment.sets)


def recipe_of(run: Run, overrides: Sequence[str]) -> ReadRecipe:
    return read_recipe(str(run.experiment.file), [f"--seed={run.seed}", *overrides])


def trained(run: Run, overrides: Sequence[str]) -> bool:
    """Has a run of this very recipe made all its steps, and is its model used as it says?

    Raises UserError if its folder holds a run of another recipe, which could not go on.
    """
    read = recipe_of(run, overrides)
    require_same_run(run.folder, read.text)
    if not run.model.exists():
        return False
    model = load_model(run.model)
    used = Inference.of(model.inference, str(run.model))
    return model.card["step"] == read.recipe.steps and used == read.recipe.inference


def plan(runs: Sequence[Run], overrides: Sequence[str]) -> list[Run]:
    """The runs to be trained; says how many of each experiment, and how long each takes."""
    left = [run for run in runs if not trained(run, overrides)]
    for experiment in dict.fromkeys(run.experiment for run in runs):
        number = sum(run.experiment == experiment for run in left)
        words = f"{number} runs to train, about {experiment.minutes} minutes each on 2 CPU cores"
        print(f"{experiment.recipe}: {words if number else 'trained'}", file=sys.stderr)
    hours = sum(run.experiment.minutes for run in left) / 60
    print(f"training in all: {hours:.1f} hours", file=sys.stderr)
    return left


def ready(runs: Sequence[Run], overrides: Sequence[str], as_they_are: bool) -> list[Run]:
    """The runs, those trained that were not; or ``as_they_are`` only those that were."""
    left = plan(runs, overrides)
    if as_they_are:
        return [run for run in runs if run not in left]
    for run in left:
        with timed(f"{run.experiment.recipe}, seed {run.seed}"):
            train(run, overrides)
    return list(runs)


@contextmanager
def timed(what: str) -> Iterator[None]:
    """Say what was done and how long it took."""
    start = perf_counter()
    yield
    print(f"{what}: {(perf_counter() - start) / 60:.1f} minutes", file=sys.stderr)


def gpus() -> int:
    """How many processes can have a GPU of their own; 0 without one."""
    return torch.cuda.device_count() or int(torch.backends.mps.is_available())


def train(run: Run, overrides: Sequence[str]) -> None:
    """Train to the end, from the last checkpoint if there is one, in two processes at most."""
    processes = min(2, gpus() or os.cpu_count() or 1)
    command = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", str(processes)]
    command += ["-m", "instancefcn.apps.cli", "train", str(run.experiment.file)]
    command += [f"--seed={run.seed}", "--output", str(run.folder), *overrides]
    subprocess.run(command, check=True, env={**os.environ, "OMP_NUM_THREADS": "1"})


def overlap(runs: Sequence[Run], sets: Mapping[str, DevSet]) -> str:
    """How many of the images measured on runs were trained on, by their models' files."""
    known = [recorded(read_card(run.model), str(run.model)) for run in runs]
    if any(pictures is None for pictures in known):
        return "Not every model's file says on which images it was trained."
    pictures = np.unique(union(known), axis=0)
    chosen = [choose(dev.dataset, pictures, len(dev.dataset), True) for dev in sets.values()]
    number = sum(of_set.trained for of_set in chosen)
    return f"Images of theirs that the models' files list as trained on: {number or 'none'}."
