"""What a method finds and what it costs, measured once and kept in files beside the method."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from dev_sets import DevSet
from instancefcn.core.tensors import read_tensors, write_tensors
from instancefcn.core.types import AnnotatedImage, Rle
from instancefcn.data.dataset import Dataset
from instancefcn.evaluation.recall import COUNTS, IOUS, Matches, match
from instancefcn.evaluation.touching import ADJOINING, RING, touching_only
from results_page import commit

RULES = [list(COUNTS), IOUS.tolist(), ADJOINING, RING]
"""What is measured with other rules is not kept."""


@dataclass(frozen=True, eq=False)
class Measured:
    """What a method found on each image of a set.

    objects, touching: its matches with all objects, and with those that touch another of their
    kind. masks (images,) int64: how many it gave, ``COUNTS[-1]`` at most. commit: what measured.
    """

    objects: tuple[Matches, ...]
    touching: tuple[Matches, ...]
    masks: NDArray[np.int64]
    commit: str


Find = Callable[[Dataset], Iterable[tuple[AnnotatedImage, Sequence[Rle]]]]
"""From a set to its images, each with what a method found on it, best first."""


def measured(source: Path, dev: DevSet, find: Find) -> Measured:
    """What a method whose weights or results are the file ``source`` finds on a set.

    Kept beside it: see ``measured_once``.
    """
    tensors, commit_of = measured_once(
        source, dev, "measured", RULES, lambda: pack(measure(find(dev.dataset)))
    )
    return unpack(tensors, commit_of)


def measured_once(
    source: Path, dev: DevSet, what: str, rules: object, make: Callable[[], dict[str, Tensor]]
) -> tuple[dict[str, Tensor], str]:
    """What ``make`` measures of the file ``source`` on a set by these rules, and by which commit.

    Kept beside it in a file that is named after ``what``, and made again if the file's bytes, the
    set's annotations or the rules, plain values, are others. What an earlier commit measured is
    kept and names that commit.
    """
    path = source.with_name(f"{source.stem}.{slug(dev.dataset.name)}.{what}.safetensors")
    digest = hashlib.sha256(source.read_bytes()).hexdigest()
    of = {"source": digest, "set": dev.digest, "rules": rules}
    if path.exists():
        tensors, header = read_tensors(path)
        if header.items() >= of.items():
            return tensors, header["commit"]
    tensors = make()
    write_tensors(path, tensors, {**of, "commit": commit()})
    return tensors, commit()


def measure(found: Iterable[tuple[AnnotatedImage, Sequence[Rle]]]) -> Measured:
    objects, touching, numbers = [], [], []
    for image, masks in found:
        first = masks[: COUNTS[-1]]
        objects.append(match(image, first))
        touching.append(match(touching_only(image), first))
        numbers.append(len(first))
    return Measured(tuple(objects), tuple(touching), np.array(numbers, np.int64), commit())


def pack(figures: Measured) -> dict[str, Tensor]:
    """As tensors, the objects of all images one after the other; ``unpack`` is the inverse."""
    tensors = {"masks": torch.from_numpy(figures.masks)}
    for name, matches in (("objects", figures.objects), ("touching", figures.touching)):
        arrays: dict[str, NDArray[Any]] = {
            "ranks": np.concatenate([m.ranks for m in matches], axis=-1),
            "counted": np.concatenate([m.counted for m in matches], axis=-1),
            "number": np.array([m.counted.shape[-1] for m in matches]),
            "void": np.array([m.void for m in matches]),
        }
        tensors |= {f"{name}.{key}": torch.from_numpy(array) for key, array in arrays.items()}
    return tensors


def unpack(tensors: Mapping[str, Tensor], commit: str) -> Measured:
    def matches(name: str) -> tuple[Matches, ...]:
        ranks, counted, number, void = (
            tensors[f"{name}.{key}"].numpy() for key in ("ranks", "counted", "number", "void")
        )
        ends = number.cumsum()[:-1]
        parts = zip(np.split(ranks, ends, -1), np.split(counted, ends, -1), void, strict=True)
        return tuple(Matches(r, c, bool(v)) for r, c, v in parts)

    return Measured(matches("objects"), matches("touching"), tensors["masks"].numpy(), commit)


def slug(name: str) -> str:
    """A set's name as a part of a file's: "VOC2012 dev" is "voc2012-dev"."""
    return re.sub(r"\W+", "-", name.lower())


def seconds_each(
    methods: Mapping[str, Callable[[Path], object]], paths: Sequence[Path]
) -> dict[str, float]:
    """The median seconds that each method takes for a photo, in turns, so that a machine that
    slows down slows all of them. The first photo warms up and is not counted if there are more.
    """
    seconds: dict[str, list[float]] = {name: [] for name in methods}
    for path in paths:
        for name, method in methods.items():
            start = perf_counter()
            method(path)
            seconds[name].append(perf_counter() - start)
    return {name: median(of[1:] or of) for name, of in seconds.items()}
