"""The endless stream of training samples, a pure function of a seed and a position.

Nothing of it has a state: to go on with a run is to go on at a position, and it does not matter
which process or worker makes which sample.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Protocol

import numpy as np
import torch
from torch.utils.data import ConcatDataset
from torch.utils.data import Dataset as TorchDataset

from instancefcn.core.sample import Sample
from instancefcn.core.types import AnnotatedImage
from instancefcn.data.augmentation import copy_paste
from instancefcn.data.dataset import Dataset
from instancefcn.data.void import share_out


class Augmentation(Protocol):
    """Makes samples, of one size or of several: those of one size are trained on together."""

    def __call__(self, image: AnnotatedImage, generator: torch.Generator) -> Sample: ...


class SampleStream(TorchDataset[Sample]):
    """Sample number ``position`` of the stream, for any position from 0 on.

    Each epoch goes through all images of all data sets once, in an order of its own.
    ``paste`` is the probability that a sample gets objects of another image of its epoch.
    Narrow void, as along VOC's outlines, is shared out first: see ``void.share_out``.
    """

    def __init__(
        self, datasets: Sequence[Dataset], augmentation: Augmentation, seed: int, paste: float = 0.0
    ) -> None:
        self.images: ConcatDataset[AnnotatedImage] = ConcatDataset(datasets)  # type: ignore[arg-type]
        self.augmentation = augmentation
        self.seed = seed
        self.paste = paste

    def __getitem__(self, position: int) -> Sample:
        generator = self._generator(1, position)
        sample = self.augmentation(share_out(self.images[self._index(position)]), generator)
        if self.paste and float(torch.rand((), generator=generator)) < self.paste:
            other = int(torch.randint(len(self.images), (), generator=generator))
            source = self.augmentation(share_out(self.images[other]), generator)
            sample = copy_paste(sample, source, generator)
        return replace(sample, seed=int(torch.randint(2**31, (), generator=generator)))

    def _index(self, position: int) -> int:
        epoch, index = divmod(position, len(self.images))
        order = torch.randperm(len(self.images), generator=self._generator(0, epoch))
        return int(order[index])

    def _generator(self, *purpose: int) -> torch.Generator:
        """A generator of its own for each purpose. numpy mixes the numbers, since torch's CPU
        generator would keep only the lower 32 bits of a seed that lays them side by side.
        """
        mixed = np.random.SeedSequence((self.seed, *purpose)).generate_state(1)
        return torch.Generator().manual_seed(int(mixed[0]))
