"""What flows through the system: positions, subsets, and what validation refuses."""

from __future__ import annotations

from pathlib import Path

import pytest

from builders import make_sample
from instancefcn.core.types import AnnotatedImage, Instance, Rle, Sample

# --- annotated images


@pytest.mark.parametrize("part", ["instance", "void"])
def test_masks_of_another_size_than_the_image_are_named_in_one_line(part: str) -> None:
    small = Rle(height=4, width=6, counts=b"H1")
    instances = (Instance(small, category=1),) if part == "instance" else ()
    void = small if part == "void" else None
    with pytest.raises(ValueError, match=r"photo\.jpg: a mask of 6 x 4 .* image of 8 x 4") as error:
        AnnotatedImage(1, Path("photo.jpg"), height=4, width=8, instances=instances, void=void)
    assert "\n" not in str(error.value)


def test_masks_of_the_images_size_are_taken() -> None:
    mask = Rle(height=4, width=8, counts=b"P1")
    image = AnnotatedImage(1, Path("photo.jpg"), 4, 8, (Instance(mask, 1),), void=mask)
    assert not image.instances[0].crowd


# --- samples


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
