"""Training: a recipe and a folder in, a model out; the same bits whether or not it was killed."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import torch
import torch.nn.functional as F
from lightning_fabric import Fabric
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel
from torch.utils.data import DataLoader

from instancefcn.core.errors import UserError
from instancefcn.core.types import GREY, Level, Sample
from instancefcn.data.stream import SampleStream
from instancefcn.network.fcn import InstanceFCN
from instancefcn.network.models import differing, read_weights
from instancefcn.network.tensors import read_tensors
from instancefcn.training.checkpoint import TrainingState
from instancefcn.training.losses import Loss
from instancefcn.training.recipe import Recipe
from instancefcn.training.targets import Targets, make_targets

CHECKPOINT = "checkpoint.safetensors"


@dataclass(frozen=True)
class Step:
    """A step that was made: its number from 1 on, the mean losses, rate and images a second."""

    number: int
    objectness: float
    mask: float
    rate: float
    images_per_second: float


def train(recipe: Recipe, run: Path, fabric: Fabric) -> Iterator[tuple[Step, InstanceFCN]]:
    """Train from the last checkpoint in ``run``, or from the start, to the recipe's end.

    Yields each step and the network to evaluate or ship, its weights' moving average.
    Checkpoints are written every ``save_every`` steps and at the end, after the step was yielded.
    Invariant: the weights after a step do not depend on interruptions, nor, but for rounding, on
    how many processes share a batch.
    """
    torch.use_deterministic_algorithms(True, warn_only=True)
    checkpoint = run / CHECKPOINT
    if not checkpoint.exists():
        load_first_weights(recipe)
    network = recipe.network.to(fabric.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    average = AveragedModel(network, multi_avg_fn=moving_average(recipe.decay_average))
    plain_optimizer = recipe.optimizer(parameter_groups(network))
    rates = [group["lr"] for group in plain_optimizer.param_groups]
    rates[1] *= recipe.pretrained_rate
    step, optimizer = fabric.setup(TrainingStep(network, recipe.loss), plain_optimizer)
    state = TrainingState(network, average, plain_optimizer)
    done = state.restore(checkpoint) if checkpoint.exists() else 0

    begun = time.perf_counter()
    for number, samples in enumerate(batches(recipe, fabric, done), start=done + 1):
        factor = recipe.schedule(number - 1, recipe.steps)
        for group, rate in zip(optimizer.param_groups, rates, strict=True):
            group["lr"] = rate * factor
        losses = backward(step, samples, recipe, fabric)
        norm = fabric.clip_gradients(
            step, optimizer, max_norm=recipe.clip, error_if_nonfinite=False
        )
        require_finite(norm, number)
        optimizer.step()
        optimizer.zero_grad()
        average.update_parameters(network)
        means = fabric.all_reduce(losses)
        seconds = time.perf_counter() - begun
        shipped = average.module
        assert isinstance(shipped, InstanceFCN)
        yield (
            Step(number, float(means[0]), float(means[1]), factor, recipe.batch / seconds),
            shipped,
        )
        if fabric.is_global_zero and (number % recipe.save_every == 0 or number == recipe.steps):
            state.save(checkpoint, number)
        begun = time.perf_counter()


def require_finite(norm: Tensor | None, number: int) -> None:
    """Raises ValueError if a step's gradients have no finite norm: nothing good would follow."""
    if norm is not None and not norm.isfinite():
        raise UserError(
            f"step {number}: gradients are not finite, training has diverged; take a lower rate "
            "(--optimizer.init_args.lr) or clip gradients (--clip)"
        )


def backward(step: Any, samples: Sequence[Sample], recipe: Recipe, fabric: Fabric) -> Tensor:
    """Add the gradients of this process's share of a batch; returns its two mean losses (2,).

    ``step`` is a ``TrainingStep`` that Fabric has set up. Samples of one size go through it
    together, each size by itself, as the paper held one image a GPU (section 3.3): a sample's
    gradient does not depend on the sizes of the others.
    """
    groups = by_size(samples)
    means = torch.zeros(2, device=fabric.device)
    for number, group in enumerate(groups, start=1):
        with fabric.no_backward_sync(step, enabled=number < len(groups)):
            losses = step(
                fabric.to_device(torch.stack([sample.image for sample in group])),
                partial(
                    make_targets, samples=group, matching=recipe.matching, sampling=recipe.sampling
                ),
            ) * (len(group) / len(samples))
            fabric.backward(losses.sum())
        means += losses.detach()
    return means


def by_size(samples: Sequence[Sample]) -> list[list[Sample]]:
    """The samples of each size, sizes in the order in which they first come."""
    groups: dict[torch.Size, list[Sample]] = {}
    for sample in samples:
        groups.setdefault(sample.image.shape, []).append(sample)
    return list(groups.values())


class TrainingStep(nn.Module):
    """From pixels to the two terms of the paper's equation 1, as one module.

    DDP then sees every use of a parameter, in the network as in its mask heads. ``targets`` makes
    targets of levels; a function, since Fabric would take frozen dataclasses apart.
    """

    def __init__(self, network: InstanceFCN, loss: Loss) -> None:
        super().__init__()
        self.network = network
        self.loss = loss

    def forward(
        self, images: Tensor, targets: Callable[[Sequence[Level]], Sequence[Targets]]
    ) -> Tensor:
        """Images (B, 3, H, W) uint8 -> the objectness and the mask loss (2,)."""
        pixels = (images.float() / 255).to(memory_format=torch.channels_last)
        levels = self.network(pixels)
        losses = self.loss(levels, targets(levels))
        return torch.stack([losses.objectness, losses.mask])


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


def batches(recipe: Recipe, fabric: Fabric, done: int) -> Iterator[list[Sample]]:
    """The process's share of each batch that is left, made in worker processes."""
    share, rest = divmod(recipe.batch, fabric.world_size)
    if rest:
        raise UserError(
            f"a batch of {recipe.batch} images over {fabric.world_size} processes; "
            "make batch a multiple of the processes"
        )
    starts = range(done * recipe.batch, recipe.steps * recipe.batch, recipe.batch)
    first = fabric.global_rank * share
    stream = SampleStream(recipe.train, recipe.augmentation, recipe.seed, recipe.paste)
    return iter(
        DataLoader(
            stream,
            batch_sampler=[range(s + first, s + first + share) for s in starts],  # type: ignore
            num_workers=recipe.workers,
            collate_fn=partial(padded, multiple=recipe.network.backbone.multiple),
            worker_init_fn=_one_thread,
        )
    )


def padded(samples: Sequence[Sample], multiple: int) -> list[Sample]:
    """Samples whose sides are made up to a multiple at the right and the bottom.

    What is added is grey, as in inference, and void: nothing is learnt beyond the image.
    """
    result = []
    for sample in samples:
        height, width = sample.void.shape
        margin = (0, -width % multiple, 0, -height % multiple)
        result.append(
            replace(
                sample,
                image=F.pad(sample.image, margin, value=GREY),
                masks=F.pad(sample.masks, margin),
                void=F.pad(sample.void, margin, value=True),
            )
        )
    return result


def load_first_weights(recipe: Recipe) -> None:
    """What a run starts from, and a run that goes on does not need."""
    if recipe.pretrained is not None:
        load_pretrained(recipe.network, recipe.pretrained)
    if recipe.start is not None:
        load_start(recipe.network, recipe.start)


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


def load_start(network: InstanceFCN, source: Path | str) -> None:
    """Fill the whole network from a model file, or from a model that ships ("general").

    Raises ValueError, naming it, unless it has the same tensors in the same shapes. Windows may
    be of another size: no weight depends on m.
    """
    weights = read_weights(source)
    wrong = differing(network.state_dict(), weights)
    if wrong:
        raise UserError(
            f"{source}: a model of another network, {len(wrong)} tensors are missing on one side "
            f"or of another shape, {wrong[0]!r} the first; give the recipe the network of that "
            "model, or set start to null"
        )
    network.load_state_dict(weights)


def parameter_groups(network: InstanceFCN) -> list[dict[str, list[nn.Parameter]]]:
    """Two groups of parameters: what starts from scratch, and what starts pretrained."""
    pretrained = set(network.backbone.pretrained.parameters())
    scratch = [p for p in network.parameters() if p not in pretrained]
    return [{"params": scratch}, {"params": [p for p in network.parameters() if p in pretrained]}]


def _one_thread(worker: int) -> None:
    """Workers share the cores with the training process."""
    cv2.setNumThreads(0)
