"""Cells of a clip: its pixels replaced cell by cell, and pixels summed up into cells.

Every method that evaluates a clip without one of its places needs something to put in its stead. No
choice is neutral, so there are several, and numbers are given for each:

- ``blur``: every frame under a Gaussian as wide as a cell (sigma = the cell's stride in pixels).
  Coarse appearance and coarse movement stay;
- ``mean``: the clip's mean colour. Nothing stays, and an edge is added;
- ``static``: the middle frame. Appearance stays, movement goes;
- ``black``: no light.
"""

from dataclasses import dataclass
from typing import Literal, get_args

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from analysis.core.grid import Grid
from rspnet.models.branch import IMAGENET_MEAN, IMAGENET_STD

Fill = Literal["blur", "mean", "static", "black"]
FILLS: tuple[Fill, ...] = ("blur", "mean", "static")
Floats = NDArray[np.float64]


def filling(clip: Tensor, fill: Fill, grid: Grid) -> Tensor:
    """What stands in for the pixels of a clip.

    Args:
        clip: Normalised, (1, 3, T, H, W).
        fill: ``blur``, ``mean``, ``static`` or ``black``.
        grid: Of the clip's map; its stride sets the width of the blur.

    Shape:
        -> (1, 3, T, H, W), or what broadcasts to it.

    Raises:
        ValueError: There is no such fill.
    """
    if fill == "mean":
        return clip.mean(dim=(2, 3, 4), keepdim=True).expand_as(clip)
    if fill == "static":
        middle = clip.shape[2] // 2
        return clip[:, :, middle : middle + 1].expand_as(clip)
    if fill == "black":
        mean, std = (clip.new_tensor(v).view(1, 3, 1, 1, 1) for v in (IMAGENET_MEAN, IMAGENET_STD))
        return (-mean / std).expand_as(clip)
    if fill == "blur":
        frames = clip[0].permute(1, 2, 3, 0).contiguous().cpu().numpy()
        _, sigma_y, sigma_x = grid.stride
        blurred = [
            cv2.GaussianBlur(
                frame, (0, 0), sigmaX=sigma_x, sigmaY=sigma_y, borderType=cv2.BORDER_REPLICATE
            )
            for frame in frames
        ]
        return torch.from_numpy(np.stack(blurred)).permute(3, 0, 1, 2)[None].to(clip)
    raise ValueError(f"a fill is one of {list(get_args(Fill))}, got {fill!r}")


@dataclass(frozen=True)
class CellSwap:
    """A clip of which some cells show something else.

    A cell's pixels are its territory on the grid, in all channels: each pixel and frame belongs
    to one cell.

    Attributes:
        clip: Normalised, (1, 3, T, H, W).
        fill: What the other cells show, the same shape.
        grid: Of the clip's map.
    """

    clip: Tensor
    fill: Tensor
    grid: Grid

    @classmethod
    def of(cls, clip: Tensor, fill: Fill, grid: Grid) -> "CellSwap":
        """With one of the fills of this module.

        Raises:
            ValueError: There is no such fill.
        """
        return cls(clip, filling(clip, fill, grid), grid)

    def __call__(self, kept_BTHW: Tensor) -> Tensor:
        """Clips that keep some cells.

        Args:
            kept_BTHW: Not 0 where a cell keeps its pixels.

        Shape:
            (B, T', H', W') -> (B, 3, T, H, W), channels last in memory.

        Raises:
            ValueError: The cells are not those of the grid.
        """
        if kept_BTHW.ndim != 4 or tuple(kept_BTHW.shape[1:]) != self.grid.cells:
            raise ValueError(
                f"cells to keep are (B, {', '.join(map(str, self.grid.cells))}), "
                f"got {tuple(kept_BTHW.shape)}"
            )
        kept = kept_BTHW.to(self.clip.device) != 0
        for axis in range(3):
            cell = torch.from_numpy(self.grid.cell_of(axis)).to(kept.device)
            kept = kept.index_select(axis + 1, cell)
        clips = torch.where(kept[:, None], self.clip, self.fill)
        return clips.contiguous(memory_format=torch.channels_last_3d)


def sum_into_cells(values_THW: NDArray[np.floating], grid: Grid) -> Floats:
    """Values of pixels summed over the territory of each cell; the total stays the same.

    Shape:
        (T, H, W) of the clip -> (T', H', W').

    Raises:
        ValueError: The values are not those of the grid's clip.
    """
    if values_THW.shape != grid.clip:
        raise ValueError(f"values of pixels are (T, H, W) = {grid.clip}, got {values_THW.shape}")
    t, y, x = (grid.weights(axis, smooth=False) for axis in range(3))
    columns = values_THW.astype(np.float64) @ x  # (T, H, W')
    planes = np.tensordot(t, columns, (0, 0))  # (T', H, W')
    return np.asarray(np.tensordot(y, planes, (0, 1)).swapaxes(0, 1), float)


def num_pixels(grid: Grid) -> Floats:
    """Pixels times frames in the territory of each cell, (T', H', W')."""
    return sum_into_cells(np.ones(grid.clip), grid)
