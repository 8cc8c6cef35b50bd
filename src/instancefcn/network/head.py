"""What a head is: one question asked of each window, with all that belongs to the question.

A head owns its forward pass, its targets, its loss and what it adds to candidates. To add one is
to write one class; a ``Branch`` takes it as an argument.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import ClassVar, Literal

import torch
from torch import Tensor, nn

from instancefcn.core.grid import Grid, Windows
from instancefcn.core.level import Level
from instancefcn.core.sample import Sample

NEGATIVE, IGNORED = -1, -2
"""Labels of windows without an object; a label from 0 on is the index of the window's object."""


@dataclass(frozen=True)
class Targets:
    """What one level should have said of a batch.

    labels (B, rows, columns) int64: an object's index, NEGATIVE or IGNORED, of each window.
    windows: the n positive ones. values: what heads made for these windows, by name, (n, ...).
    """

    labels: Tensor
    windows: Windows
    values: Mapping[str, Tensor]

    def to(self, device: torch.device) -> Targets:
        return replace(
            self,
            labels=self.labels.to(device),
            windows=self.windows.to(device),
            values={name: value.to(device) for name, value in self.values.items()},
        )


@dataclass(frozen=True)
class Term:
    """A loss of a level: summed over each image, and how many windows each sum is of; both (B,).

    A step's term is the mean over images of the mean over windows, of all levels together: the
    gradients of a batch are the mean of its images', however they are spread over processes.
    """

    total: Tensor
    count: Tensor

    def __add__(self, other: Term) -> Term:
        return Term(self.total + other.total, self.count + other.count)

    def mean(self) -> Tensor:
        """The scalar to minimise. An image of which nothing is asked counts as 0."""
        return (self.total / self.count.clamp(min=1)).mean()


MakeTargets = Callable[[Grid, Sample, Windows, Tensor], Mapping[str, Tensor]]
"""(grid, sample, its n positive windows, the object of each (n,)) -> values by name, (n, ...)."""


def no_targets(
    grid: Grid, sample: Sample, windows: Windows, objects: Tensor
) -> Mapping[str, Tensor]:
    """Of a head that learns from the labels of windows alone."""
    return {}


class Head(nn.Module):
    """The interface.

    name: of its loss term, and of what it says in ``answers`` of levels, candidates and proposals.
    Candidates take along what heads say that all branches have. reads: the features at the
    cells of masks, or those at the centres of windows, which may be coarser. make_targets: what it
    learns from; a plain function of numbers, since it runs in data workers without the network.
    """

    name: ClassVar[str]
    reads: ClassVar[Literal["cells", "centres"]]
    make_targets: MakeTargets = staticmethod(no_targets)

    @abstractmethod
    def forward(self, features: Tensor) -> Tensor:
        """Features (B, C, H, W) -> the head's answer, for all windows at once."""

    @abstractmethod
    def loss(self, level: Level, targets: Targets, drawn: Tensor) -> Term:
        """Its loss. ``drawn`` (n, m, m): mask logits of the positive windows, drawn once for all
        heads.
        """

    def decode(self, answer: Tensor, windows: Windows, grid: Grid) -> Tensor:
        """What it says of n windows: answer -> (n, ...). Here: the answer is one a window,
        (B, rows, columns, ...), and read at their places.
        """
        y, x = grid.places(windows)
        return answer[windows.image, y, x]


def per_image(values: Tensor, windows: Windows, batch: int) -> Term:
    """A term of losses (n,), one a positive window."""
    zeros = values.new_zeros(batch)
    return Term(
        zeros.index_add(0, windows.image, values),
        windows.image.bincount(minlength=batch).to(values.dtype),
    )
