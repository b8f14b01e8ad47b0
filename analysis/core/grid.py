"""Where the cells of a map lie in the clip that it is of.

A cell of a strided convolution does not stand in the middle of a patch of ``stride`` pixels: with
odd kernels and symmetric padding, the cells of a network with stride 16 see pixels 0, 16, 32, ...
at their centre, half a cell to the upper left of where a plain resize would draw them. Here each
cell has its centre, and its territory: the pixels that are nearer to it than to other cells.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rspnet.models import Branch

Triple = tuple[int, int, int]
Floats = NDArray[np.float64]
TIME, HEIGHT, WIDTH = 0, 1, 2


@dataclass(frozen=True)
class Box:
    """A box in cells or in pixels; right and bottom are exclusive.

    Attributes:
        left: First column.
        top: First row.
        right: Column after the last.
        bottom: Row after the last.
    """

    left: float
    top: float
    right: float
    bottom: float

    @property
    def centre(self) -> tuple[float, float]:
        """Middle of the box, (x, y)."""
        return (self.left + self.right) / 2, (self.top + self.bottom) / 2


@dataclass(frozen=True)
class Grid:
    """Cells of a map and their places. Axes are (time, height, width).

    Attributes:
        cells: (T', H', W') of the map.
        clip: (T, H, W) of the clip, frames and pixels.
        stride: From one cell's centre to the next, frames and pixels.
        first: Centre of the first cell, where 0 is the first frame and the centre of the first
            pixel.

    Raises:
        ValueError: There is no cell or no pixel along an axis, or a stride is not positive.

    Example:
        >>> import numpy as np
        >>> from analysis import Grid
        >>> grid = Grid.even(cells=(2, 2, 2), clip=(8, 32, 32))
        >>> str(grid)
        '2 x 2 x 2 cells'
        >>> Grid.from_json(grid.to_json()) == grid
        True
        >>> grid.check(np.zeros((2, 2, 2)))  # refuses a map of another shape
    """

    cells: Triple
    clip: Triple
    stride: tuple[float, float, float]
    first: tuple[float, float, float]

    def __post_init__(self) -> None:
        if min(self.cells) < 1 or min(self.clip) < 1 or min(self.stride) <= 0:
            raise ValueError(
                "a grid has at least one cell and one pixel along each axis and positive strides, "
                f"got cells={self.cells}, clip={self.clip}, stride={self.stride}"
            )

    @classmethod
    def even(cls, cells: Sequence[int], clip: Sequence[int]) -> "Grid":
        """Cells of one size that cover the clip, as patches do.

        Example:
            >>> Grid.even(cells=(2, 2, 2), clip=(8, 32, 32)).stride
            (4.0, 16.0, 16.0)
        """
        strides = [n / c for n, c in zip(clip, cells, strict=True)]
        firsts = [s / 2 - 0.5 for s in strides]
        return cls(_triple(cells), _triple(clip), _floats(strides), _floats(firsts))

    @classmethod
    def of(cls, branch: Branch, cells: Sequence[int], clip: Sequence[int]) -> "Grid":
        """Cells of a branch's features for a clip of this size.

        Example:
            >>> from analysis import Grid, example_branch
            >>> branch = example_branch()
            >>> Grid.of(branch, cells=(2, 2, 2), clip=(8, 32, 32)).stride
            (4.0, 16.0, 16.0)
        """
        geometry = branch.cell_geometry
        return cls(_triple(cells), _triple(clip), geometry.stride, geometry.first)

    def to_json(self) -> dict[str, Any]:
        """Plain values for a manifest."""
        return {name: list(getattr(self, name)) for name in ("cells", "clip", "stride", "first")}

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> "Grid":
        """The inverse of :meth:`to_json`."""
        return cls(
            _triple(value["cells"]),
            _triple(value["clip"]),
            _floats(value["stride"]),
            _floats(value["first"]),
        )

    def centres(self, axis: int) -> Floats:
        """Centres of the cells along an axis, (cells,), in frames or pixels.

        Example:
            >>> Grid.even(cells=(2, 2, 2), clip=(8, 32, 32)).centres(axis=1)
            array([ 7.5, 23.5])
        """
        return np.asarray(self.first[axis] + self.stride[axis] * np.arange(self.cells[axis]), float)

    def edges(self, axis: int) -> Floats:
        """Edges of the cells' territories along an axis, (cells + 1,), from 0 to the clip's size.

        Pixel k reaches from k to k + 1.

        Example:
            >>> Grid.even(cells=(2, 2, 2), clip=(8, 32, 32)).edges(axis=1)
            array([ 0., 16., 32.])
        """
        centres = self.centres(axis) + 0.5
        inner = (centres[1:] + centres[:-1]) / 2
        size = self.clip[axis]
        return np.asarray(np.clip(np.concatenate([[0.0], inner, [size]]), 0, size), float)

    def _in_cells(self, axis: int, num: int) -> Floats:
        """Where ``num`` samples spread evenly over an axis lie, counted in cells."""
        at = (np.arange(num) + 0.5) * self.clip[axis] / num - 0.5
        place = (at - self.first[axis]) / self.stride[axis]
        return np.asarray(np.clip(place, 0, self.cells[axis] - 1), float)

    def cell_of(self, axis: int, num: int | None = None) -> NDArray[np.int64]:
        """The cell in whose territory each sample of an axis lies.

        Args:
            axis: 0, 1 or 2.
            num: Samples spread evenly over the axis; nothing for the clip's own.

        Shape:
            -> (num,) integers.

        Example:
            >>> Grid.even(cells=(2, 2, 2), clip=(8, 32, 32)).cell_of(axis=0)
            array([0, 0, 0, 0, 1, 1, 1, 1])
        """
        place = self._in_cells(axis, num or self.clip[axis])
        return np.floor(place + 0.5).astype(np.int64).clip(0, self.cells[axis] - 1)

    def starts(self, axis: int) -> list[int]:
        """The first sample of each cell along an axis, and behind them the number of samples.

        Example:
            >>> Grid.even(cells=(2, 2, 2), clip=(8, 32, 32)).starts(axis=0)
            [0, 4, 8]
        """
        found: list[int] = np.searchsorted(
            self.cell_of(axis), np.arange(self.cells[axis] + 1)
        ).tolist()
        return found

    def weights(self, axis: int, num: int | None = None, *, smooth: bool = True) -> Floats:
        """What to multiply a map's axis with to spread it over ``num`` samples, (num, cells).

        Smooth interpolates between the centres of cells and keeps the border's value outside of
        them; otherwise each sample has the value of its own cell.

        Example:
            >>> grid = Grid.even(cells=(2, 2, 2), clip=(8, 32, 32))
            >>> grid.weights(axis=0, num=4, smooth=False) @ [5.0, 7.0]
            array([5., 5., 7., 7.])
            >>> grid.weights(axis=0, num=4) @ [5.0, 7.0]
            array([5. , 5.5, 6.5, 7. ])
        """
        num = num or self.clip[axis]
        if not smooth:
            return np.eye(self.cells[axis])[self.cell_of(axis, num)]
        place = self._in_cells(axis, num)
        distance = np.abs(place[:, None] - np.arange(self.cells[axis]))
        return np.asarray(np.clip(1 - distance, 0, None), float)

    def in_pixels(self, box: Box, size: tuple[float, float] | None = None) -> Box:
        """From cells to pixels.

        Args:
            box: In cells.
            size: (H, W) of the picture that shows the clip; nothing for the clip's own.

        Example:
            >>> grid = Grid.even(cells=(2, 2, 2), clip=(8, 32, 32))
            >>> grid.in_pixels(Box(left=1, top=0, right=2, bottom=1))
            Box(left=16.0, top=0.0, right=32.0, bottom=16.0)
        """
        height, width = size or self.clip[1:]
        y = self.edges(HEIGHT) * height / self.clip[HEIGHT]
        x = self.edges(WIDTH) * width / self.clip[WIDTH]
        return Box(
            float(x[int(box.left)]),
            float(y[int(box.top)]),
            float(x[int(box.right)]),
            float(y[int(box.bottom)]),
        )

    def check(self, map_THW: NDArray[np.floating]) -> None:
        """Refuse a map of another shape.

        Raises:
            ValueError: The map is not (T', H', W') of this grid, or not finite.
        """
        if map_THW.shape != self.cells:
            raise ValueError(
                f"a map on this grid has the shape {self.cells} (T', H', W'), got {map_THW.shape}"
            )
        if not np.isfinite(map_THW).all():
            raise ValueError("the map holds values that are not finite")

    def __str__(self) -> str:
        return f"{' x '.join(str(n) for n in self.cells)} cells"


def _triple(values: Sequence[int]) -> Triple:
    t, y, x = (int(v) for v in values)
    return t, y, x


def _floats(values: Sequence[float]) -> tuple[float, float, float]:
    t, y, x = (float(v) for v in values)
    return t, y, x


def upsample(
    map_THW: NDArray[np.floating],
    grid: Grid,
    num_frames: int | None = None,
    height: int | None = None,
    width: int | None = None,
    *,
    smooth: bool = True,
) -> NDArray[np.float32]:
    """Spread a map's cells over frames and pixels, each about its own centre, for drawing.

    Values stay what they are: contribution per *cell*. See :meth:`Grid.weights`.

    Args:
        map_THW: On the grid, (T', H', W').
        grid: Where its cells lie.
        num_frames: Frames of the result; nothing for those of the clip.
        height: Pixels of the result; nothing for those of the clip.
        width: The same.
        smooth: Interpolate between cells.

    Shape:
        (T', H', W') -> (num_frames, height, width).

    Raises:
        ValueError: The map is not on the grid.
    """
    grid.check(map_THW)
    t, y, x = (
        grid.weights(axis, num, smooth=smooth).astype(np.float32)
        for axis, num in enumerate((num_frames, height, width))
    )
    columns = np.tensordot(map_THW.astype(np.float32), x, (2, 1))  # (T', H', W)
    planes = np.tensordot(columns, y, (1, 1)).swapaxes(1, 2)  # (T', H, W)
    return np.asarray(np.tensordot(t, planes, (1, 0)), np.float32)
