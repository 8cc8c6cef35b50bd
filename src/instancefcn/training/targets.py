"""Which windows are positive, and what each head should say of them.

The paper says that windows are sampled 1:1 (section 3.3) and takes over DeepMask's definition of
a positive one (Pinheiro et al., NIPS 2015, section 3.2): the object is centred in the window and
as large as a window of this size is meant for. All of this is made of grids and samples, in data
workers, which know nothing of the network's weights.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from instancefcn.core.errors import UserError
from instancefcn.core.grid import Grid
from instancefcn.core.sample import Sample
from instancefcn.network.head import IGNORED, NEGATIVE, MakeTargets, Targets


@dataclass(frozen=True)
class Matching:
    """When a window is positive. All are fractions of the window's side.

    An object fits a window if its longer side lies within ``sides``; it is centred in it if it
    is off by at most ``centre``, the larger of x and y. A window whose object nearly fits (sides
    widened by the factor ``margin``) or is nearly centred (off by at most ``centre * margin``)
    is neither positive nor negative.
    """

    sides: tuple[float, float] = (0.4, 0.9)
    centre: float = 0.08
    margin: float = 1.5

    def __post_init__(self) -> None:
        if not (0 <= self.sides[0] <= self.sides[1] and self.centre >= 0 and self.margin >= 1):
            raise UserError(
                f"matching: sides {list(self.sides)}, centre {self.centre}, margin {self.margin}; "
                "give fractions of 0 or more, the smaller side first, and a factor of 1 or more"
            )


@dataclass(frozen=True)
class WindowSampling:
    """How many windows an image takes part in a step; None takes all of them.

    The default is the paper's (section 3.3): 256 windows, as many negative as positive; as in
    Faster R-CNN, negatives fill up what positives are lacking.
    """

    positives_per_image: int | None = 128
    windows_per_image: int | None = 256


def make_targets(
    grids: Sequence[Grid],
    samples: Sequence[Sample],
    makers: Sequence[Sequence[MakeTargets]],
    matching: Matching,
    sampling: WindowSampling,
) -> list[Targets]:
    """The targets of each grid for a batch; ``makers`` are those of the heads on each grid.

    What is drawn depends on each sample's seed alone.
    """
    labels = [
        subsample(
            [label_windows(grid, sample, matching) for grid in grids],
            sampling,
            torch.Generator().manual_seed(sample.seed),
        )
        for sample in samples
    ]
    return [
        _grid_targets(grid, samples, torch.stack(of_grid), made)
        for grid, of_grid, made in zip(grids, zip(*labels, strict=True), makers, strict=True)
    ]


def label_windows(grid: Grid, sample: Sample, matching: Matching) -> Tensor:
    """Labels (rows, columns) of a grid's windows on one image: object, NEGATIVE or IGNORED.

    Of several objects that a window is positive for, it takes the one nearest to its centre. An
    object that fits is positive at the nearest window, however coarse the grid. A window centred
    on a crowd or on void is ignored.
    """
    y, x = grid.centres()
    labels = torch.full((grid.rows, grid.columns), NEGATIVE)
    unjudged = sample.unjudged
    rows = y.long().clamp(max=unjudged.shape[0] - 1)
    columns = x.long().clamp(max=unjudged.shape[1] - 1)
    labels[unjudged[rows[:, None], columns]] = IGNORED

    objects = (~sample.crowds).nonzero()[:, 0]
    boxes = sample.boxes[objects]
    window = torch.tensor(grid.side)
    sides = ((boxes[:, 2:] - boxes[:, :2]) / window).amax(1)
    low, high = matching.sides
    near = (sides >= low / matching.margin) & (sides <= high * matching.margin)
    middle = (boxes[near, :2] + boxes[near, 2:]) / 2
    off_x = (x - middle[:, 0, None]).abs() / window[0]
    off_y = (y - middle[:, 1, None]).abs() / window[1]
    reach = matching.centre * matching.margin
    # A window is near an object where its row and its column are: a sum over objects of products.
    close = (off_y <= reach).float().T @ (off_x <= reach).float()
    labels[close > 0] = IGNORED

    fits = (sides[near] >= low) & (sides[near] <= high)
    _label_positives(labels, objects[near][fits], off_y[fits], off_x[fits], matching.centre)
    return labels


def _label_positives(
    labels: Tensor, objects: Tensor, off_y: Tensor, off_x: Tensor, centre: float
) -> None:
    """Write each object's index where it is nearest and centred, or nearest of all windows.

    off_y (n, rows), off_x (n, columns): how far objects are off, as fractions of the window. An
    object looks at its own few windows alone, so that hundreds of objects cost little.
    """
    distance = torch.full(labels.shape, torch.inf)
    for index, down, across in zip(objects.tolist(), off_y, off_x, strict=True):
        least_y, least_x = down.min(), across.min()
        # Off by the larger of x and y: the nearest windows are off by the larger of the least.
        reach = max(centre, float(least_y), float(least_x))
        y, x = (down <= reach).nonzero()[:, 0], (across <= reach).nonzero()[:, 0]
        block = (slice(int(y[0]), int(y[-1]) + 1), slice(int(x[0]), int(x[-1]) + 1))
        off = torch.maximum(down[block[0], None], across[block[1]])
        nearer = off < distance[block]
        distance[block] = torch.where(nearer, off, distance[block])
        labels[block] = torch.where(nearer, index, labels[block])


def subsample(
    labels: Sequence[Tensor], sampling: WindowSampling, generator: torch.Generator
) -> list[Tensor]:
    """Draw the windows of one image that take part, over all its grids; ignore the others."""
    flat = torch.cat([label.flatten() for label in labels])
    positive = _draw(flat >= 0, sampling.positives_per_image, generator)
    most = sampling.windows_per_image
    rest = None if most is None else most - int(positive.sum())
    negative = _draw(flat == NEGATIVE, rest, generator)
    flat = flat.masked_fill(~(positive | negative), IGNORED)
    parts = torch.split(flat, [label.numel() for label in labels])
    return [part.view_as(label) for part, label in zip(parts, labels, strict=True)]


def _draw(among: Tensor, number: int | None, generator: torch.Generator) -> Tensor:
    """At most ``number`` of the True elements of a mask (n,), drawn without replacement."""
    index = among.nonzero()[:, 0]
    if number is None or len(index) <= number:
        return among
    chosen = index[torch.randperm(len(index), generator=generator)[:number]]
    return torch.zeros_like(among).index_fill_(0, chosen, True)


def _grid_targets(
    grid: Grid, samples: Sequence[Sample], labels: Tensor, makers: Sequence[MakeTargets]
) -> Targets:
    image, y, x = (labels >= 0).nonzero(as_tuple=True)
    windows = grid.windows(image, y, x)
    objects = labels[labels >= 0]
    values: list[Mapping[str, Tensor]] = []
    for index, sample in enumerate(samples):
        mine = (image == index).nonzero()[:, 0]
        made = [make(grid, sample, windows[mine], objects[mine]) for make in makers]
        values.append({name: value for part in made for name, value in part.items()})
    together = {name: torch.cat([part[name] for part in values]) for name in values[0]}
    return Targets(labels, windows, together)
