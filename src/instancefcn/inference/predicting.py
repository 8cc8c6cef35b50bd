"""Images in, predictions out, in order, where one image that fails takes only itself along."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from functools import partial
from itertools import islice
from pathlib import Path
from typing import NoReturn

from instancefcn.core.proposals import Proposals
from instancefcn.data.images import read_image
from instancefcn.formats.prediction import Prediction, Source
from instancefcn.inference.predictor import Pixels, Predictor

Predicted = Callable[[], Prediction]
"""Returns an image's prediction, or raises what the work on it has raised."""


def predictions_of(
    predictor: Predictor,
    sources: Sequence[Source],
    identify: Callable[[Source, int, int], object],
) -> Generator[tuple[Source, Predicted], None, None]:
    """The prediction of each image, in order. ``identify`` may refuse one by its size.

    While a batch is computed the next one is read.
    """
    with ThreadPoolExecutor(1) as pool:
        images = read_ahead(pool, [source.path for source in sources], predictor.batch)
        read = zip(sources, images, strict=True)
        while batch := list(islice(read, predictor.batch)):
            outcomes: dict[Source, Pixels | Exception] = {}
            for source, image in batch:
                try:
                    outcomes[source] = image.result()
                    identify(source, *image.result().shape[:2])
                except Exception as error:
                    outcomes[source] = error
            whole = [pixels for pixels in outcomes.values() if not isinstance(pixels, Exception)]
            found = iter(proposals_of(predictor, whole))
            for source, pixels in outcomes.items():
                if isinstance(pixels, Exception):
                    yield source, partial(_fail, pixels)
                    continue
                outcome = next(found)
                if isinstance(outcome, Exception):
                    yield source, partial(_fail, outcome)
                else:
                    yield source, partial(Prediction.of, source, pixels, outcome)


def read_ahead(pool: Executor, images: Sequence[Path], ahead: int) -> Iterator[Future[Pixels]]:
    """Each image's pixels, or the error that reading it raised.

    While one is worked on the pool reads the next, never more than ``ahead``: a large one is
    hundreds of MB.
    """
    futures: deque[Future[Pixels]] = deque()
    for image in images:
        futures.append(pool.submit(read_image, image))
        if len(futures) > ahead:
            yield futures.popleft()
    while futures:
        yield futures.popleft()


def proposals_of(predictor: Predictor, images: Sequence[Pixels]) -> Sequence[Proposals | Exception]:
    """Of a batch of images; if it fails, of each of them alone."""
    try:
        return predictor.propose(images) if images else []
    except Exception as error:
        if len(images) == 1:
            return [error]
        return [outcome for image in images for outcome in proposals_of(predictor, [image])]


def _fail(error: Exception) -> NoReturn:
    raise error
