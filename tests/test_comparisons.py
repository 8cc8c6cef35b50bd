"""What the page of comparisons says of figures that are known."""

from __future__ import annotations

import numpy as np
import pytest

from builders import measured_of
from comparisons import (
    Cost,
    average_row,
    beside_published,
    cost_row,
    differences,
    of_set,
    published_difference,
)
from dev_sets import NUCLEI, VOC
from experiments import CROPS, CROPS_FEW, DEEPMASK, DEEPMASK_FEW, FCN, K3, K5
from measuring import Measured

COST = Cost("parts-5", 1_500_000, 1279, 3200, 0.3)


def runs_of(*shares: float) -> list[Measured]:
    return [measured_of(share) for share in shares]


def test_a_row_is_mean_and_deviation_over_seeds() -> None:
    """By hand: 10, 20 and 30 have the mean 20 and the deviation 10."""
    assert average_row("method", runs_of(0.1, 0.2, 0.3)) == (
        *("method", "3", "700", "20.0 ± 10.0", "50.0 ± 0.0", "50.0 ± 0.0"),
        *("25.0 ± 0.0",) * 3,
    )
    assert average_row("method", runs_of(0.1))[3:5] == ("10.0", "50.0")
    link = "[parts-5](../src/instancefcn/recipes/parts-5.yaml)"
    expected = ("method", link, "20.0 / 50.0 / 50.0", "1,279", "3,200", "1.50 M", "0.30")
    assert cost_row("method", runs_of(0.1, 0.2, 0.3), COST) == expected


def test_what_is_not_trained_has_neither_weights_nor_images() -> None:
    assert cost_row("search", runs_of(0.1), Cost("", 0, 0, 0, 0.3))[3:] == ("-", "-", "-", "0.30")


def test_without_objects_that_touch_there_is_a_dash() -> None:
    assert average_row("method", [measured_of(0.1, touching=False)] * 2)[6:] == ("-", "-", "-")
    same = {K3: [measured_of(0.1, touching=False)], K5: [measured_of(0.3, touching=False)]}
    table = differences(same, [(K3, K5)])
    assert f"| {K3}, less {K5} | **-20.0** (-20.0 … -20.0) |" in table
    assert "| - | - | - |" in table
    assert "touching" not in table.splitlines()[-1]


def test_only_a_difference_beyond_chance_is_bold() -> None:
    """By hand: deviations of 2.89 in three runs each make 2.36 of the difference, and Student's t
    of 4 degrees of freedom is 2.78.
    """
    beyond = differences({K3: runs_of(0.2, 0.2, 0.25), K5: runs_of(0.4, 0.4, 0.45)}, [(K3, K5)])
    assert f"| {K3}, less {K5} | **-20.0** (-26.5 … -13.5) | +0.0 (+0.0 … +0.0) |" in beyond
    assert f"- {K3}, less {K5}: AR@100; AR@1000; touching, AR@10;" in beyond
    within = differences({K3: runs_of(0.2, 0.2, 0.5), K5: runs_of(0.3, 0.3, 0.35)}, [(K3, K5)])
    assert f"| {K3}, less {K5} | -1.7 (" in within
    assert f"- {K3}, less {K5}: AR@10; AR@100;" in within


def test_a_claim_that_does_not_hold_here_has_a_word() -> None:
    """The paper has k = 3 below k = 5 by 0.6, 0.5 and 0.5 points."""
    text = beside_published({K3: runs_of(0.2), K5: runs_of(0.3)}, [(K3, K5)])
    first = (
        f"| {K3}, less {K5} | -10.0 (-10.0 … -10.0); -0.6, **larger** | +0.0 (+0.0 … +0.0); -0.5"
    )
    assert f"{first}, **smaller** |" in text
    text = beside_published({K3: runs_of(0.3), K5: runs_of(0.2)}, [(K3, K5)])
    assert "| +10.0 (+10.0 … +10.0); -0.6, **other sign** |" in text
    text = beside_published({K3: runs_of(0.2, 0.4, 0.3), K5: runs_of(0.3)}, [(K3, K5)])
    assert "); -0.6 |" in text
    assert "twice the area under recall" in text


def test_what_is_further_on_little_data() -> None:
    """By hand: 20 less 30 on few images, less 30 less 35 on all, is 5 below."""
    shares = {DEEPMASK: 0.3, CROPS: 0.35, DEEPMASK_FEW: 0.2, CROPS_FEW: 0.3}
    results = {name: runs_of(share) for name, share in shares.items()}
    assert "on few images, less on all | **-5.0** (-5.0 … -5.0) |" in differences(results, [])
    del results[CROPS]
    assert "on few images, less on all" not in differences(results, [])


@pytest.mark.parametrize("key", [VOC, NUCLEI])
def test_published_differences_stand_beside_voc_only(key: str) -> None:
    results = {K3: runs_of(0.2), K5: runs_of(0.3)}
    text = of_set(key, "a set", results, dict.fromkeys(results, COST))
    assert text.startswith("### a set\n")
    assert "a set: 50 images, 1,000 objects" in text
    assert "Of the objects 200 touch another" in text
    assert "measured by commit abc." in text
    assert ("the paper's, on VOC 2012 val" in text) == (key == VOC)


def test_methods_that_the_paper_does_not_have_have_no_published_difference() -> None:
    assert published_difference(FCN, K5) is None
    found = published_difference(DEEPMASK, CROPS)
    assert found is not None
    np.testing.assert_allclose(found, [-6.2, -5.5, -4.4])
