"""Image files in, predictions out, in order, where one image that fails takes only itself along."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from functools import partial
from typing import NoReturn

from instancefcn.data.images import read_image
from instancefcn.formats.prediction import Prediction, Source
from instancefcn.inference.predictor import Predictor
from instancefcn.inference.sampling import Pixels
from instancefcn.inference.streaming import outcomes

Predicted = Callable[[], Prediction]
"""Returns an image's prediction, or raises what the work on it has raised."""


def predictions_of(
    predictor: Predictor,
    sources: Sequence[Source],
    identify: Callable[[Source, int, int], object],
) -> Generator[tuple[Source, Predicted], None, None]:
    """The prediction of each image, in order. ``identify`` may refuse one by its height and width,
    before any work on it.
    """

    def read(source: Source) -> Pixels:
        pixels = read_image(source.path)
        identify(source, *pixels.shape[:2])
        return pixels

    for source, outcome in outcomes(sources, read, predictor.propose, predictor.batch):
        if isinstance(outcome, Exception):
            yield source, partial(_fail, outcome)
        else:
            yield source, partial(Prediction.of, source, *outcome)


def _fail(error: Exception) -> NoReturn:
    raise error
