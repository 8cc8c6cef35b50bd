"""What a method finds and what it costs, measured once and kept as JSON beside the method."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any

import numpy as np

from instancefcn.evaluation.recall import RecallReport, match, summarize
from instancefcn.evaluation.touching import touching_only
from instancefcn.files import whole_file
from instancefcn.types import AnnotatedImage, Rle
from results_page import commit

CURVE = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000)
"""Numbers of proposals at which recall is measured, enough to draw it against them."""


@dataclass(frozen=True)
class Measured:
    """Recall of the objects of a set, and of those that touch another of their kind; the commit
    that measured.
    """

    objects: RecallReport
    touching: RecallReport
    commit: str


Find = Callable[[str], Iterable[tuple[AnnotatedImage, Sequence[Rle]]]]
"""From what tables call a set to its images and what a method found on each."""


def measured(source: Path, labels: Iterable[str], find: Find) -> dict[str, Measured]:
    """The figures by set of a method whose weights or results are the file ``source``.

    What is kept beside it, of the very same bytes, is not measured again; so a method that was
    measured by an earlier commit keeps its figures, which name that commit.
    """
    path = source.with_suffix(".measured.json")
    digest = hashlib.sha256(source.read_bytes()).hexdigest()
    content = json.loads(path.read_text()) if path.exists() else {}
    same = content.get("source") == digest
    kept = {name: from_json(sets) for name, sets in content["sets"].items()} if same else {}
    for label in labels:
        if label not in kept:
            kept[label] = measure(find(label))
            sets = {name: to_json(figures) for name, figures in kept.items()}
            with whole_file(path) as file:
                file.write(json.dumps({"source": digest, "sets": sets}, indent=1).encode())
    return {label: kept[label] for label in labels}


def measure(found: Iterable[tuple[AnnotatedImage, Sequence[Rle]]]) -> Measured:
    matches = [(match(i, masks), match(touching_only(i), masks)) for i, masks in found]
    every, touching = ([pair[at] for pair in matches] for at in (0, 1))
    return Measured(summarize(every, CURVE), summarize(touching, CURVE), commit())


def to_json(figures: Measured) -> dict[str, Any]:
    """``from_json`` is the inverse."""
    return {
        "commit": figures.commit,
        "objects": _report_to_json(figures.objects),
        "touching": _report_to_json(figures.touching),
    }


def from_json(content: Mapping[str, Any]) -> Measured:
    objects, touching = (_report_from_json(content[name]) for name in ("objects", "touching"))
    return Measured(objects, touching, content["commit"])


def _report_to_json(report: RecallReport) -> dict[str, Any]:
    return {
        "counts": report.counts,
        "recall": report.recall.tolist(),
        "images": report.images,
        "objects": report.objects,
        "void": report.void,
    }


def _report_from_json(content: Mapping[str, Any]) -> RecallReport:
    return RecallReport(
        tuple(content["counts"]),
        np.array(content["recall"], np.float64),
        content["images"],
        content["objects"],
        content["void"],
    )


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
