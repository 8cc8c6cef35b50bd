"""Every recipe that ships builds, says what it is, and takes a real step."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from lightning_fabric import Fabric

from instancefcn.data.augmentation import FullImages
from instancefcn.data.subsets import Every
from instancefcn.formats.voc import VocDataset
from instancefcn.inference.sampling import PAPER_SIDES
from instancefcn.network.backbones import Vgg16
from instancefcn.network.fcn import Branch
from instancefcn.network.heads import ScoreMapHead
from instancefcn.training.loop import train
from instancefcn.training.recipe import Recipe, read_recipe, shipped_recipes
from shapes import write_shapes

SCRATCH = ["--pretrained", "null"]
SMALL_IMAGES = [*SCRATCH, "--augmentation.sides", "[160,192]"]
SMALL_CROPS = [*SCRATCH, "--augmentation.size", "192"]
SMALL_OBJECTS = [*SCRATCH, "--augmentation.size", "96"]
SMALL = {
    "general": SMALL_CROPS,
    "finetune": ["--augmentation.size", "192"],
    **dict.fromkeys(["paper", "paper-small"], SMALL_IMAGES),
    **dict.fromkeys(["parts-1", "parts-3", "parts-5", "parts-7"], SMALL_IMAGES),
    **dict.fromkeys(["parts-5-crops", "deepmask-crops"], SCRATCH),
    **dict.fromkeys(["few-5-crops", "few-deepmask-crops"], SCRATCH),
    **dict.fromkeys(["nuclei-1", "nuclei-5"], SMALL_OBJECTS),
}
"""What makes a recipe's step small. A recipe without an entry fails here: give it one."""


@pytest.fixture(autouse=True)
def _any_algorithm() -> Iterator[None]:
    """Training asks for deterministic algorithms; other tests need not."""
    yield
    torch.use_deterministic_algorithms(False)


@pytest.fixture(scope="module")
def shapes(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """Overrides that put tiny data in the place of a recipe's own."""
    annotations = write_shapes(tmp_path_factory.mktemp("shapes"))
    dataset = (
        "[{class_path: instancefcn.formats.coco.CocoDataset, "
        f"init_args: {{annotations: {annotations}, images: {annotations.parent}}}}}]"
    )
    return ["--train", dataset, "--evaluate", dataset, "--workers", "0"]


def test_every_recipe_has_its_small_form() -> None:
    assert SMALL.keys() == shipped_recipes().keys()


@pytest.mark.parametrize("name", shipped_recipes())
def test_a_header_says_what_a_recipe_is(name: str) -> None:
    lines = shipped_recipes()[name].read_text().splitlines()
    header = "\n".join(line for line in lines if line.startswith("#"))
    assert lines[0].startswith("# ")
    for words in (f"instancefcn train {name}", "Expected time:", "Expected figure:"):
        assert words in header.replace(".apps.cli", ""), words


@pytest.mark.parametrize("name", shipped_recipes())
def test_a_recipe_takes_a_step(name: str, shapes: list[str], tmp_path: Path) -> None:
    options = [*shapes, *SMALL[name], "--steps", "1", "--batch", "2"]
    recipe = read_recipe(name, options).recipe
    before = [parameter.clone() for parameter in recipe.network.parameters()]
    fabric = Fabric(accelerator="cpu", devices=1, precision=recipe.precision)  # type: ignore[arg-type]
    ((step, _),) = train(recipe, tmp_path, fabric)
    assert step.number == 1
    assert list(step.terms) == ["mask", "objectness"]
    assert all(0 < value < 10 for value in step.terms.values())
    moved = [
        not torch.equal(old, new)
        for old, new in zip(before, recipe.network.parameters(), strict=True)
    ]
    # Through an encoder without pretrained weights hardly any gradient comes down.
    assert sum(moved) > len(moved) / 2
    assert (tmp_path / "checkpoint.safetensors").exists()


@pytest.fixture(scope="module")
def paper() -> Recipe:
    return read_recipe("paper").recipe


def test_the_papers_recipe_is_the_papers(paper: Recipe) -> None:
    """Section 3.3: stride 8, k = 5, m = 21, six scales, 256 windows, SGD, 40,000 steps of 8."""
    (branch,) = paper.network.branches
    assert isinstance(paper.network.backbone, Vgg16)
    assert isinstance(branch, Branch)
    assert isinstance(branch.mask_head, ScoreMapHead)
    assert (branch.m, branch.mask_head.k) == (21, 5)
    assert branch.mask_head.hidden.out_channels == 512
    assert branch.objectness_head.hidden.out_channels == 512
    assert isinstance(paper.augmentation, FullImages)
    assert paper.augmentation.sides == paper.inference.sides == PAPER_SIDES
    assert (paper.sampling.positives_per_image, paper.sampling.windows_per_image) == (128, 256)
    assert (paper.steps, paper.batch, paper.paste, paper.decay_average) == (40_000, 8, 0, 0)
    optimizer = paper.optimizer(paper.network.parameters())
    assert optimizer.defaults["momentum"] == 0.9
    assert optimizer.defaults["weight_decay"] == 5e-4


def test_the_papers_rate_falls_after_32000_steps(paper: Recipe) -> None:
    (group,) = paper.optimizer(paper.network.parameters()).param_groups
    rates = [
        group["lr"] * paper.schedule(step, paper.steps) for step in (0, 31_999, 32_000, 39_999)
    ]
    assert rates == pytest.approx([1e-3, 1e-3, 1e-4, 1e-4])


def test_every_window_of_a_voc_image_is_assembled(paper: Recipe) -> None:
    """500 x 500 pixels, the largest that VOC has, at stride 8."""
    cells = sum((-(-side // 8)) ** 2 for side in PAPER_SIDES)
    assert cells < paper.inference.selection.windows_per_side


def test_finetune_goes_on_with_the_network_of_general() -> None:
    finetune, general = read_recipe("finetune"), read_recipe("general")
    assert finetune.recipe.start == "general"
    assert finetune.description == general.description
    assert finetune.recipe.inference == general.recipe.inference


def differences(name: str, other: str) -> dict[str, tuple[Any, Any]]:
    """The values, by their path, in which two recipes differ."""

    def flat(value: Any, path: str) -> dict[str, Any]:
        if isinstance(value, dict):
            pairs = value.items()
        elif isinstance(value, list):
            pairs = dict(enumerate(value)).items()
        else:
            return {path: value}
        return {k: v for key, part in pairs for k, v in flat(part, f"{path}.{key}").items()}

    one, two = (flat(yaml.safe_load(read_recipe(n).text), "") for n in (name, other))
    differ = {k: (one.get(k), two.get(k)) for k in one | two if one.get(k) != two.get(k)}
    return {k: v for k, v in differ.items() if k != ".base"}


NETWORK = ".network.init_args"


@pytest.mark.parametrize("k", [1, 3, 7])
def test_recipes_of_parts_differ_in_their_number_only(k: int) -> None:
    assert differences(f"parts-{k}", "parts-5") == {f"{NETWORK}.k": (k, 5)}


def test_recipes_of_nuclei_differ_in_the_number_of_parts_only() -> None:
    assert differences("nuclei-1", "nuclei-5") == {f"{NETWORK}.k": (1, 5)}


def test_crops_differ_in_what_is_trained_on_only() -> None:
    changed = differences("parts-5-crops", "parts-5")
    assert {path.split(".")[1] for path in changed} == {"augmentation"}


@pytest.mark.parametrize(
    ("deepmask", "other"),
    [("deepmask-crops", "parts-5-crops"), ("few-deepmask-crops", "few-5-crops")],
)
def test_deepmask_differs_in_its_mask_head_only(deepmask: str, other: str) -> None:
    changed = differences(deepmask, other)
    assert {path.removeprefix(f"{NETWORK}.").split(".")[0] for path in changed} == {"mask_head"}


@pytest.mark.parametrize("recipe", ["5-crops", "deepmask-crops"])
def test_recipes_of_few_images_differ_in_their_number_only(recipe: str) -> None:
    whole = f"parts-{recipe}" if recipe[0] == "5" else recipe
    changed = differences(f"few-{recipe}", whole)
    assert {path.split(".")[1] for path in changed} == {"train"}
    few, many = (read_recipe(name).recipe.train[0] for name in (f"few-{recipe}", whole))
    assert isinstance(few, Every)
    assert isinstance(many, VocDataset)
    assert (few.dataset.name, few.step) == (many.name, 6)
