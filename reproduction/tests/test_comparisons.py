"""What the page of comparisons says of figures that are known."""

from __future__ import annotations

import pytest
from measurements import measured_of

from comparisons import Cost, average_row, cost_row, of_set
from dev_sets import NUCLEI, VOC
from experiments import K3, K5
from measuring import Measured

COST = Cost("parts-5", "1,279 of a set", 3200, 1_500_000, 0.3)


def runs_of(*shares: float) -> list[Measured]:
    return [measured_of(share) for share in shares]


def test_a_row_is_mean_and_deviation_over_seeds() -> None:
    """By hand: 10, 20 and 30 have the mean 20 and the deviation 10."""
    assert average_row("method", runs_of(0.1, 0.2, 0.3)) == (
        *("method", "3", "700", "20.0 ± 10.0", "50.0 ± 0.0", "50.0 ± 0.0"),
        *("25.0 ± 0.0",) * 3,
    )
    assert average_row("method", runs_of(0.1))[3:5] == ("10.0", "50.0")
    link = "[parts-5](../reproduction/recipes/parts-5.yaml)"
    by_area = "20.0 / 50.0 / 50.0"
    expected = ("method", link, by_area, "1,279 of a set", "3,200", "1.50 M", "0.30", "abc")
    assert cost_row("method", runs_of(0.1, 0.2, 0.3), COST) == expected


def test_what_is_not_trained_has_neither_weights_nor_images() -> None:
    found = cost_row("search", runs_of(0.1), Cost("", "", 0, 0, 0.3))
    assert found[3:] == ("-", "-", "-", "0.30", "abc")


def test_without_objects_that_touch_a_row_has_dashes() -> None:
    assert average_row("method", [measured_of(0.1, touching=False)] * 2)[6:] == ("-", "-", "-")


@pytest.mark.parametrize("key", [VOC, NUCLEI])
def test_published_differences_stand_beside_voc_only(key: str) -> None:
    results = {K3: runs_of(0.2), K5: runs_of(0.3)}
    text = of_set(key, "a set", results, dict.fromkeys(results, COST))
    assert text.startswith("### a set\n")
    assert "a set: 50 images, 1,000 objects" in text
    assert "200 objects touch another" in text
    assert "no method can reach more than AR@10 50.0." in text
    assert ("the paper's, on VOC 2012 val" in text) == (key == VOC)
