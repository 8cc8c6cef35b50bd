"""Batches made in worker processes, whose faults are told as if they happened here."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from types import FrameType
from typing import TypeVar

import cv2
from torch.utils.data import DataLoader
from torch.utils.data import Dataset as TorchDataset

from instancefcn.core.errors import UserError
from instancefcn.core.sample import Sample

Batch = TypeVar("Batch")


def load(
    stream: TorchDataset[Sample],
    batches: Sequence[Sequence[int]],
    workers: int,
    collate: Callable[[list[Sample]], Batch],
    *,
    pin: bool = False,
) -> Iterator[Batch]:
    """``collate`` of the samples at the positions of each batch, in order.

    ``workers`` processes make them ahead; with 0 this process makes them. ``pin`` puts them into
    memory that a GPU reads from directly. A UserError of a sample
    or of ``collate`` is raised here as it was there. A worker that dies is a UserError. Any other
    exception of a worker keeps its own traceback, in the message that torch makes of it.
    """
    loader = DataLoader(
        _Samples(stream),
        batch_sampler=batches,  # type: ignore[arg-type]  # torch's type forgets sequences
        num_workers=workers,
        collate_fn=_Collate(collate),
        worker_init_fn=_one_thread,
        pin_memory=pin,
    )
    made = iter(loader)
    try:
        with _deaths_told():
            for batch in made:
                if isinstance(batch, UserError):
                    raise batch
                yield batch
    finally:
        # An error holds this frame. Its workers end now, not when Python finds that out.
        del made


class _Samples(TorchDataset["Sample | UserError"]):
    """A stream whose UserErrors are values: torch would wrap a worker's exception in its own."""

    def __init__(self, stream: TorchDataset[Sample]) -> None:
        self.stream = stream

    def __getitem__(self, position: int) -> Sample | UserError:
        try:
            return self.stream[position]
        except UserError as error:
            return error


class _Collate:
    """Samples -> what ``collate`` makes of them, or the first UserError."""

    def __init__(self, collate: Callable[[list[Sample]], object]) -> None:
        self.collate = collate

    def __call__(self, samples: list[Sample | UserError]) -> object:
        errors = [sample for sample in samples if isinstance(sample, UserError)]
        if errors:
            return errors[0]
        try:
            return self.collate([sample for sample in samples if isinstance(sample, Sample)])
        except UserError as error:
            return error


@contextmanager
def _deaths_told() -> Iterator[None]:
    """A dead worker is a UserError, whether torch finds it out while it waits for a batch or by
    a signal, which comes at any place of the main thread.
    """
    before = signal.getsignal(signal.SIGCHLD)

    def handler(number: int, frame: FrameType | None) -> None:
        with _told():
            if callable(before):
                before(number, frame)

    in_main_thread = threading.current_thread() is threading.main_thread()
    if in_main_thread:
        signal.signal(signal.SIGCHLD, handler)
    try:
        with _told():
            yield
    finally:
        if in_main_thread:
            signal.signal(signal.SIGCHLD, before)


@contextmanager
def _told() -> Iterator[None]:
    try:
        yield
    except RuntimeError as error:
        if not str(error).startswith("DataLoader worker (pid"):
            raise
        reason = " ".join(str(error).split())
        raise UserError(
            f"a data worker was killed, most often because memory or /dev/shm is full ({reason}); "
            "give fewer with --workers, or --workers 0"
        ) from error


def _one_thread(worker: int) -> None:
    """Workers share the cores with the main process."""
    cv2.setNumThreads(0)
