"""Work that the processes of a run share, each its part, so that none waits for another long."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

import torch

from instancefcn.core.errors import UserError
from instancefcn.core.extras import extra

with extra("train"):
    from lightning_fabric import Fabric

T = TypeVar("T")


LOST = ("closed by peer", "reset by peer", "Broken pipe", "Gloo connectFullMesh failed")
"""What torch says of another process that has ended."""


def first_alone(work: Callable[[], object], fabric: Fabric) -> None:
    """The first process does it while the others wait. Its UserError is raised in all of them."""
    error = None
    if fabric.is_global_zero:
        try:
            work()
        except UserError as raised:
            error = str(raised)
    error = fabric.broadcast(error)
    if error is not None:
        raise UserError(error)


@contextmanager
def ends_of_others_told() -> Iterator[None]:
    """A process that waits for one which has ended raises a UserError: the other says why."""
    try:
        yield
    except RuntimeError as error:
        if not any(words in str(error) for words in LOST):
            raise
        raise UserError("another process of this run has ended; see its error") from error


def share(number: int, fabric: Fabric) -> range:
    """The places, of 0 .. number - 1, that are this process's part."""
    return range(fabric.global_rank, number, fabric.world_size)


def gathered(mine: list[T], fabric: Fabric) -> list[T]:
    """Those of all processes, in the order of their ranks. All processes call it."""
    if fabric.world_size == 1:
        return mine
    parts: list[list[T]] = [[] for _ in range(fabric.world_size)]
    torch.distributed.all_gather_object(parts, mine)
    return [each for part in parts for each in part]
