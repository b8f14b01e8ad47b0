"""A part of a clip that somebody has drawn: a rectangle of its frames, for some of them."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from analysis.core.grid import Grid

Ranges = tuple[tuple[int, int], tuple[int, int], tuple[int, int]]


@dataclass(frozen=True)
class Rectangle:
    """A rectangle of a clip's view, in parts of its sides, in all frames or in a range of them.

    Attributes:
        left: Left edge, 0 to 1.
        top: Upper edge.
        right: Right edge.
        bottom: Lower edge.
        frames: First and last frame, from 0; None for all.

    Raises:
        ValueError: It has no area, reaches out of the frame, or the range of frames is none.

    Example:
        >>> half = Rectangle(0, 0, 0.5, 1, frames=(2, 3))
        >>> mask = half.mask((4, 2, 2))
        >>> mask[2].tolist(), int(mask.sum())
        ([[True, False], [True, False]], 4)
        >>> str(half), Rectangle.parse(str(half)) == half
        ('0,0,0.5,1,3,4', True)
    """

    left: float
    top: float
    right: float
    bottom: float
    frames: tuple[int, int] | None = None

    def __post_init__(self) -> None:
        if not (0 <= self.left < self.right <= 1 and 0 <= self.top < self.bottom <= 1):
            raise ValueError(
                "a rectangle is left < right and top < bottom in parts of the frame's sides, "
                f"0 to 1, got {self.left:g}, {self.top:g}, {self.right:g}, {self.bottom:g}"
            )
        if self.frames is not None and not 0 <= self.frames[0] <= self.frames[1]:
            raise ValueError(f"a range of frames is first <= last, got {self.frames}")

    @classmethod
    def parse(cls, text: str) -> "Rectangle":
        """From its text: left, top, right, bottom, and where it has them first and last frame.

        Frames are counted from 1 there, as on the screen.

        Raises:
            ValueError: The text is no rectangle.
        """
        parts = text.split(",")
        if len(parts) not in (4, 6):
            raise ValueError(f"a rectangle is 4 numbers, or 6 with frames, got {len(parts)}")
        try:
            left, top, right, bottom = (float(part) for part in parts[:4])
            frames = (int(parts[4]) - 1, int(parts[5]) - 1) if parts[4:] else None
        except ValueError:
            raise ValueError(
                "a rectangle is numbers, such as 0.2,0.1,0.6,0.9 (and whole numbers of frames), "
                f"got {text!r}"
            ) from None
        return cls(left, top, right, bottom, frames)

    def __str__(self) -> str:
        sides = (self.left, self.top, self.right, self.bottom)
        frames = [str(frame + 1) for frame in self.frames or ()]
        return ",".join([*(f"{side:.4g}" for side in sides), *frames])

    def mask(self, shape: tuple[int, ...]) -> NDArray[np.bool_]:
        """The pixels whose middle lies in it.

        Shape:
            (T, H, W) -> booleans of that shape.

        Raises:
            ValueError: No pixel does.
        """
        num, height, width = shape
        x, y = ((np.arange(size) + 0.5) / size for size in (width, height))
        time = np.arange(num)
        first, last = self.frames or (0, num - 1)
        inside = (
            ((time >= first) & (time <= last))[:, None, None]
            & ((y >= self.top) & (y < self.bottom))[:, None]
            & ((x >= self.left) & (x < self.right))
        )
        if not inside.any():
            raise ValueError(
                f"the region covers no pixel of the clip, which has {num} frames of {height} x "
                f"{width} pixels as the model sees it: draw a larger one"
            )
        return inside

    def in_clips(self, clips: Sequence[Sequence[int]], grid: "Grid") -> tuple[int, Ranges]:
        """Which of a video's clips is meant, where the frames are the video's, and its cells there.

        It is the clip whose middle is nearest to the middle of the frames; without frames the
        first. Where it has none of the frames, all of its time steps are meant.

        Args:
            clips: The frames of the video that each clip shows.
            grid: Of all clips.

        Returns:
            The clip, from 0, and as :meth:`cells`.

        Example:
            >>> from analysis import Grid
            >>> grid = Grid.even(cells=(2, 4, 4), clip=(4, 32, 32))
            >>> clips = [[0, 2, 4, 6], [10, 12, 14, 16]]
            >>> Rectangle(0, 0, 0.5, 1, frames=(12, 20)).in_clips(clips, grid)
            (1, ((0, 1), (0, 3), (0, 1)))
        """
        if self.frames is None:
            return 0, self.cells(grid)
        low, high = self.frames
        clip = min(range(len(clips)), key=lambda n: abs(clips[n][0] + clips[n][-1] - low - high))
        inside = [n for n, frame in enumerate(clips[clip]) if low <= frame <= high]
        frames = (inside[0], inside[-1]) if inside else None
        return clip, replace(self, frames=frames).cells(grid)

    def cells(self, grid: "Grid") -> Ranges:
        """First and last cell in time, down and across, from 0.

        They are those whose middle lies in it; where none does, the one that holds its own middle.

        Example:
            >>> from analysis import Grid
            >>> grid = Grid.even(cells=(2, 4, 4), clip=(8, 32, 32))
            >>> Rectangle(0, 0.3, 0.5, 0.4).cells(grid)
            ((0, 1), (1, 1), (0, 1))
        """
        first, last = self.frames or (0, grid.clip[0] - 1)
        sides = (
            (first / grid.clip[0], (last + 1) / grid.clip[0]),
            (self.top, self.bottom),
            (self.left, self.right),
        )
        time, down, across = (_cells(grid, axis, *side) for axis, side in enumerate(sides))
        return time, down, across


def _cells(grid: "Grid", axis: int, low: float, high: float) -> tuple[int, int]:
    edges = grid.edges(axis) / grid.clip[axis]
    middles = (edges[1:] + edges[:-1]) / 2
    inside = np.flatnonzero((middles >= low) & (middles < high))
    if inside.size:
        return int(inside[0]), int(inside[-1])
    own = int(np.searchsorted(edges, (low + high) / 2, side="right")) - 1
    own = min(max(own, 0), grid.cells[axis] - 1)
    return own, own
