"""The steps of a labeller: alone, with a network that stays as it is, and jointly with it."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
import torch
from lightning_fabric import Fabric
from torch import Tensor

from builders import labelled_network, make_sample
from instancefcn.core.tensors import read_tensors
from instancefcn.inference.ranking import Selection
from instancefcn.labelling.network import is_labeller
from instancefcn.training.batches import Batch, Collate, CollateJoint, CollateObjects
from instancefcn.training.loop import CHECKPOINT, train
from instancefcn.training.recipe import Recipe, read_recipe
from instancefcn.training.rois import Objects, RoiSampling
from instancefcn.training.steps import JointStep, LabelStep, TrainingStep
from instancefcn.training.targets import Matching, WindowSampling
from shapes import write_label_recipe, write_shapes

PLACES = {1: 1, 2: 2}
SAMPLES = [
    make_sample(64, 96, [(4, 4, 40, 40), (50, 10, 90, 60)], seed=1),
    make_sample(64, 96, seed=2),
]


@pytest.fixture(autouse=True)
def _any_algorithm() -> Iterator[None]:
    """Training asks for deterministic algorithms; other tests need not."""
    yield
    torch.use_deterministic_algorithms(False)


def batch_of(*samples: int) -> Batch[Objects]:
    (batch,) = CollateObjects(32, PLACES)([SAMPLES[i] for i in samples])
    return batch


def step() -> LabelStep:
    selection = Selection(windows_per_side=100, top=50)
    return LabelStep(labelled_network(), selection, RoiSampling(per_image=16))


def loss_of(step: LabelStep, batch: Batch[Objects]) -> Tensor:
    terms: Tensor = step(batch.images, lambda: batch.targets)
    assert terms.shape == (1,)
    return terms[0]


def test_the_labeller_gets_all_gradients_and_the_network_none() -> None:
    learning = step()
    assert learning.names() == ["label"]
    loss = loss_of(learning, batch_of(0, 1))
    loss.backward()  # type: ignore[no-untyped-call]
    assert loss.isfinite()
    for name, parameter in learning.network.named_parameters():
        if is_labeller(name):
            assert parameter.grad is not None, name
            assert parameter.grad.any(), name
        else:
            assert parameter.grad is None, name


def test_a_batch_is_the_mean_of_its_images() -> None:
    """Each counts as many masks as may take part, one in four of an object at most."""
    learning = step().eval()
    one, other, both = (float(loss_of(learning, batch_of(*i)).detach()) for i in ([0], [1], [0, 1]))
    assert both == pytest.approx((one + other) / 2, rel=1e-4)


def test_images_that_nobody_judged_teach_nothing() -> None:
    void = make_sample(64, 96, void=[(0, 0, 96, 64)])
    (batch,) = CollateObjects(32, PLACES)([void])
    learning = step()
    loss = loss_of(learning, batch)
    loss.backward()  # type: ignore[no-untyped-call]
    assert float(loss.detach()) == 0
    gradients = [p.grad for p in learning.network.labeller.parameters()]
    assert not any(grad.any() for grad in gradients if grad is not None)


def test_samples_of_two_sizes_are_two_batches() -> None:
    """Made up to the network's multiple; what is added is not judged."""
    batches = CollateObjects(32, PLACES)([SAMPLES[0], make_sample(60, 33, [(1, 1, 9, 9)])])
    assert [batch.images.shape for batch in batches] == [(1, 3, 64, 96), (1, 3, 64, 64)]
    (objects,) = batches[1].targets
    assert objects.judged.sum() == 15 * 8, "of the column that is made up for the most part, none"


# --- both at once


def joint_batch() -> tuple[Batch[Any], int]:
    network = labelled_network()
    levels = Collate.of(network, Matching(), WindowSampling(positives_per_image=8))
    (batch,) = CollateJoint(levels, CollateObjects(32, PLACES))(SAMPLES)
    return batch, len(network.layouts())


def joint_step() -> JointStep:
    torch.manual_seed(0)
    return JointStep(labelled_network(), Selection(windows_per_side=100, top=50), RoiSampling())


def test_the_joint_terms_are_those_of_both_steps() -> None:
    learning = joint_step().eval()
    batch, levels = joint_batch()
    terms = learning(batch.images, lambda: batch.targets)
    assert learning.names() == ["mask", "objectness", "label"]
    masks = TrainingStep(learning.network)(batch.images, lambda: batch.targets[:levels])
    alone = LabelStep(learning.network, learning.selection, learning.sampling)
    label = alone(batch.images, lambda: batch.targets[levels:])
    torch.testing.assert_close(terms, torch.cat((masks, label)))


def test_jointly_the_labels_reach_the_encoder_but_not_the_masks() -> None:
    """A label says nothing of how a mask should be drawn."""
    learning = joint_step()
    batch, _ = joint_batch()
    terms = learning(batch.images, lambda: batch.targets)
    terms[-1].backward(retain_graph=True)
    reached = {name: p.grad is not None and bool(p.grad.any()) for name, p in named(learning)}
    assert all(reached[name] for name in reached if is_labeller(name))
    assert any(reached[name] for name in reached if name.startswith("backbone.encoder"))
    assert not any(reached[name] for name in reached if name.startswith("branches"))
    terms.sum().backward()
    assert all(p.grad is not None for name, p in named(learning) if name.startswith("branches"))


def named(step: JointStep) -> list[tuple[str, Tensor]]:
    return list(step.network.named_parameters())


# --- a run

STEPS = 4


@pytest.fixture(scope="module")
def recipe_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("shapes")
    return write_label_recipe(folder, write_shapes(folder, images=4))


def fabric() -> Fabric:
    return Fabric(accelerator="cpu", devices=1)


def recipe(file: Path) -> Recipe:
    options = ["--steps", str(STEPS), "--batch", "2", "--workers", "0", "--save_every", "1"]
    return read_recipe(str(file), options).recipe


def test_a_run_changes_the_labeller_only(recipe_file: Path, tmp_path: Path) -> None:
    learning = recipe(recipe_file)
    before = {name: value.clone() for name, value in learning.network.state_dict().items()}
    *_, (_, shipped) = train(learning, tmp_path, fabric())
    for network in (learning.network, shipped):
        for name, value in network.state_dict().items():
            assert torch.equal(value, before[name]) != is_labeller(name), name


def test_a_joint_run_changes_both(recipe_file: Path, tmp_path: Path) -> None:
    options = ["--steps", "2", "--batch", "2", "--workers", "0", "--joint", "true"]
    learning = read_recipe(str(recipe_file), options).recipe
    before = {name: value.clone() for name, value in learning.network.state_dict().items()}
    *_, (step, _) = train(learning, tmp_path, fabric())
    assert list(step.terms) == ["mask", "objectness", "label"]
    for name, value in learning.network.state_dict().items():
        if name.startswith(("backbone.encoder", "branches", "labeller")):
            assert not torch.equal(value, before[name]), name


def test_a_run_that_was_stopped_goes_on_with_the_same_bits(
    recipe_file: Path, tmp_path: Path
) -> None:
    """Units are left out of each step at random: by its number, not by what ran before."""
    whole = [step.terms for step, _ in train(recipe(recipe_file), tmp_path / "whole", fabric())]
    stopped = train(recipe(recipe_file), tmp_path / "parts", fabric())
    first = [step.terms for step, _ in islice(stopped, 3)]  # the third is not saved yet
    stopped.close()  # type: ignore[attr-defined]
    torch.rand(7)  # another state of torch's own generator
    rest = [step.terms for step, _ in train(recipe(recipe_file), tmp_path / "parts", fabric())]
    assert [*first[:2], *rest] == whole
    (one, _), (other, _) = (read_tensors(tmp_path / p / CHECKPOINT) for p in ("whole", "parts"))
    assert one.keys() == other.keys()
    for name, value in one.items():
        assert torch.equal(value, other[name]), name
