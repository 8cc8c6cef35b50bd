"""Training: a recipe and a folder in, a model out; the same bits whether or not it was killed."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel

from instancefcn.core.errors import UserError
from instancefcn.core.extras import extra
from instancefcn.core.sample import Sample
from instancefcn.core.tensors import read_tensors
from instancefcn.data.stream import SampleStream
from instancefcn.data.workers import load
from instancefcn.labelling.network import LabelledNetwork, is_labeller
from instancefcn.network.fcn import InstanceFCN
from instancefcn.network.models import differing, read_weights
from instancefcn.training.batches import Batch, Collate, CollateJoint, CollateObjects
from instancefcn.training.categories import to_train_on
from instancefcn.training.checkpoint import TrainingState
from instancefcn.training.recipe import Recipe
from instancefcn.training.steps import JointStep, LabelStep, TrainingStep

with extra("train"):
    from lightning_fabric import Fabric

CHECKPOINT = "checkpoint.safetensors"

OVERFLOWS = 20
"""Steps in a row whose gradients may overflow in float16, while its scale is being found."""


@dataclass(frozen=True)
class Step:
    """A step that was made: its number from 1 on, its loss terms by name, the rate of what started
    from scratch, and images a second.
    """

    number: int
    terms: Mapping[str, float]
    rate: float
    images_per_second: float


def train(recipe: Recipe, run: Path, fabric: Fabric) -> Iterator[tuple[Step, InstanceFCN]]:
    """Train from the last checkpoint in ``run``, or from the start, to the recipe's end.

    Yields each step and the network to evaluate or ship, its weights' moving average.
    Checkpoints are written every ``save_every`` steps and at the end, after the step was yielded.
    Invariant: the weights after a step do not depend on interruptions, nor, but for rounding, on
    how many processes share a batch.
    """
    choose_kernels(fabric.device)
    checkpoint = run / CHECKPOINT
    if not checkpoint.exists():
        load_first_weights(recipe)
    network = recipe.network.to(fabric.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    average = AveragedModel(network, multi_avg_fn=moving_average(recipe.decay_average))
    plain_optimizer = recipe.optimizer(parameter_groups(network, recipe.joint))
    rates = [group["lr"] for group in plain_optimizer.param_groups]
    rates[1] *= recipe.pretrained_rate
    step, optimizer = fabric.setup(learnt := step_of(recipe), plain_optimizer)
    state = TrainingState(network, average, plain_optimizer, fabric.strategy.precision)
    done = state.restore(checkpoint) if checkpoint.exists() else 0

    patience = Patience(OVERFLOWS if recipe.precision == "16-mixed" else 0)
    begun = time.perf_counter()
    for number, parts in enumerate(batches(recipe, fabric, done), start=done + 1):
        factor = recipe.schedule(number - 1, recipe.steps)
        for group, rate in zip(optimizer.param_groups, rates, strict=True):
            group["lr"] = rate * factor
        torch.manual_seed(recipe.seed + number)  # of dropout, so that no random state is kept
        terms = backward(step, parts, fabric)
        norm = fabric.clip_gradients(
            step, optimizer, max_norm=recipe.clip, error_if_nonfinite=False
        )
        patience.require_finite(norm, number)
        optimizer.step()
        optimizer.zero_grad()
        average.update_parameters(network)
        means = fabric.all_reduce(terms)
        seconds = time.perf_counter() - begun
        shipped = average.module
        assert isinstance(shipped, InstanceFCN)
        values = {name: float(mean) for name, mean in zip(learnt.names(), means, strict=True)}
        yield Step(number, values, rates[0] * factor, recipe.batch / seconds), shipped
        if fabric.is_global_zero and (number % recipe.save_every == 0 or number == recipe.steps):
            state.save(checkpoint, number)
        begun = time.perf_counter()


def choose_kernels(device: torch.device) -> None:
    """On a CPU those that give the same bits again. On a GPU the fastest: samples of one size come
    again and again, so that the time to find them pays.
    """
    torch.use_deterministic_algorithms(device.type == "cpu", warn_only=True)
    torch.backends.cudnn.benchmark = device.type == "cuda"


class Patience:
    """How many steps in a row may have gradients that are not finite.

    In float16 some overflow while the scale is found, and are left out; elsewhere none may.
    """

    def __init__(self, steps: int) -> None:
        self.steps = steps
        self.lost = 0

    def require_finite(self, norm: Tensor | None, number: int) -> None:
        """UserError if nothing good would follow."""
        self.lost = 0 if norm is None or norm.isfinite() else self.lost + 1
        if self.lost > self.steps:
            raise UserError(
                f"step {number}: gradients are not finite, training has diverged; take a lower "
                "rate (--optimizer.init_args.lr) or clip gradients (--clip)"
            )


def backward(step: Any, parts: Sequence[Batch[Any]], fabric: Fabric) -> Tensor:
    """Add the gradients of this process's share of a batch; returns its mean terms (any,).

    ``step`` is a ``TrainingStep`` that Fabric has set up; ``parts`` are of one size each.
    """
    images = sum(len(part) for part in parts)
    means: list[Tensor] = []
    for number, part in enumerate(parts, start=1):
        batch = part.to(fabric.device)
        with fabric.no_backward_sync(step, enabled=number < len(parts)):
            # A function, since Fabric would take frozen dataclasses apart.
            terms = step(batch.images, lambda targets=batch.targets: targets)
            terms = terms * (len(batch) / images)
            fabric.backward(terms.sum())
        means.append(terms.detach())
    return torch.stack(means).sum(0)


Tensors = list[Tensor] | tuple[Tensor, ...]


def moving_average(decay: float) -> Callable[[Tensors, Tensors, Tensor | int], None]:
    """An exponential moving average of weights for ``AveragedModel``.

    Over the first steps it forgets faster, (1 + n) / (10 + n), so that it does not carry the
    random weights of the start along.
    """

    def update(averaged: Tensors, current: Tensors, number: Tensor | int) -> None:
        n = int(number)
        torch._foreach_lerp_(averaged, current, 1 - min(decay, (1 + n) / (10 + n)))

    return update


def batches(recipe: Recipe, fabric: Fabric, done: int) -> Iterator[list[Batch[Any]]]:
    """The process's share of each batch that is left, made in worker processes."""
    share, rest = divmod(recipe.batch, fabric.world_size)
    if rest:
        raise UserError(
            f"a batch of {recipe.batch} images over {fabric.world_size} processes; "
            "make batch a multiple of the processes"
        )
    starts = range(done * recipe.batch, recipe.steps * recipe.batch, recipe.batch)
    first = fabric.global_rank * share
    train = to_train_on(recipe.network, recipe.train)
    stream = SampleStream(train, recipe.augmentation, recipe.seed, recipe.paste)
    return load(
        stream,
        [range(s + first, s + first + share) for s in starts],
        recipe.workers,
        collate_of(recipe),
        pin=fabric.device.type == "cuda",
    )


def collate_of(recipe: Recipe) -> Callable[[Sequence[Sample]], list[Batch[Any]]]:
    """What makes batches of samples, in data workers."""
    network = recipe.network
    if not isinstance(network, LabelledNetwork):
        return Collate.of(network, recipe.matching, recipe.sampling)
    places = {category: place for place, category in enumerate(network.categories, start=1)}
    objects = CollateObjects(network.backbone.multiple, places)
    if not recipe.joint:
        return objects
    return CollateJoint(Collate.of(network, recipe.matching, recipe.sampling), objects)


def step_of(recipe: Recipe) -> TrainingStep | LabelStep:
    """What is made of a batch."""
    network = recipe.network
    if not isinstance(network, LabelledNetwork):
        return TrainingStep(network)
    labelling = recipe.inference.labelling
    selection = replace(recipe.inference.selection, top=labelling.proposals)
    kind = JointStep if recipe.joint else LabelStep
    return kind(network, selection, recipe.rois)


def load_first_weights(recipe: Recipe) -> None:
    """What a run starts from, and a run that goes on does not need."""
    if recipe.pretrained is not None:
        load_pretrained(recipe.network, recipe.pretrained)
    if recipe.start is not None:
        frozen = labeller_alone(recipe.network, recipe.joint)
        load_start(recipe.network, recipe.start, frozen=frozen)


def load_pretrained(network: InstanceFCN, source: str) -> None:
    """Fill the backbone from a safetensors file, or from its publisher ("download")."""
    backbone = network.backbone
    if source != "download":
        backbone.load(read_tensors(Path(source))[0])
        return
    try:
        weights = backbone.download()
    except OSError as error:
        raise UserError(
            f"pretrained weights cannot be downloaded ({error}); give a file with --pretrained FILE"
        ) from error
    backbone.load(weights)


def load_start(network: InstanceFCN, source: Path | str, *, frozen: bool = False) -> None:
    """Fill the whole network from a model file, or from a model that ships ("general").

    Raises UserError, naming it, unless it has the same tensors in the same shapes. Windows may
    be of another size: no weight depends on m. Branches that the file lacks start as its last one,
    unless the network is ``frozen``: they would never learn their windows. A labeller that the
    file lacks stays as it is.
    """
    weights = read_weights(source)
    own = network.state_dict()
    if not frozen:
        weights = with_branches(weights, len(network.branches))
    if isinstance(network, LabelledNetwork) and not any(map(is_labeller, weights)):
        weights |= {name: weight for name, weight in own.items() if is_labeller(name)}
    wrong = differing(own, weights)
    if wrong and all(map(is_labeller, wrong)):
        raise UserError(
            f"{source}: its labeller is of another kind, or of another number of categories than "
            f"the recipe's ({wrong[0]!r}); start from a model without a labeller, as general"
        )
    if wrong:
        raise UserError(
            f"{source}: a model of another network, {len(wrong)} tensors are missing on one side "
            f"or of another shape, {wrong[0]!r} the first; give the recipe the network of that "
            "model, or set start to null"
        )
    network.load_state_dict(weights)


def with_branches(weights: Mapping[str, Tensor], number: int) -> dict[str, Tensor]:
    """The weights of a network of so many branches: those that are not there are copies of the
    last one. Further ones stay, for the caller to find.
    """
    prefix = "branches."
    known = [int(name.split(".")[1]) for name in weights if name.startswith(prefix)]
    last = f"{prefix}{max(known, default=0)}."
    heads = {name.removeprefix(last): w for name, w in weights.items() if name.startswith(last)}
    copies = range(max(known, default=0) + 1, number)
    return {**weights, **{f"{prefix}{i}.{name}": w for i in copies for name, w in heads.items()}}


def labeller_alone(network: InstanceFCN, joint: bool) -> bool:
    """Does only the labeller learn, and the network that finds masks stay as it is?"""
    return isinstance(network, LabelledNetwork) and not joint


def parameter_groups(network: InstanceFCN, joint: bool) -> list[dict[str, list[nn.Parameter]]]:
    """Two groups of parameters: what starts from scratch, and what starts pretrained.

    Of a network with a labeller only the labeller learns, unless both learn jointly.
    """
    if labeller_alone(network, joint):
        own = [p for name, p in network.named_parameters() if is_labeller(name)]
        return [{"params": own}, {"params": []}]
    pretrained = set(network.backbone.pretrained.parameters())
    scratch = [p for p in network.parameters() if p not in pretrained]
    return [{"params": scratch}, {"params": [p for p in network.parameters() if p in pretrained]}]
