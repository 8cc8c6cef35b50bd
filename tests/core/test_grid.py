"""Where windows lie: centres, spans, and what validation refuses."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from builders import make_grid, make_level, random_maps
from instancefcn.core.grid import Grid, Layout, Windows
from instancefcn.core.level import Level

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


# --- grids


def windows_at(y: torch.Tensor, x: torch.Tensor) -> Windows:
    return Windows(torch.zeros_like(y), y, x)


def test_spans_by_hand() -> None:
    spans = Grid(3, 6, (8.0, 4.0), m=3, step=1).spans(
        windows_at(torch.tensor([0, 2]), torch.tensor([0, 5]))
    )
    assert spans.tolist() == [[-8, -4, 16, 8], [32, 4, 56, 16]]
    assert spans.dtype == torch.float32
    none = torch.zeros(0, dtype=torch.int64)
    assert make_grid(4, 4).spans(windows_at(none, none)).shape == (0, 4)


def test_a_window_spans_m_cells_around_the_centre_of_its_own() -> None:
    y, x = torch.arange(5), torch.arange(5) * 3
    spans = Grid(5, 13, (2.5, 7.0), m=21, step=1).spans(windows_at(y, x))
    assert torch.equal(spans[:, 2:] - spans[:, :2], torch.tensor([[52.5, 147.0]] * 5))
    centres = torch.stack(((x + 0.5) * 2.5, (y + 0.5) * 7.0), 1)
    assert torch.equal((spans[:, 2:] + spans[:, :2]) / 2, centres)


def test_centres_are_those_of_the_windows() -> None:
    grid = Grid(3, 4, (2.5, 7.0), m=5, step=2)
    y, x = torch.meshgrid(torch.arange(3), torch.arange(4), indexing="ij")
    spans = grid.spans(grid.windows(*(each.flatten() for each in (torch.zeros_like(y), y, x))))
    middle = ((spans[:, :2] + spans[:, 2:]) / 2).view(3, 4, 2)
    rows, columns = grid.centres()
    assert torch.equal(middle[..., 0], columns.expand(3, 4))
    assert torch.equal(middle[..., 1], rows[:, None].expand(3, 4))


def test_a_layout_lies_over_inputs_of_its_multiples() -> None:
    layout = Layout(m=21, cell=4, step=2)
    assert layout.over(64, 96) == Grid(8, 12, (4, 4), 21, 2)
    with pytest.raises(AssertionError):
        layout.over(64, 92)


# --- levels


@pytest.mark.parametrize(
    ("step", "expected"),
    [(1, [0, 1, 2]), (2, [1, 3, 5]), (3, [1, 4, 7]), (4, [2, 6, 10])],
)
def test_windows_are_centred_in_the_middle_of_their_step(step: int, expected: list[int]) -> None:
    grid = make_grid(12, 12, step=step)
    position = torch.arange(3)
    windows = grid.windows(torch.zeros_like(position), position, position.flip(0))
    assert [each.tolist() for each in grid.places(windows)] == [
        position.tolist(),
        position.flip(0).tolist(),
    ]
    assert windows.y.tolist() == expected
    assert windows.x.tolist() == expected[::-1]


def test_rescaling_changes_nothing_but_the_cell() -> None:
    level = make_level(random_maps((1, 1, 4, 6)), random_maps((1, 4, 6)), cell=(4, 4))
    rescaled = level.rescaled((1.5, 0.5))
    assert rescaled.grid == replace(level.grid, cell=(6, 2))
    assert rescaled.maps is level.maps
    assert rescaled.objectness is level.objectness


def test_a_head_that_fills_windows_of_another_size_is_found_out() -> None:
    def fill(maps: torch.Tensor, windows: Windows, grid: Grid) -> torch.Tensor:
        return torch.zeros(len(windows), 1, grid.m)

    grid = Grid(4, 4, (4, 4), m=3, step=1)
    level = Level(grid, torch.zeros(1, 1, 4, 4), torch.zeros(1, 4, 4), fill)
    index = torch.zeros(2, dtype=torch.int64)
    with pytest.raises(AssertionError):
        level.logits(Windows(index, index, index))


def test_windows_without_a_centre_cell_are_refused() -> None:
    with pytest.raises(AssertionError):
        make_grid(4, 4, m=4)
