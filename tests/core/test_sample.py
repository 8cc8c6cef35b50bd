"""Samples: what validation refuses, and boxes."""

from __future__ import annotations

import pytest

from builders import make_sample
from instancefcn.core.sample import Sample


@pytest.mark.parametrize("field", ["masks", "crowds", "categories", "void"])
def test_a_sample_refuses_shapes_that_would_only_broadcast(field: str) -> None:
    sample = make_sample(8, 12, [(0, 0, 4, 4), (4, 4, 8, 8)])
    names = ("image", "masks", "crowds", "categories", "void")
    fields = {name: getattr(sample, name) for name in names}
    fields[field] = fields[field][..., :1]
    with pytest.raises(AssertionError):
        Sample(**fields, seed=0)


def test_boxes_of_a_sample_are_tight_and_half_open() -> None:
    boxes = [(0, 0, 4, 4), (3, 2, 12, 7), (11, 7, 12, 8)]
    assert make_sample(8, 12, boxes).boxes.tolist() == [list(box) for box in boxes]
    assert make_sample(8, 12, [(3, 2, 3, 7)]).boxes.tolist() == [[0, 0, 0, 0]]
    assert make_sample(8, 12).boxes.shape == (0, 4)
