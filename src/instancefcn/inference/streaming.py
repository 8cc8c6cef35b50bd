"""Many images in, what came of each out, in order: one that fails takes only itself along."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from itertools import islice
from typing import TypeVar

from instancefcn.core.proposals import Proposals
from instancefcn.inference.sampling import Pixels

Image = TypeVar("Image")

Read = Callable[[Image], Pixels]
"""Reads an image, of whatever kind, or raises why it cannot."""

Propose = Callable[[Sequence[Pixels]], Sequence[Proposals]]
"""Finds the proposals of a few images together: ``Predictor.propose``."""

Outcome = tuple[Pixels, Proposals] | Exception
"""What came of an image: its pixels and its proposals, or the error that it met."""


def outcomes(
    images: Iterable[Image], read: Read[Image], propose: Propose, batch: int
) -> Generator[tuple[Image, Outcome], None, None]:
    """Each image with what came of it, in order.

    ``batch`` images are proposed together; while they are the next ones are read, in one thread.
    """
    with ThreadPoolExecutor(1) as pool:
        ahead = read_ahead(pool, images, read, batch)
        while taken := [(image, _result(pixels)) for image, pixels in islice(ahead, batch)]:
            whole = [pixels for _, pixels in taken if not isinstance(pixels, Exception)]
            found = iter(together(propose, whole))
            for image, pixels in taken:
                yield image, pixels if isinstance(pixels, Exception) else next(found)
            del taken, whole, found  # a batch of large photos, while the next one is awaited


def read_ahead(
    pool: Executor, images: Iterable[Image], read: Read[Image], ahead: int
) -> Iterator[tuple[Image, Future[Pixels]]]:
    """Each image with its pixels, or the error that reading it raised.

    While one is worked on the pool reads the next, never more than ``ahead``: a large one is
    hundreds of MB.
    """
    waiting: deque[tuple[Image, Future[Pixels]]] = deque()
    for image in images:
        waiting.append((image, pool.submit(read, image)))
        if len(waiting) > ahead:
            yield waiting.popleft()
    while waiting:
        yield waiting.popleft()


def together(propose: Propose, images: Sequence[Pixels]) -> list[Outcome]:
    """What comes of a batch of images; if it fails, of each of them alone."""
    try:
        return list(zip(images, propose(images), strict=True))
    except Exception as error:
        if len(images) == 1:
            return [error]
        return [outcome for image in images for outcome in together(propose, [image])]


def _result(pixels: Future[Pixels]) -> Pixels | Exception:
    try:
        return pixels.result()
    except Exception as error:
        return error
