"""Samples -> batches with their targets; made in data workers, so that no step waits for them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Generic, Protocol, TypeVar

import torch
import torch.nn.functional as F
from torch import Tensor

from instancefcn.core.grid import Layout
from instancefcn.core.sample import Sample
from instancefcn.core.types import GREY
from instancefcn.network.fcn import InstanceFCN
from instancefcn.network.head import MakeTargets, Targets
from instancefcn.training.rois import Objects, objects_of
from instancefcn.training.targets import Matching, WindowSampling, make_targets


class Target(Protocol):
    """What is to be learnt, of a level or of an image."""

    def to(self, device: torch.device) -> Any: ...


T = TypeVar("T", bound=Target)


@dataclass(frozen=True)
class Batch(Generic[T]):
    """Images of one size, (B, 3, H, W) uint8 RGB, and what is to be learnt of them: the targets of
    each level, or the objects of each image.
    """

    images: Tensor
    targets: tuple[T, ...]

    def __len__(self) -> int:
        return len(self.images)

    def to(self, device: torch.device) -> Batch[T]:
        targets = tuple(each.to(device) for each in self.targets)
        return Batch(self.images.to(device, non_blocking=True), targets)

    def pin_memory(self) -> Batch[T]:
        """The same in memory that a GPU reads from directly; a ``DataLoader`` asks for it."""
        return replace(self, images=self.images.pin_memory())


@dataclass(frozen=True)
class Collate:
    """The batches of a step's samples, one for each size of image.

    Samples of one size go through the network together, each size by itself, as the paper held one
    image a GPU (section 3.3): a sample's gradient does not depend on the sizes of the others.
    Holds numbers and functions only, so that a data worker needs no network.
    """

    layouts: tuple[Layout, ...]
    makers: tuple[tuple[MakeTargets, ...], ...]
    multiple: int
    matching: Matching
    sampling: WindowSampling

    @classmethod
    def of(cls, network: InstanceFCN, matching: Matching, sampling: WindowSampling) -> Collate:
        makers = tuple(tuple(makers) for makers in network.target_makers())
        multiple = network.backbone.multiple
        return cls(tuple(network.layouts()), makers, multiple, matching, sampling)

    def __call__(self, samples: Sequence[Sample]) -> list[Batch[Targets]]:
        sized = [padded(sample, self.multiple) for sample in samples]
        return [self._batch(group) for group in by_size(sized)]

    def _batch(self, samples: Sequence[Sample]) -> Batch[Targets]:
        height, width = samples[0].void.shape
        grids = [layout.over(height, width) for layout in self.layouts]
        targets = make_targets(grids, samples, self.makers, self.matching, self.sampling)
        return Batch(torch.stack([sample.image for sample in samples]), tuple(targets))


@dataclass(frozen=True)
class CollateObjects:
    """The same for a network with a labeller: the objects of each image are its targets.

    places: the label of each category, see ``rois.Objects``.
    """

    multiple: int
    places: Mapping[int, int]

    def __call__(self, samples: Sequence[Sample]) -> list[Batch[Objects]]:
        sized = [padded(sample, self.multiple) for sample in samples]
        return [
            Batch(
                torch.stack([sample.image for sample in group]),
                tuple(objects_of(sample, self.places) for sample in group),
            )
            for group in by_size(sized)
        ]


@dataclass(frozen=True)
class CollateJoint:
    """Both: the targets of each level, then the objects of each image."""

    levels: Collate
    objects: CollateObjects

    def __call__(self, samples: Sequence[Sample]) -> list[Batch[Targets | Objects]]:
        return [
            Batch(one.images, (*one.targets, *other.targets))
            for one, other in zip(self.levels(samples), self.objects(samples), strict=True)
        ]


def padded(sample: Sample, multiple: int) -> Sample:
    """A sample whose sides are made up to a multiple at the right and the bottom.

    What is added is grey, as in inference, and void: nothing is learnt beyond the image.
    """
    height, width = sample.void.shape
    margin = (0, -width % multiple, 0, -height % multiple)
    if not any(margin):
        return sample
    return replace(
        sample,
        image=F.pad(sample.image, margin, value=GREY),
        masks=F.pad(sample.masks, margin),
        void=F.pad(sample.void, margin, value=True),
    )


def by_size(samples: Sequence[Sample]) -> list[list[Sample]]:
    """The samples of each size, sizes in the order in which they first come."""
    groups: dict[torch.Size, list[Sample]] = {}
    for sample in samples:
        groups.setdefault(sample.image.shape, []).append(sample)
    return list(groups.values())
