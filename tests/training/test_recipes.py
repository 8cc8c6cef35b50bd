"""Every recipe that ships builds, says what it is, and takes a real step."""

from __future__ import annotations

from pathlib import Path

import pytest

from instancefcn.data.augmentation import FullImages
from instancefcn.inference.sampling import PAPER_SIDES
from instancefcn.network.backbones import Vgg16
from instancefcn.network.fcn import Branch
from instancefcn.network.heads import ScoreMapHead
from instancefcn.training.recipe import Recipe, read_recipe, shipped_recipes
from recipe_steps import SCRATCH, SMALL_CROPS, SMALL_IMAGES, check_header, check_step, tiny_data

SMALL = {
    "general-first": [*SCRATCH, *SMALL_CROPS],
    "general": ["--start", "null", *SMALL_CROPS],
    "voc20": ["--start", "null", *SMALL_CROPS],
    **dict.fromkeys(["finetune", "labels"], SMALL_CROPS),
    "paper": SMALL_IMAGES,
}
"""What makes a recipe's step small. A recipe without an entry fails here: give it one."""


@pytest.fixture(scope="module")
def shapes(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    return tiny_data(tmp_path_factory.mktemp("shapes"))


def test_every_recipe_has_its_small_form() -> None:
    assert SMALL.keys() == shipped_recipes().keys()


@pytest.mark.parametrize("name", shipped_recipes())
def test_a_header_says_what_a_recipe_is(name: str) -> None:
    check_header(shipped_recipes()[name], name)


@pytest.mark.parametrize("name", shipped_recipes())
def test_a_recipe_takes_a_step(name: str, shapes: list[str], tmp_path: Path) -> None:
    check_step(name, [*shapes, *SMALL[name]], tmp_path)


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
