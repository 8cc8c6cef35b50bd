"""Where windows lie: numbers only, apart from what a network says of them.

Image coordinates are continuous, x right, y down; pixel i spans [i, i + 1). A cell spans
[i * s, (i + 1) * s). A window is a square of m x m cells around a centre cell; m is odd. Windows
may leave the image: cells outside are background. Shapes follow the legend in ``types``.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor


@dataclass(frozen=True)
class Windows:
    """n windows of one grid, each centred on a cell.

    image (n,) index in the batch; y, x (n,) the centre cell; all int64. A window spans the
    cells y - m // 2 .. y + m // 2 and may leave the grid.
    """

    image: Tensor
    y: Tensor
    x: Tensor

    def __post_init__(self) -> None:
        assert self.image.ndim == 1
        assert self.image.shape == self.y.shape == self.x.shape
        assert self.image.dtype == self.y.dtype == self.x.dtype == torch.int64

    def __len__(self) -> int:
        return len(self.image)

    def __getitem__(self, index: Tensor) -> Windows:
        return Windows(self.image[index], self.y[index], self.x[index])

    def to(self, device: torch.device | str) -> Windows:
        return Windows(self.image.to(device), self.y.to(device), self.x.to(device))


@dataclass(frozen=True)
class Grid:
    """The windows of one size over one sampling of an image.

    rows, columns: windows down and across. cell: width and height of a cell in pixels of the
    image. m: cells along a window's side, odd. step: cells from one window to the next; the
    window (y, x) is centred on cell (y * step + step // 2, x * step + step // 2).
    """

    rows: int
    columns: int
    cell: tuple[float, float]
    m: int
    step: int

    def __post_init__(self) -> None:
        assert self.m % 2 == 1
        assert self.step >= 1

    @property
    def side(self) -> tuple[float, float]:
        """Width and height of a window in pixels."""
        return self.m * self.cell[0], self.m * self.cell[1]

    def windows(self, image: Tensor, y: Tensor, x: Tensor) -> Windows:
        """The windows (y, x) of the grid on images of a batch; each (n,) int64."""
        half = self.step // 2
        return Windows(image, y * self.step + half, x * self.step + half)

    def places(self, windows: Windows) -> tuple[Tensor, Tensor]:
        """Row and column in the grid, (n,) int64 each, of its windows: what ``windows`` took."""
        half = self.step // 2
        return (windows.y - half) // self.step, (windows.x - half) // self.step

    def centres(self) -> tuple[Tensor, Tensor]:
        """Where the windows are centred, in pixels: y (rows,) and x (columns,) float32."""
        half = self.step // 2 + 0.5
        y, x = (torch.arange(n) * self.step + half for n in (self.rows, self.columns))
        return y * self.cell[1], x * self.cell[0]

    def spans(self, windows: Windows, m: int | None = None) -> Tensor:
        """Boxes (n, 4) float32, in pixels, of windows; of another number of cells if m is given.

        Cell (0, 0) begins at (0, 0).
        """
        m = m or self.m
        x, y = ((centre - m // 2).float() for centre in (windows.x, windows.y))
        width, height = self.cell
        return torch.stack((x * width, y * height, (x + m) * width, (y + m) * height), 1)

    def rescaled(self, scale: tuple[float, float]) -> Grid:
        """The same grid in pixels of an image ``scale`` = (x, y) times as large."""
        return replace(self, cell=(self.cell[0] * scale[0], self.cell[1] * scale[1]))


@dataclass(frozen=True)
class Layout:
    """How a network lays one size of windows over inputs of any size.

    m, step: as a ``Grid``'s. cell: pixels of the input along a cell's side.
    """

    m: int
    cell: int
    step: int

    def over(self, height: int, width: int) -> Grid:
        """The grid over an input, whose sides are multiples of ``cell * step`` pixels."""
        stride = self.cell * self.step
        assert height % stride == 0
        assert width % stride == 0
        size = float(self.cell)
        return Grid(height // stride, width // stride, (size, size), self.m, self.step)
