"""Proposals: the ranked instance masks of one image, and full-size masks of them on demand."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from importlib import import_module
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from instancefcn.core.candidates import Answers, Index
from instancefcn.core.drawing import draw
from instancefcn.core.errors import UserError
from instancefcn.core.rle import decode, holds, mask_box
from instancefcn.core.types import Floats, Integers, Rle
from instancefcn.core.words import counted

CLASS_AGNOSTIC: Mapping[int, str] = {1: "object"}
"""The categories of masks that nobody has labelled."""

UNLABELLED: Integers = np.zeros(0, np.int64)
"""Stands for labels that are all the one category."""


@dataclass(frozen=True, repr=False)
class Proposals:
    """Ranked instance masks of one image, kept compact: 1,000 of them weigh a few megabytes
    however large the image is.

    scores (n,) float32, descending. windows (n, 4) float32, in pixels: what the m x m cells span;
    may leave the image. logits (n, m, m) float32, above 0 inside an object. level (n,) int64: the
    index of the level, of all sizes that the network saw, that each mask came from. height, width:
    of the image. answers: what further heads say of each, by the heads' names, (n, ...).
    categories: names by category; labels (n,) int64: the category of each, one of ``categories``.
    Without a labeller all are of the one category of ``CLASS_AGNOSTIC``. All are numpy arrays; a
    network of torch takes them without a copy by ``torch.from_numpy``.
    """

    scores: Floats
    windows: Floats
    logits: Floats
    level: Integers
    height: int
    width: int
    answers: Answers = field(default_factory=dict)
    categories: Mapping[int, str] = field(default_factory=lambda: CLASS_AGNOSTIC)
    labels: Integers = field(default_factory=lambda: UNLABELLED)

    def __post_init__(self) -> None:
        n, m = len(self.scores), self.logits.shape[-1]
        if self.labels is UNLABELLED:
            object.__setattr__(self, "labels", np.full(n, min(self.categories), np.int64))
        assert self.labels.shape == (n,)
        assert self.categories.keys() >= set(self.labels.tolist())
        assert self.scores.shape == self.level.shape == (n,)
        assert self.windows.shape == (n, 4)
        assert self.logits.shape == (n, m, m)
        floats = (self.scores, self.windows, self.logits)
        assert all(array.dtype == np.float32 for array in floats)
        assert self.level.dtype == self.labels.dtype == np.int64

    def __len__(self) -> int:
        return len(self.scores)

    def __repr__(self) -> str:
        masks = f"{counted(len(self), 'mask')} of an image of {self.width} x {self.height} pixels"
        best = f", scores {self.scores[0]:.3f} to {self.scores[-1]:.3f}" if len(self) else ""
        return f"<Proposals: {masks}{best}>"

    def __getitem__(self, index: int | slice | Index) -> Proposals:
        """Some of them, or one; the order of ``index`` must keep the scores descending."""
        if isinstance(index, int):
            index = range(len(self))[index]  # IndexError beyond the last one
            index = slice(index, index + 1)
        return replace(
            self,
            scores=self.scores[index],
            windows=self.windows[index],
            logits=self.logits[index],
            level=self.level[index],
            answers={name: answer[index] for name, answer in self.answers.items()},
            labels=self.labels[index],
        )

    @cached_property
    def names(self) -> list[str]:
        """The name of each one's category."""
        return [self.categories[label] for label in self.labels.tolist()]

    def masks(self) -> tuple[Rle, ...]:
        """The masks of the whole image, run-length encoded, in order; drawn once, then kept."""
        return self._masks

    def mask(self, index: int) -> NDArray[np.bool_]:
        """One mask of the whole image: (H, W) bool."""
        return decode(self._masks[index])

    @cached_property
    def boxes(self) -> Floats:
        """Boxes (n, 4) float32, tight around the masks as drawn: no pixel of a mask lies outside,
        and each side touches one. (0, 0, 0, 0) of a mask that covers no pixel.
        """
        boxes = np.array([mask_box(mask) for mask in self._masks], np.float32).reshape(-1, 4)
        return np.concatenate((boxes[:, :2], boxes[:, :2] + boxes[:, 2:]), 1)

    def at(self, x: float, y: float) -> Proposals:
        """The best mask under a click: one proposal, or none where no mask covers the pixel.

        x, y: image pixels, right and down. No network runs. UserError for a click beside the image.
        """
        if not (0 <= x < self.width and 0 <= y < self.height):
            raise UserError(
                f"a click at ({x}, {y}) on an image of {self.width} x {self.height} pixels; "
                "give x and y inside the image"
            )
        hit = (i for i, mask in enumerate(self._masks) if holds(mask, int(x), int(y)))
        first = next(hit, len(self))
        return self[first : first + 1]

    def save(self, path: Path | str) -> None:
        """Write them as the path's suffix says, see ``formats.saving``."""
        # The one door from the core to the rooms above it, so that a user need not know them.
        import_module("instancefcn.formats.saving").save(self, Path(path))

    @cached_property
    def _masks(self) -> tuple[Rle, ...]:
        return tuple(draw(self.logits, self.windows, self.height, self.width))
