"""Samples of several sizes in a batch: made up to the stride, grouped, each with its own share."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest
import torch
from lightning_fabric import Fabric
from torch import Tensor

from builders import make_sample
from instancefcn.core.sample import Sample
from instancefcn.core.tensors import read_tensors
from instancefcn.data.stream import SampleStream
from instancefcn.network.models import read_card
from instancefcn.training.batches import Collate, by_size, padded
from instancefcn.training.loop import backward
from instancefcn.training.recipe import Recipe, read_recipe
from instancefcn.training.steps import TrainingStep
from shapes import write_recipe, write_shapes

SMALL = [make_sample(32, 64, [(4, 4, 24, 28)], seed=1), make_sample(32, 64, seed=2)]
LARGE = [make_sample(64, 64, [(10, 10, 50, 40)], seed=3)]


@pytest.fixture(scope="module")
def recipe_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("shapes")
    return write_recipe(folder, write_shapes(folder))


@pytest.fixture(scope="module")
def recipe(recipe_file: Path) -> Recipe:
    return read_recipe(str(recipe_file)).recipe


def collate(recipe: Recipe) -> Collate:
    return Collate.of(recipe.network, recipe.matching, recipe.sampling)


def gradients(recipe: Recipe, samples: Sequence[Sample]) -> tuple[dict[str, Tensor], Tensor]:
    """The network's gradients of a batch, and its losses."""
    fabric = Fabric(accelerator="cpu", devices=1)
    recipe.network.zero_grad()
    step = fabric.setup(TrainingStep(recipe.network))
    losses = backward(step, collate(recipe)(samples), fabric)
    named = recipe.network.named_parameters()
    return {name: p.grad.clone() for name, p in named if p.grad is not None}, losses


def test_what_is_added_is_grey_and_void() -> None:
    sample = make_sample(30, 61, [(0, 0, 61, 30)], void=[(3, 3, 5, 5)])
    result = padded(sample, 32)
    assert result.image.shape == (3, 32, 64)
    assert torch.equal(result.image[:, :30, :61], sample.image)
    assert (result.image[:, 30:] == 128).all()
    assert (result.image[:, :, 61:] == 128).all()
    assert result.masks.sum() == sample.masks.sum()
    assert torch.equal(result.void[:30, :61], sample.void)
    assert result.void.sum() == sample.void.sum() + 32 * 64 - 30 * 61
    assert result.seed == sample.seed


def test_a_sample_that_fits_stays_as_it_is() -> None:
    for sample in (make_sample(64, 32, [(1, 2, 9, 9)]), make_sample(32, 32)):
        result = padded(sample, 32)
        for name in ("image", "masks", "crowds", "categories", "void"):
            assert torch.equal(getattr(result, name), getattr(sample, name))


def test_samples_of_one_size_stand_together() -> None:
    a, b, c = SMALL[0], LARGE[0], SMALL[1]
    first, second = by_size([a, b, c])
    assert first[0] is a
    assert first[1] is c
    assert second[0] is b
    assert by_size([]) == []


def test_a_batch_of_two_sizes_is_the_mean_of_its_samples(recipe: Recipe) -> None:
    together, losses = gradients(recipe, [SMALL[0], LARGE[0], SMALL[1]])
    alone = [gradients(recipe, [sample]) for sample in (*SMALL, *LARGE)]
    torch.testing.assert_close(losses, sum(loss for _, loss in alone) / 3, rtol=1e-5, atol=1e-6)
    assert len(together) > 20
    for name, gradient in together.items():
        mean = sum(parts[name] for parts, _ in alone) / 3
        torch.testing.assert_close(gradient, mean, rtol=1e-4, atol=1e-5, msg=name)


def test_samples_of_one_size_make_one_batch(recipe: Recipe) -> None:
    """Bit for bit what a plain step gives."""
    grouped, losses = gradients(recipe, SMALL)
    recipe.network.zero_grad()
    (batch,) = collate(recipe)(SMALL)
    plain = TrainingStep(recipe.network)(batch.images, lambda: batch.targets)
    plain.sum().backward()
    assert torch.equal(losses, plain.detach())
    for name, parameter in recipe.network.named_parameters():
        if parameter.grad is not None:
            assert torch.equal(grouped[name], parameter.grad), name


def test_two_processes_train_as_one(recipe_file: Path) -> None:
    """A step on four samples of several sizes: one process waits for the other's last group. Then
    each measures its part of the images, and makes its part of the model's card.
    """
    options = ["--optimizer", "torch.optim.SGD", "--optimizer.lr", "0.1", "--clip", "1e9"]
    options += ["--augmentation", "instancefcn.data.augmentation.FullImages"]
    options += ["--augmentation.sides", "[40,64,80]", "--steps", "1"]
    drawn = read_recipe(str(recipe_file), options).recipe
    stream = SampleStream(drawn.train, drawn.augmentation, drawn.seed, drawn.paste)
    sizes = [stream[position].image.shape[1] for position in range(4)]
    assert len(set(sizes[:2])) != len(set(sizes[2:])), "no process waits: take another seed"

    module = ["-m", "instancefcn.apps.cli", "train", str(recipe_file)]
    weights, cards, figures = [], [], []
    for name, launcher in (
        ("one", []),
        ("two", ["-m", "torch.distributed.run", "--nproc-per-node", "2"]),
    ):
        run = recipe_file.parent / name
        command = [sys.executable, *launcher, *module, "--output", str(run), *options]
        subprocess.run(command, check=True, env={**os.environ, "OMP_NUM_THREADS": "1"})
        weights.append(read_tensors(run / "checkpoint.safetensors")[0])
        cards.append(read_card(run / "model.safetensors"))
        figures.append(json.loads((run / "log.jsonl").read_text().splitlines()[-1]))
    assert cards[0] == cards[1]
    assert cards[0]["trained_on"][0]["images"] == 6
    assert figures[0] == pytest.approx(figures[1], abs=1e-3)
    one, two = weights
    names = [name for name in one if name.startswith("network.")]
    assert len(names) > 50
    for name in names:
        torch.testing.assert_close(two[name], one[name], rtol=1e-4, atol=1e-5, msg=name)
