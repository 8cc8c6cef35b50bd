"""The assembling module (paper, section 3.1): k x k score maps and windows make mask logits."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from instancefcn.core.grid import Windows
from instancefcn.core.types import BACKGROUND


def parts(m: int, k: int) -> Tensor:
    """The part that each row (or column) of a window belongs to: floor(i * k / m), (m,) int64."""
    return torch.arange(m) * k // m


def assemble(maps: Tensor, windows: Windows, m: int, k: int) -> Tensor:
    """Copy into each part of each window the same place of that part's score map.

    Args:
        maps: (B, k * k, H, W) logits, any float dtype; map i * k + j is part (i, j), rows first.
        windows: n windows; they may leave the level in part or as a whole.
        m: cells along a window's side. k need not divide it.
        k: parts along a window's side; with k = 1 this crops a plain FCN's one map.

    Returns:
        (n, m, m) logits of the dtype of ``maps``; cells outside the level are ``BACKGROUND``.

    There are no parameters: a value of the result is a value of ``maps``, or ``BACKGROUND``, so
    that where two windows overlap they share each score that falls into the same part of both
    (the paper's local coherence, section 3.2).

    """
    assert maps.shape[1] == k * k, (maps.shape, k)
    ringed = F.pad(maps, (1, 1, 1, 1), value=BACKGROUND)
    height, width = ringed.shape[2:]
    offset = torch.arange(m, device=maps.device) - m // 2
    rows = (windows.y[:, None] + offset + 1).clamp(0, height - 1)
    columns = (windows.x[:, None] + offset + 1).clamp(0, width - 1)
    part = parts(m, k).to(maps.device)
    # Places in the maps laid end to end: one index a cell is read twice as fast as four.
    row = ((windows.image[:, None] * k + part) * k * height + rows) * width
    column = part * height * width + columns
    cells = row[:, :, None] + column[:, None, :]
    return ringed.flatten().index_select(0, cells.flatten()).view(cells.shape)
