"""What a model's card says of the images behind it, those of the model it started from too."""

from __future__ import annotations

from pathlib import Path

import pytest
from lightning_fabric import Fabric

from instancefcn.network.models import Model, load_model
from instancefcn.training.recipe import Recipe, read_recipe
from instancefcn.training.trained_on import trained_on
from shapes import write_shapes


@pytest.fixture
def options(tmp_path: Path) -> list[str]:
    annotations = write_shapes(tmp_path, images=2)
    dataset = (
        "[{class_path: instancefcn.formats.coco.CocoDataset, "
        f"init_args: {{annotations: {annotations}, images: {tmp_path}}}}}]"
    )
    return ["--train", dataset, "--evaluate", dataset]


def names(recipe: Recipe) -> list[str] | None:
    entries = trained_on(recipe, Fabric(accelerator="cpu", devices=1))
    return None if entries is None else [entry["data"] for entry in entries]


def test_what_goes_on_from_general_was_trained_on_its_images_too(options: list[str]) -> None:
    recipe = read_recipe("finetune", options).recipe
    before = [entry["data"] for entry in load_model("general").card["trained_on"]]
    assert len(before) == 5
    assert names(recipe) == [*before, recipe.train[0].name]


def test_a_set_that_the_start_knows_is_listed_once(options: list[str], tmp_path: Path) -> None:
    first = read_recipe("finetune", [*options, "--start", "null"]).recipe
    general = load_model("general")
    card = {**general.card, "trained_on": trained_on(first, Fabric(accelerator="cpu", devices=1))}
    model = tmp_path / "first.safetensors"
    Model(general.network, general.description, general.inference, card).save(model)
    again = read_recipe("finetune", [*options, "--start", str(model)]).recipe
    assert names(again) == [first.train[0].name]


def test_what_starts_anew_lists_its_own(options: list[str]) -> None:
    recipe = read_recipe("finetune", [*options, "--start", "null"]).recipe
    assert names(recipe) == [recipe.train[0].name]


def test_what_is_unknown_of_the_start_is_unknown_of_the_run(
    options: list[str], tmp_path: Path
) -> None:
    general = load_model("general")
    card = {key: value for key, value in general.card.items() if key != "trained_on"}
    silent = tmp_path / "silent.safetensors"
    Model(general.network, general.description, general.inference, card).save(silent)
    assert names(read_recipe("finetune", [*options, "--start", str(silent)]).recipe) is None
