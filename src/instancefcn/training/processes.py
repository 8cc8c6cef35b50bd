"""Work that the processes of a run share, each its part, so that none waits for another long."""

from __future__ import annotations

from typing import TypeVar

import torch

from instancefcn.core.extras import extra

with extra("train"):
    from lightning_fabric import Fabric

T = TypeVar("T")


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
