"""What flows through the system: what validation refuses."""

from __future__ import annotations

from pathlib import Path

import pytest

from instancefcn.core.types import AnnotatedImage, Instance, Rle


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
