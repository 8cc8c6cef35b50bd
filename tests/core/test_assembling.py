"""Assembling against a naive loop, exactly, and the paper's local coherence."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import pytest
import torch
from torch import Tensor

from builders import random_maps
from instancefcn.core.assembling import assemble, parts
from instancefcn.core.grid import Windows
from instancefcn.core.types import BACKGROUND

HEIGHT, WIDTH = 9, 12
Layout: TypeAlias = Callable[[Tensor], Tensor]


def naive(maps: Tensor, windows: Windows, m: int, k: int) -> Tensor:
    """Cell by cell, from the docstring."""
    result = torch.full((len(windows), m, m), BACKGROUND, dtype=maps.dtype)
    for n, (image, centre_y, centre_x) in enumerate(
        zip(windows.image.tolist(), windows.y.tolist(), windows.x.tolist(), strict=True)
    ):
        for i in range(m):
            for j in range(m):
                y, x = centre_y - m // 2 + i, centre_x - m // 2 + j
                part = int(i * k / m) * k + int(j * k / m)
                if 0 <= y < maps.shape[2] and 0 <= x < maps.shape[3]:
                    result[n, i, j] = maps[image, part, y, x]
    return result


def windows_at(*centres: tuple[int, int, int]) -> Windows:
    image, y, x = torch.tensor(centres, dtype=torch.int64).reshape(-1, 3).T
    return Windows(image, y, x)


def scattered(m: int) -> Windows:
    """Inside, over each border and corner, wholly outside on each side."""
    far = m // 2 + 1
    rows = (-far, 0, HEIGHT // 2, HEIGHT - 1, HEIGHT - 1 + far)
    columns = (-far, 0, WIDTH // 2, WIDTH - 1, WIDTH - 1 + far)
    return windows_at(*((i % 2, y, x) for i, y in enumerate(rows) for x in columns))


def channels_last(maps: Tensor) -> Tensor:
    return maps.contiguous(memory_format=torch.channels_last)


def every_second(maps: Tensor) -> Tensor:
    return maps.repeat_interleave(2, dim=3)[..., ::2]


def transposed(maps: Tensor) -> Tensor:
    return maps.mT.contiguous().mT


@pytest.mark.parametrize("layout", [Tensor.contiguous, channels_last, every_second, transposed])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16, torch.float16])
@pytest.mark.parametrize(("k", "m"), [(1, 1), (1, 5), (3, 7), (3, 9), (5, 7), (5, 21), (7, 5)])
def test_equals_the_naive_loop_exactly(k: int, m: int, dtype: torch.dtype, layout: Layout) -> None:
    maps = random_maps((2, k * k, HEIGHT, WIDTH)).to(dtype)
    windows = scattered(m) if m < 21 else windows_at((0, 0, 0), (1, 4, 6), (1, 8, 11), (0, -11, 0))
    result = assemble(layout(maps), windows, m, k)
    assert result.dtype == dtype
    assert torch.equal(result, naive(maps, windows, m, k))


@pytest.mark.parametrize("k", [1, 3])
def test_no_windows_make_no_masks(k: int) -> None:
    result = assemble(torch.zeros(2, k * k, HEIGHT, WIDTH), windows_at(), 5, k)
    assert result.shape == (0, 5, 5)


def test_two_by_two_cells_by_hand() -> None:
    # Map p holds 10 p + 0 .. 3; a window of 3 cells has the parts 0, 0, 1 along a side.
    maps = (10.0 * torch.arange(4)[:, None] + torch.arange(4)).view(1, 4, 2, 2)
    b = BACKGROUND
    expected = [
        [[b, b, b], [b, 0, 11], [b, 22, 33]],
        [[0, 1, b], [2, 3, b], [b, b, b]],
    ]
    windows = windows_at((0, 0, 0), (0, 1, 1))
    assert assemble(maps, windows, 3, 2).tolist() == expected


def test_a_window_wholly_outside_is_background() -> None:
    result = assemble(torch.ones(1, 9, HEIGHT, WIDTH), windows_at((0, -100, 3), (0, 2, 100)), 5, 3)
    assert torch.equal(result, torch.full((2, 5, 5), BACKGROUND))


@pytest.mark.parametrize(
    ("m", "k", "expected"),
    [
        (3, 1, [0, 0, 0]),
        (3, 3, [0, 1, 2]),
        (5, 2, [0, 0, 0, 1, 1]),
        (7, 3, [0, 0, 0, 1, 1, 2, 2]),
        (3, 5, [0, 1, 3]),
    ],
)
def test_parts_by_hand(m: int, k: int, expected: list[int]) -> None:
    assert parts(m, k).tolist() == expected


def test_the_papers_parts_of_21_cells_are_four_or_five_cells_long() -> None:
    assert parts(21, 5).bincount().tolist() == [5, 4, 4, 4, 4]


@pytest.mark.parametrize("layout", [Tensor.contiguous, channels_last])
def test_gradients_are_those_of_finite_differences(layout: Layout) -> None:
    maps = layout(random_maps((2, 4, 3, 4)).double()).requires_grad_()
    windows = windows_at((0, 0, 0), (1, 1, 2), (1, 2, 3), (1, 2, 3), (0, -9, 0))
    assert torch.autograd.gradcheck(lambda z: assemble(z, windows, 3, 2), maps)


def test_no_gradient_comes_from_outside() -> None:
    maps = torch.zeros(1, 1, 3, 3, requires_grad=True)
    assemble(maps, windows_at((0, 0, 0)), 3, 1).sum().backward()  # type: ignore[no-untyped-call]
    assert maps.grad is not None
    assert maps.grad[0, 0].tolist() == [[1, 1, 0], [1, 1, 0], [0, 0, 0]]


# --- local coherence (paper, section 3.2)


@pytest.mark.parametrize("shift", [(0, 1), (1, 0), (2, -1), (-3, 2)])
@pytest.mark.parametrize(("k", "m"), [(1, 7), (3, 7), (5, 7), (5, 21)])
def test_overlapping_windows_share_the_scores_of_the_same_part(
    k: int, m: int, shift: tuple[int, int]
) -> None:
    maps = random_maps((1, k * k, 30, 30))
    dy, dx = shift
    one, other = assemble(maps, windows_at((0, 15, 15), (0, 15 + dy, 15 + dx)), m, k)
    part = parts(m, k)
    shared = 0
    for i in range(max(0, dy), min(m, m + dy)):
        for j in range(max(0, dx), min(m, m + dx)):
            if part[i] == part[i - dy] and part[j] == part[j - dx]:
                assert one[i, j] == other[i - dy, j - dx]
                shared += 1
    full_overlap = (m - abs(dy)) * (m - abs(dx))
    assert shared == full_overlap if k == 1 else 0 <= shared < full_overlap


def test_every_value_is_a_value_of_the_maps_or_background() -> None:
    maps = random_maps((2, 9, HEIGHT, WIDTH))
    values = assemble(maps, scattered(7), 7, 3)
    known = torch.cat([maps.flatten(), torch.tensor([BACKGROUND])])
    assert torch.isin(values, known).all()


def test_background_is_certain_and_finite_in_float16() -> None:
    logit = torch.tensor(BACKGROUND, dtype=torch.float16)
    assert logit.isfinite()
    assert logit.float().sigmoid() < torch.finfo(torch.float16).eps
