"""The paper's figures 1 and 3 by our runs: a plain FCN beside InstanceFCN where objects touch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from dev_sets import NUCLEI, VOC
from experiments import Run
from instancefcn.apps.cli import main as instancefcn
from instancefcn.data.dataset import Dataset


@dataclass(frozen=True)
class Scene:
    """A photo of a set, by its stem, and the recipes of the models that see it."""

    label: str
    photo: str
    model: str
    fcn: str


SCENES = (
    Scene(VOC, "2008_002240", "parts-5", "parts-1"),
    Scene(NUCLEI, "a90401357d50e137", "nuclei-5", "nuclei-1"),
)


def draw_separations(runs: Sequence[Run], sets: Mapping[str, Dataset], folder: Path) -> list[str]:
    """Pictures by ``instancefcn show-maps`` in score_maps of the folder, of the photos returned:
    of the scenes those whose photo and models there are.
    """
    models = {run.experiment.recipe: run.model for run in reversed(runs)}  # of the first seed
    drawn = []
    for scene in SCENES:
        if scene.label not in sets or not {scene.model, scene.fcn} <= models.keys():
            continue
        dataset = sets[scene.label]
        for path in (dataset[i].path for i in range(len(dataset))):
            if path.stem == scene.photo:
                show_maps(path, models[scene.model], models[scene.fcn], folder)
                drawn.append(scene.photo)
    return drawn


def show_maps(photo: Path, model: Path, fcn: Path, folder: Path) -> None:
    words = ["show-maps", photo, "--model", model, "--fcn", fcn, "--output", folder]
    code = instancefcn([str(word) for word in words])
    assert code == 0, "photo and models were there"
