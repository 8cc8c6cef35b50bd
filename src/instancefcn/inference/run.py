"""A run over many image files: what is found is written and noted, an image after another.

What was done before is kept, and an image that fails takes only itself along.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Generator, Sequence
from contextlib import AbstractContextManager, closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from instancefcn.core.errors import UserError
from instancefcn.core.files import whole_file
from instancefcn.core.proposals import Proposals
from instancefcn.data.images import read_image
from instancefcn.formats.format import Joined
from instancefcn.formats.ledger import Done, Ledger
from instancefcn.formats.plan import Plan
from instancefcn.formats.prediction import ImageMasks, Prediction, Source
from instancefcn.inference.sampling import Pixels
from instancefcn.inference.streaming import outcomes

Caught = Callable[[Path], AbstractContextManager[None]]
"""Holds what the work on an image raises, so that the run goes on; reports it as it likes."""


class Proposer(Protocol):
    """What finds proposals: a ``Predictor``, or what stands for some of them, such as a pool of
    processes that share the images out, or an actor on another machine.
    """

    @property
    def batch(self) -> int:
        """How many images it takes together."""

    def propose(self, images: Sequence[Pixels], /) -> Sequence[Proposals]:
        """The proposals of each image (H, W, 3) uint8 RGB, in order."""


@dataclass
class Run:
    """What is to be written, the notes of a run that has begun, and what is done so far.

    done: by the numbers of the images. lost: what formats could not hold, in words, and how often.
    """

    plan: Plan
    ledger: Ledger
    caught: Caught
    done: dict[int, tuple[Source, Done]] = field(default_factory=dict)
    lost: Counter[str] = field(default_factory=Counter)

    @property
    def masks(self) -> int:
        """How many masks the images have that are done."""
        return sum(done.number for _, done in self.done.values())

    def take_up(self, sources: Sequence[Source]) -> list[Source]:
        """Takes up the images that are done; returns the others."""
        todo = []
        for source in sources:
            done = self.ledger.done(source)
            if done is None or self.ledger.missing(source, self.plan.names(source)):
                todo.append(source)
                continue
            with self.caught(source.path):
                self._take(source, done)
        return todo

    def do(self, todo: Sequence[Source], proposer: Proposer) -> Generator[Source, None, None]:
        """Does the work; yields each image whose turn is over, done or not."""
        with closing(outcomes(todo, self._read, proposer.propose, proposer.batch)) as found:
            for source, outcome in found:
                with self.caught(source.path):
                    if isinstance(outcome, Exception):
                        raise outcome
                    self._keep(Prediction.of(source, *outcome))
                yield source

    def finish(self) -> None:
        """Writes the files of all images. Raises UserError if none was done."""
        if not self.done:
            raise UserError("no image was done, so nothing is written; see the errors above")
        for joined in self.plan.joined:
            self._join(joined)
        self.ledger.end()

    def _read(self, source: Source) -> Pixels:
        """Refuses an image by its size before any work on it."""
        pixels = read_image(source.path)
        self.plan.identify(source, *pixels.shape[:2])
        return pixels

    def _keep(self, prediction: Prediction) -> None:
        writers = self.plan.writers(prediction, self.lost)
        done = self.ledger.add(prediction.source, ImageMasks.of(prediction), writers)
        self._take(prediction.source, done)

    def _take(self, source: Source, done: Done) -> None:
        known = self.plan.identify(source, done.height, done.width)
        self.done[source.image_id] = known, done

    def _join(self, joined: Joined) -> None:
        """Write a file of all images, in their order, from what the ledger keeps."""
        with whole_file(self.plan.folder / joined.name) as file:
            with joined.write(file) as add:
                for _, (source, done) in sorted(self.done.items()):
                    add(source, self.ledger.masks(done))
            file.flush()
            self.ledger.add_file(joined.name, Path(file.name))
