"""The paper's figures 1 and 3 by our runs: a plain FCN beside InstanceFCN where objects touch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from dev_sets import VOC
from experiments import Run
from instancefcn.data.dataset import Dataset
from instancefcn.data.images import read_image
from instancefcn.predictor import Predictor
from instancefcn.score_maps.picture import write_picture
from instancefcn.score_maps.separation import parts_of_levels, plain_map, separate


@dataclass(frozen=True)
class Scene:
    """A photo of a set, by its stem, and the recipes of the models that see it."""

    label: str
    photo: str
    model: str
    fcn: str
    picture: str


SCENES = (Scene(VOC, "2008_002240", "parts-5", "parts-1", "separation_scooters.png"),)


def draw_separations(runs: Sequence[Run], sets: Mapping[str, Dataset], folder: Path) -> None:
    """A picture of each scene whose photo and models there are."""
    models = {run.experiment.recipe: run.model for run in reversed(runs)}  # of the first seed
    for scene in SCENES:
        if scene.label in sets and {scene.model, scene.fcn} <= models.keys():
            dataset = sets[scene.label]
            paths = (dataset[i].path for i in range(len(dataset)))
            path = next((path for path in paths if path.stem == scene.photo), None)
            if path:
                draw_scene(path, models[scene.model], models[scene.fcn], folder / scene.picture)


def draw_scene(photo: Path, model: Path, fcn: Path, picture: Path) -> None:
    predictor = Predictor.from_pretrained(model)
    ks = parts_of_levels(predictor, str(model))
    separation = separate(predictor, ks, read_image(photo))
    plain = plain_map(Predictor.from_pretrained(fcn), separation.pixels, separation)
    write_picture(picture, separation, plain)
