"""An image of any kind -> proposals; many images -> proposals in order; a click -> one mask."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from copy import copy
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any, TypeAlias

from numpy.typing import NDArray
from PIL import Image, ImageOps

from instancefcn.core.candidates import Candidates, merge
from instancefcn.core.errors import UserError
from instancefcn.core.proposals import CLASS_AGNOSTIC, Proposals
from instancefcn.core.types import Rle
from instancefcn.data.image_files import AnyFile, is_file
from instancefcn.data.images import read_image, to_rgb
from instancefcn.inference.engine import Engine
from instancefcn.inference.engines import open_engine
from instancefcn.inference.ranking import Selection, ranked
from instancefcn.inference.sampling import Pixels, Sampling, sample
from instancefcn.inference.settings import Inference
from instancefcn.inference.streaming import outcomes
from instancefcn.labelling.labels import labelled

AnyImage: TypeAlias = AnyFile | Image.Image | NDArray[Any]
"""An image file (its path, its bytes, or opened to read bytes), a PIL image or an array."""


class Predictor:
    """An engine, and how it is used.

    settings: the sizes at which it sees an image, and what is kept. batch: how many inputs of one
    size go through the engine together. labels: whether a model that has a labeller labels.
    card: what the model's file says of where it comes from, such as the images trained on.
    """

    def __init__(
        self,
        engine: Engine,
        settings: Inference,
        batch: int = 1,
        *,
        labels: bool = True,
        card: Mapping[str, Any] | None = None,
    ) -> None:
        self.engine = engine
        self.settings = settings
        self.batch = batch
        self.labels = labels and bool(engine.categories)
        self.card = card or {}
        self._clicked: tuple[bytes, Proposals] | None = None

    @classmethod
    def from_pretrained(
        cls,
        name: str | Path,
        sides: Sequence[int] | None = None,
        selection: Selection | None = None,
        *,
        device: str | None = None,
        batch: int = 1,
        trust: Collection[str] = (),
        labels: bool = True,
    ) -> Predictor:
        """The predictor of a model file, of an exported graph ("general.onnx"), or of a model that
        ships ("general").

        ``sides`` and ``selection`` take the place of the file's own settings. device: as torch
        names it, "cpu", "cuda", "cuda:1" or "mps". ``trust`` names the packages whose classes the
        file may name: see ``network.models.load_model``.
        """
        opened = open_engine(name, device, trust)
        settings = opened.settings
        if sides:
            settings = replace(settings, sides=tuple(sides))
        if selection:
            settings = replace(settings, selection=selection)
        return cls(opened.engine, settings, batch, labels=labels, card=opened.card)

    def __call__(self, image: AnyImage) -> Proposals:
        """Ranked proposals of a file (see ``data.images.read_image``), a PIL image or an array (see
        ``data.images.to_rgb``).
        """
        return self.propose([to_pixels(image)])[0]

    def stream(self, images: Iterable[AnyImage]) -> Iterator[Proposals]:
        """The proposals of each image, in order.

        While ``batch`` images are computed the next ones are decoded. Those of like sizes go
        through the engine together. An image that cannot be read raises its error at its turn,
        and ends the stream; ``streaming.outcomes`` goes on.
        """
        for _, outcome in outcomes(images, to_pixels, self.propose, self.batch):
            if isinstance(outcome, Exception):
                raise outcome
            yield outcome[1]

    def masks(self, images: Iterable[AnyImage]) -> Iterator[tuple[Rle, ...]]:
        """The masks of each image, best first, in order: see ``stream``."""
        return (proposals.masks() for proposals in self.stream(images))

    def samplings(self, pixels: Pixels) -> list[Sampling]:
        """How the engine sees an image (H, W, 3) uint8 RGB: all of it at each of the sides."""
        longest = self.settings.longest
        return [sample(pixels, side, round(side * longest)) for side in self.settings.sides]

    def with_selection(self, **changes: Any) -> Predictor:
        """The same predictor, some values of its ``Selection`` changed."""
        selection = replace(self.settings.selection, **changes)
        return self._with(replace(self.settings, selection=selection))

    def with_labelling(self, **changes: Any) -> Predictor:
        """The same predictor, some values of its ``Labelling`` changed."""
        labelling = replace(self.settings.labelling, **changes)
        return self._with(replace(self.settings, labelling=labelling))

    def _with(self, settings: Inference) -> Predictor:
        other = copy(self)
        other.settings, other._clicked = settings, None
        return other

    @property
    def categories(self) -> Mapping[int, str]:
        """The names, by id, of what its proposals are labelled with."""
        return self.engine.categories if self.labels else CLASS_AGNOSTIC

    def at(self, image: AnyImage, x: float, y: float) -> Proposals:
        """The best mask under a click: see ``Proposals.at``.

        A second click on the same image costs no pass: the proposals of the last one are kept.
        """
        pixels = to_pixels(image)
        digest = hashlib.sha256(repr(pixels.shape).encode() + pixels.tobytes()).digest()
        if self._clicked is None or self._clicked[0] != digest:
            self._clicked = digest, self(pixels)
        return self._clicked[1].at(x, y)

    def propose(self, images: Sequence[Pixels]) -> list[Proposals]:
        """The proposals of a few images (H, W, 3) uint8 RGB. Each has any number of samplings;
        those of one size go through the engine together.
        """
        sampled = [self.samplings(pixels) for pixels in images]
        found = iter(self._candidates([each for samplings in sampled for each in samplings]))
        merged = [merge(list(islice(found, len(samplings)))) for samplings in sampled]
        return [
            self._ranked(candidates, *pixels.shape[:2])
            for candidates, pixels in zip(merged, images, strict=True)
        ]

    def _ranked(self, candidates: Candidates, height: int, width: int) -> Proposals:
        proposals = ranked(candidates, height, width, self.settings.selection)
        if not self.labels:
            return proposals
        labelling = self.settings.labelling
        best = proposals[: labelling.proposals]
        logits = self.engine.label(best, candidates.looks)
        return labelled(best, logits, self.engine.categories, labelling)

    def _candidates(self, samplings: Sequence[Sampling]) -> list[Candidates]:
        """Of each sampling, in order, in pixels of its whole image."""
        found: dict[int, Candidates] = {}
        for group in _of_one_size(samplings, self.engine.multiple, self.batch):
            together = [samplings[i] for i in group]
            shown = self.engine.candidates(together, self.settings.selection)
            for index, candidates in zip(group, shown, strict=True):
                found[index] = candidates.moved(*samplings[index].origin)
        return [found[index] for index in range(len(samplings))]


def _of_one_size(
    samplings: Sequence[Sampling], multiple: int, most: int
) -> Iterator[Sequence[int]]:
    """The indices of samplings, at most so many together whose inputs have one size."""
    groups: dict[tuple[int, int], list[int]] = {}
    for index, sampling in enumerate(samplings):
        groups.setdefault(sampling.input_size(multiple), []).append(index)
    for group in groups.values():
        yield from (group[i : i + most] for i in range(0, len(group), most))


def to_pixels(image: AnyImage) -> Pixels:
    """An image file, turned upright by its EXIF orientation, a PIL image (likewise) or an array
    as (H, W, 3) uint8 RGB.
    """
    if is_file(image):
        return read_image(image)
    upright: Any = image  # or what is no image, which to_rgb refuses
    if isinstance(image, Image.Image):
        try:
            upright = ImageOps.exif_transpose(image)
        except OSError as error:
            raise UserError(
                f"a PIL image whose file is broken ({error}); open a whole one"
            ) from error
    return to_rgb(upright)
