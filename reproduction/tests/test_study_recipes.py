"""Every recipe of the study builds, says what it is, takes a real step, and differs from the one
it is compared with in what is compared.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from experiments import CATEGORIES, EXPERIMENTS, LABELLERS, RECIPES
from instancefcn.data.subsets import Every
from instancefcn.formats.voc import VocDataset
from instancefcn.training.recipe import merged_values, read_recipe
from recipe_steps import (
    SCRATCH,
    SMALL_CROPS,
    SMALL_IMAGES,
    check_header,
    check_step,
    differences,
    tiny_data,
)

SMALL_OBJECTS = [*SCRATCH, "--augmentation.size", "96"]
SMALL = {
    **dict.fromkeys(["parts-1", "parts-3", "parts-5", "parts-7", "paper-small"], SMALL_IMAGES),
    **dict.fromkeys(["parts-5-crops", "deepmask-crops"], SCRATCH),
    **dict.fromkeys(["few-5-crops", "few-deepmask-crops"], SCRATCH),
    **dict.fromkeys(["nuclei-1", "nuclei-5"], SMALL_OBJECTS),
    **dict.fromkeys(["label-mnc", "label-rfcn-box", "label-rfcn-mask"], SMALL_CROPS),
    **dict.fromkeys(["label-coco", "label-pets"], SMALL_CROPS),
    "label-vgg": ["--start", "null", "--augmentation.sides", "[160,192]"],
}
"""What makes a recipe's step small. A recipe without an entry fails here: give it one."""

NETWORK = ".network.init_args"


def path_of(name: str) -> str:
    return str(RECIPES / f"{name}.yaml")


@pytest.fixture(scope="module")
def shapes(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    return tiny_data(tmp_path_factory.mktemp("shapes"))


def test_every_recipe_has_its_small_form_and_its_experiment() -> None:
    names = {path.stem for path in RECIPES.glob("*.yaml")}
    assert SMALL.keys() == names
    experiments = [*EXPERIMENTS, *LABELLERS, *CATEGORIES]
    assert {experiment.recipe for experiment in experiments} == names
    assert all(experiment.minutes > 0 for experiment in experiments if experiment.seeds)


@pytest.mark.parametrize("name", SMALL)
def test_a_header_says_what_a_recipe_is(name: str) -> None:
    check_header(RECIPES / f"{name}.yaml", f"reproduction/recipes/{name}.yaml")


@pytest.mark.parametrize("name", SMALL)
def test_a_recipe_takes_a_step(name: str, shapes: list[str], tmp_path: Path) -> None:
    check_step(path_of(name), [*shapes, *SMALL[name]], tmp_path)


@pytest.mark.parametrize("k", [1, 3, 7])
def test_recipes_of_parts_differ_in_their_number_only(k: int) -> None:
    changed = differences(path_of(f"parts-{k}"), path_of("parts-5"))
    assert changed == {f"{NETWORK}.k": (k, 5)}


def test_recipes_of_nuclei_differ_in_the_number_of_parts_only() -> None:
    changed = differences(path_of("nuclei-1"), path_of("nuclei-5"))
    assert changed == {f"{NETWORK}.k": (1, 5)}


def test_crops_differ_in_what_is_trained_on_only() -> None:
    changed = differences(path_of("parts-5-crops"), path_of("parts-5"))
    assert {path.split(".")[1] for path in changed} == {"augmentation"}


@pytest.mark.parametrize(
    ("deepmask", "other"),
    [("deepmask-crops", "parts-5-crops"), ("few-deepmask-crops", "few-5-crops")],
)
def test_deepmask_differs_in_its_mask_head_only(deepmask: str, other: str) -> None:
    changed = differences(path_of(deepmask), path_of(other))
    assert {path.removeprefix(f"{NETWORK}.").split(".")[0] for path in changed} == {"mask_head"}


@pytest.mark.parametrize("recipe", ["5-crops", "deepmask-crops"])
def test_recipes_of_few_images_differ_in_their_number_only(recipe: str) -> None:
    names = f"few-{recipe}", f"parts-{recipe}" if recipe[0] == "5" else recipe
    changed = differences(*map(path_of, names))
    assert {path.split(".")[1] for path in changed} == {"train"}
    few, many = (read_recipe(path_of(name)).recipe.train[0] for name in names)
    assert isinstance(few, Every)
    assert isinstance(many, VocDataset)
    assert (few.dataset.name, few.step) == (many.name, 6)


@pytest.mark.parametrize("labeller", ["rfcn-box", "rfcn-mask"])
def test_labels_differ_in_their_labeller_only(labeller: str) -> None:
    changed = differences(path_of(f"label-{labeller}"), path_of("label-mnc"))
    assert {path.removeprefix(f"{NETWORK}.").split(".")[0] for path in changed} == {"labeller"}


def test_over_boxes_and_over_masks_differ_in_that_only() -> None:
    changed = differences(path_of("label-rfcn-mask"), path_of("label-rfcn-box"))
    assert changed == {f"{NETWORK}.labeller.init_args.over": ("mask", "box")}


def test_labels_are_learnt_as_a_user_learns_them() -> None:
    """But for the data, the number of steps and the size of samples, and what goes with these."""
    one, two = (merged_values(name, (), name) for name in (path_of("label-mnc"), "labels"))
    data = {"train", "evaluate", "augmentation", "inference"}
    steps = {"schedule", "steps", "decay_average", "evaluate_every", "evaluate_images"}
    assert {name for name in one | two if one.get(name) != two.get(name)} <= data | steps
