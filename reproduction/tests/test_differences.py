"""The tables of differences that are known."""

from __future__ import annotations

import numpy as np
from measurements import measured_of

from differences import (
    COMPARISONS,
    beside_published,
    differences,
    less,
    published_difference,
)
from experiments import CROPS, CROPS_FEW, DEEPMASK, DEEPMASK_FEW, FCN, K3, K5
from measuring import Measured

PAIR = less(K3, K5)
(FURTHER,) = (comparison for comparison in COMPARISONS if len(comparison.plus) == 2)


def runs_of(*shares: float) -> list[Measured]:
    return [measured_of(share) for share in shares]


def test_without_objects_that_touch_there_is_a_dash() -> None:
    same = {K3: [measured_of(0.1, touching=False)], K5: [measured_of(0.3, touching=False)]}
    table = differences(same, [PAIR])
    assert f"| {K3}, less {K5} | **-20.0** (-20.0 … -20.0) |" in table
    assert "| - | - | - |" in table
    assert "touching" not in table.splitlines()[-1]


def test_only_a_difference_beyond_chance_is_bold() -> None:
    """By hand: deviations of 2.89 in three runs each make 2.36 of the difference, and Student's t
    of 4 degrees of freedom is 2.78.
    """
    beyond = differences({K3: runs_of(0.2, 0.2, 0.25), K5: runs_of(0.4, 0.4, 0.45)}, [PAIR])
    assert f"| {K3}, less {K5} | **-20.0** (-26.5 … -13.5) | +0.0 (+0.0 … +0.0) |" in beyond
    within = differences({K3: runs_of(0.2, 0.2, 0.5), K5: runs_of(0.3, 0.3, 0.35)}, [PAIR])
    assert f"| {K3}, less {K5} | -1.7 (" in within


def test_what_ours_is_beside_the_papers() -> None:
    """The paper has k = 3 below k = 5 by 0.6, 0.5 and 0.5 points."""
    text = beside_published({K3: runs_of(0.2), K5: runs_of(0.3)}, [PAIR])
    assert f"| {K3}, less {K5} | AR@10 | **-10.0** (-10.0 … -10.0) | -0.6 |" in text
    assert "| AR@100 | +0.0 (+0.0 … +0.0) | -0.5 |" in text
    assert "twice the area under recall" in text
    assert beside_published({FCN: runs_of(0.2), K5: runs_of(0.3)}, [less(FCN, K5)]) == ""


def test_what_is_further_on_little_data() -> None:
    """By hand: 20 less 30 on few images, less 30 less 35 on all, is 5 below."""
    shares = {DEEPMASK: 0.3, CROPS: 0.35, DEEPMASK_FEW: 0.2, CROPS_FEW: 0.3}
    results = {name: runs_of(share) for name, share in shares.items()}
    assert "on few images, less on all | **-5.0** (-5.0 … -5.0) |" in differences(
        results, [FURTHER]
    )


def test_methods_that_the_paper_does_not_have_have_no_published_difference() -> None:
    assert published_difference(less(FCN, K5)) is None
    assert published_difference(FURTHER) is None
    found = published_difference(less(DEEPMASK, CROPS))
    assert found is not None
    np.testing.assert_allclose(found, [-6.2, -5.5, -4.4])
