"""What flows through the system: positions, subsets, and what validation refuses."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from builders import blank_level, make_level, make_sample, random_maps
from instancefcn.core.types import AnnotatedImage, Instance, Level, Proposals, Rle, Sample, Windows

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


@pytest.mark.parametrize("field", ["masks", "crowds", "void"])
def test_a_sample_refuses_shapes_that_would_only_broadcast(field: str) -> None:
    sample = make_sample(8, 12, [(0, 0, 4, 4), (4, 4, 8, 8)])
    fields = {name: getattr(sample, name) for name in ("image", "masks", "crowds", "void")}
    fields[field] = fields[field][..., :1]
    with pytest.raises(AssertionError):
        Sample(**fields, seed=0)


# --- windows


def test_windows_are_picked_by_index_and_by_mask() -> None:
    windows = Windows(torch.tensor([0, 0, 1]), torch.tensor([3, 4, 5]), torch.tensor([6, 7, 8]))
    assert len(windows) == 3
    picked = windows[torch.tensor([2, 0])]
    assert (picked.image.tolist(), picked.y.tolist(), picked.x.tolist()) == ([1, 0], [5, 3], [8, 6])
    assert len(windows[torch.tensor([False, False, False])]) == 0


def test_windows_refuse_fractions_and_unequal_lengths() -> None:
    index = torch.zeros(2, dtype=torch.int64)
    with pytest.raises(AssertionError):
        Windows(index, index, index.float())
    with pytest.raises(AssertionError):
        Windows(index, index, index[:1])


# --- levels


@pytest.mark.parametrize(
    ("step", "expected"),
    [(1, [0, 1, 2]), (2, [1, 3, 5]), (3, [1, 4, 7]), (4, [2, 6, 10])],
)
def test_windows_are_centred_in_the_middle_of_their_step(step: int, expected: list[int]) -> None:
    level = blank_level(12, 12, step=step)
    position = torch.arange(3)
    windows = level.windows(torch.zeros_like(position), position, position.flip(0))
    assert windows.y.tolist() == expected
    assert windows.x.tolist() == expected[::-1]


def test_rescaling_changes_nothing_but_the_cell() -> None:
    level = make_level(random_maps((1, 1, 4, 6)), random_maps((1, 4, 6)), cell=(4, 4))
    rescaled = level.rescaled((1.5, 0.5))
    assert rescaled.cell == (6, 2)
    assert rescaled.maps is level.maps
    assert rescaled.objectness is level.objectness
    assert (rescaled.m, rescaled.step) == (level.m, level.step)


def test_a_head_that_fills_windows_of_another_size_is_found_out() -> None:
    def fill(maps: torch.Tensor, windows: Windows, m: int) -> torch.Tensor:
        return torch.zeros(len(windows), 1, m)

    level = Level(torch.zeros(1, 1, 4, 4), torch.zeros(1, 4, 4), (4, 4), 3, 1, fill)
    index = torch.zeros(2, dtype=torch.int64)
    with pytest.raises(AssertionError):
        level.logits(Windows(index, index, index))


def test_windows_without_a_centre_cell_are_refused() -> None:
    with pytest.raises(AssertionError):
        blank_level(4, 4, m=4)


# --- proposals


def make_proposals(n: int) -> Proposals:
    return Proposals(
        scores=torch.linspace(1, 0.1, n),
        boxes=torch.arange(4.0 * n).view(n, 4),
        windows=-torch.arange(4.0 * n).view(n, 4),
        logits=torch.arange(9.0 * n).view(n, 3, 3),
        height=20,
        width=30,
    )


@pytest.mark.parametrize(
    "index", [slice(0, 0), slice(1, 3), torch.tensor([0, 3]), torch.tensor([True, False] * 2)]
)
def test_a_subset_of_proposals_keeps_their_parts_together(index: slice | torch.Tensor) -> None:
    proposals = make_proposals(4)
    subset = proposals[index]
    for name in ("scores", "boxes", "windows", "logits"):
        assert torch.equal(getattr(subset, name), getattr(proposals, name)[index])
    assert (subset.height, subset.width) == (20, 30)
    assert len(subset) == len(subset.scores)


def test_proposals_refuse_boxes_that_would_only_broadcast() -> None:
    proposals = make_proposals(4)
    with pytest.raises(AssertionError):
        Proposals(
            proposals.scores, proposals.boxes[:1], proposals.windows, proposals.logits, 20, 30
        )
