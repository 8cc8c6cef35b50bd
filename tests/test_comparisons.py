"""What the page of comparisons says of figures that are known."""

from __future__ import annotations

import json
import runpy
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from instancefcn.evaluation.recall import RecallReport
from instancefcn.evaluation.touching import touching_only
from instancefcn.rle import encode
from instancefcn.types import AnnotatedImage, Instance

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"
K3, K5 = "InstanceFCN, k = 3", "InstanceFCN, k = 5"

Script = Callable[[str], dict[str, Any]]


@pytest.fixture(scope="module")
def script() -> Iterator[Script]:
    sys.path.insert(0, str(BENCHMARKS))
    yield lambda name: runpy.run_path(str(BENCHMARKS / f"{name}.py"))
    sys.path.remove(str(BENCHMARKS))


def report_of(recall: NDArray[np.float64]) -> RecallReport:
    """Of one area, the same recall at each of three numbers of proposals and each IoU."""
    filled = np.broadcast_to(recall[:, None, None], (3, 4, 11)).copy()
    objects = {"all": 4, "small": 1, "medium": 1, "large": 2}
    return RecallReport((10, 100, 1000), filled, 3, objects, void=False)


def runs_of(script: Script, *shares: float) -> list[Any]:
    """Runs whose AR@10 are these shares of 1, 0.5 at more proposals, 0.25 where objects touch."""
    touching = report_of(np.full(3, 0.25))
    measured = script("measuring")["Measured"]
    return [measured(report_of(np.array([s, 0.5, 0.5])), touching, "abc") for s in shares]


def test_a_row_is_mean_and_deviation_over_seeds(script: Script) -> None:
    """By hand: 10, 20 and 30 have the mean 20 and the deviation 10."""
    comparisons = script("comparisons")
    cost = comparisons["Cost"](1_500_000, 0.3)
    runs = runs_of(script, 0.1, 0.2, 0.3)
    assert comparisons["row"]("method", runs, cost) == (
        *("method", "3", "20.0 ± 10.0", "50.0 ± 0.0", "50.0 ± 0.0"),
        *("25.0 ± 0.0",) * 3,
        *("1.50 M", "0.30"),
    )
    assert comparisons["row"]("method", runs[:1], cost)[2:5] == ("10.0", "50.0", "50.0")
    bottom_up = comparisons["row"]("search", runs[:1], comparisons["Cost"](0, 0.3))
    assert bottom_up[-2:] == ("-", "0.30")


def test_only_a_difference_beyond_both_deviations_is_bold(script: Script) -> None:
    """Deviations of 1 and 1 point: 3 points are beyond both together, 1.5 are not."""
    differences = script("comparisons")["differences"]
    others = runs_of(script, 0.29, 0.30, 0.31)
    beyond = differences({K3: runs_of(script, 0.26, 0.27, 0.28), K5: others}, [(K3, K5)])
    assert f"| {K3}, less {K5} | **-3.0** | +0.0 | +0.0 |" in beyond
    assert "| -0.6 / -0.5 / -0.5 |" in beyond
    assert f"- {K3} against {K5} in AR@100; AR@1000; touching, AR@10;" in beyond
    within = differences({K3: runs_of(script, 0.275, 0.285, 0.295), K5: others}, [(K3, K5)])
    assert f"| {K3}, less {K5} | -1.5 | +0.0 | +0.0 |" in within
    assert f"- {K3} against {K5} in AR@10; AR@100;" in within


def test_one_run_has_no_spread_to_exceed(script: Script) -> None:
    comparisons = script("comparisons")
    _, spread = comparisons["compare"](runs_of(script, 0.1), runs_of(script, 0.5, 0.6))
    assert np.isinf(spread).all()


def test_methods_that_the_paper_does_not_have_have_no_published_difference(script: Script) -> None:
    published = script("comparisons")["published_difference"]
    assert published("plain FCN, k = 1", K5) == "-"
    crops = "InstanceFCN, k = 5, crops"
    assert published("~DeepMask, crops", crops) == "-6.2 / -5.5 / -4.4"


def test_figures_come_back_from_json(script: Script) -> None:
    measuring = script("measuring")
    recall = np.random.default_rng(0).random((3, 4, 11))
    recall[1, 2] = np.nan  # no object of that area
    objects = {"all": 4, "small": 0, "medium": 1, "large": 3}
    report = RecallReport((10, 100, 1000), recall, 7, objects, void=True)
    figures = measuring["Measured"](report, report_of(np.full(3, 0.5)), "abc")
    back = measuring["from_json"](json.loads(json.dumps(measuring["to_json"](figures))))
    assert back.commit == "abc"
    assert back.objects.counts == report.counts
    assert back.objects.objects == objects
    assert back.objects.images == 7
    assert back.objects.void
    np.testing.assert_array_equal(back.objects.recall, recall)
    np.testing.assert_array_equal(back.touching.recall, figures.touching.recall)


def image_of_bars(*ends: tuple[int, int]) -> AnnotatedImage:
    """One object for each pair of columns."""
    instances = []
    for start, end in ends:
        mask = np.zeros((20, 80), np.bool_)
        mask[:, start:end] = True
        instances.append(Instance(encode(mask), 1, crowd=False))
    return AnnotatedImage(1, Path("image.png"), 20, 80, tuple(instances))


def test_figures_are_kept_with_what_they_are_of(script: Script, tmp_path: Path) -> None:
    """Measured once; again for other bytes, and for a set that is not kept yet."""
    measured = script("measuring")["measured"]
    image = image_of_bars((0, 10), (11, 20), (60, 70))
    found = [instance.mask for instance in touching_only(image).instances[:2]]
    asked: list[str] = []

    def find(label: str) -> list[tuple[AnnotatedImage, list[Any]]]:
        asked.append(label)
        return [(image, found)]

    source = tmp_path / "model.safetensors"
    source.write_bytes(b"weights")
    first = measured(source, ["a"], find)["a"]
    assert first.objects.average(10) == pytest.approx(2 / 3)
    assert first.touching.average(10) == 1
    again = measured(source, ["a", "b"], find)
    assert asked == ["a", "b"]
    assert again["a"].commit == first.commit
    assert again["a"].objects.objects == first.objects.objects
    np.testing.assert_array_equal(again["a"].touching.recall, first.touching.recall)
    source.write_bytes(b"other weights")
    measured(source, ["a"], find)
    assert asked == ["a", "b", "a"]


def test_methods_are_timed_in_turns(script: Script) -> None:
    order: list[str] = []
    methods = {name: lambda path, name=name: order.append(f"{name} {path}") for name in "xy"}
    seconds = script("measuring")["seconds_each"](methods, [Path("1"), Path("2")])
    assert order == ["x 1", "y 1", "x 2", "y 2"]
    assert all(0 < value < 1 for value in seconds.values())
