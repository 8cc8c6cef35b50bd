"""What a training step costs against the number of objects an image has."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import islice
from statistics import median
from time import perf_counter

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset

from instancefcn.core.sample import Sample
from instancefcn.evaluation.report import markdown_table
from instancefcn.network.fcn import InstanceFCN
from instancefcn.network.head import Targets
from instancefcn.network.presets import PyramidNetwork
from instancefcn.training.batches import Batch, Collate
from instancefcn.training.steps import TrainingStep
from instancefcn.training.targets import Matching, WindowSampling

SIDE, BATCH = 384, 8
STEPS = 6
OBJECTS = (5, 30, 300)
SAMPLING = WindowSampling(positives_per_image=64, windows_per_image=None)
"""Sizes and sampling of the recipe `general`."""


@dataclass(frozen=True)
class StepCost:
    """Seconds, medians: targets of a batch, made in one thread; a step whose batch lies ready; and
    a step whose batches one data worker makes beside it.
    """

    objects: int
    targets: float
    alone: float
    fed: float


def step_costs(objects: Sequence[int], repeats: int) -> list[StepCost]:
    """Of ``general``'s network on crops with each number of objects."""
    torch.manual_seed(0)
    network = PyramidNetwork().to(memory_format=torch.channels_last)
    return [step_cost(network, number, repeats) for number in objects]


def step_cost(network: InstanceFCN, objects: int, repeats: int) -> StepCost:
    collate = Collate.of(network, Matching(), SAMPLING)
    samples = Discs(objects, (1 + repeats) * BATCH)
    batches = [[samples[n * BATCH + i] for i in range(BATCH)] for n in range(1 + repeats)]
    targets = [timed(partial(collate, batch)) for batch in batches]
    (ready,) = collate([samples[i] for i in range(BATCH)])
    step = TrainingStep(network)
    alone = [timed(partial(forward_and_back, step, ready)) for _ in range(1 + repeats)]
    loader = DataLoader(samples, BATCH, num_workers=1, collate_fn=collate)
    fed = list(step_seconds(step, loader))
    return StepCost(objects, median(targets[1:]), median(alone[1:]), median(fed[1:]))


class Discs(Dataset[Sample]):
    """Crops of noise with discs of many sizes. What it costs to make them is none of the step's, so
    that they are made once.
    """

    def __init__(self, objects: int, number: int) -> None:
        rng = np.random.default_rng(objects)
        self.samples = [disc_sample(objects, rng, seed) for seed in range(min(number, BATCH))]

    def __len__(self) -> int:
        return 1 << 20

    def __getitem__(self, index: int) -> Sample:
        sample = self.samples[index % len(self.samples)]
        fields = {name: getattr(sample, name) for name in sample.__dataclass_fields__}
        return Sample(**fields)  # a new one, whose boxes nobody has computed yet


def disc_sample(objects: int, rng: np.random.Generator, seed: int) -> Sample:
    y, x = np.mgrid[:SIDE, :SIDE]
    centres, radii = rng.uniform(0, SIDE, (objects, 2)), rng.uniform(6, 90, objects)
    radii = np.minimum(radii, SIDE / np.sqrt(objects))
    masks = np.stack(
        [(x - cx) ** 2 + (y - cy) ** 2 < r * r for (cx, cy), r in zip(centres, radii, strict=True)]
    )
    return Sample(
        image=torch.from_numpy(rng.integers(0, 256, (3, SIDE, SIDE), np.uint8)),
        masks=torch.from_numpy(masks),
        crowds=torch.zeros(objects, dtype=torch.bool),
        categories=torch.ones(objects, dtype=torch.int64),
        void=torch.zeros(SIDE, SIDE, dtype=torch.bool),
        seed=seed,
    )


def forward_and_back(step: TrainingStep, batch: Batch[Targets]) -> None:
    step.zero_grad()
    with torch.autocast("cpu", torch.bfloat16):
        terms = step(batch.images, lambda: batch.targets)
    terms.sum().backward()


def step_seconds(step: TrainingStep, loader: Iterable[list[Batch[Targets]]]) -> Iterator[float]:
    """From one batch to the next, waiting included, for as many steps as ``alone`` had."""
    begun = perf_counter()
    for (batch,) in islice(loader, STEPS):
        forward_and_back(step, batch)
        now = perf_counter()
        yield now - begun
        begun = now


def timed(call: Callable[[], object]) -> float:
    begun = perf_counter()
    call()
    return perf_counter() - begun


def described(costs: Sequence[StepCost]) -> str:
    header = ("objects an image", "targets, in a worker", "step, batch ready", "step, fed", "ratio")
    rows = [
        (
            f"{cost.objects:,}",
            *(f"{1000 * seconds:,.0f}" for seconds in (cost.targets, cost.alone, cost.fed)),
            f"{cost.fed / cost.alone:.2f}",
        )
        for cost in costs
    ]
    return f"""
A training step of {BATCH} crops of {SIDE} x {SIDE} pixels, milliseconds, medians; discs of many
sizes on noise. *Batch ready*: the network forward and back alone. *Fed*: meanwhile a data worker
makes the targets of the next batch on the same cores (aim: at 30 objects no longer than with the
batch ready).

{markdown_table(header, rows)}
""".strip()
