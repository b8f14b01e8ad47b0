"""Where in a clip something moves, and how much of a map lies there."""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from analysis.core.grid import Grid

Map = NDArray[np.floating]
Frames = NDArray[np.uint8]


@dataclass(frozen=True)
class InsideShare:
    """How much of a map lies inside a mask.

    Attributes:
        share: Of the map's positive contribution, the share inside; 0 if nothing is positive.
        area: Share of the clip's pixels inside: what a map that knows nothing would give.
    """

    share: float
    area: float

    @property
    def ratio(self) -> float:
        """share / area; 1 for a map that knows nothing."""
        return self.share / self.area if self.area > 0 else 0.0


def cell_coverage(mask_THW: NDArray[np.bool_], grid: Grid) -> Map:
    """Share of every cell's territory that a mask of pixels covers, (T', H', W').

    Args:
        mask_THW: Of the clip, at any number of pixels, (T, H, W).
        grid: Where the cells lie.

    Raises:
        ValueError: The mask is not (T, H, W), or too coarse to have pixels in each cell.
    """
    if mask_THW.ndim != 3:
        raise ValueError(f"a mask has the shape (T, H, W), got {mask_THW.shape}")
    t, y, x = (grid.weights(a, n, smooth=False) for a, n in enumerate(mask_THW.shape))
    pixels = t.sum(0)[:, None, None] * y.sum(0)[:, None] * x.sum(0)
    if not pixels.all():
        raise ValueError(
            f"a mask of {mask_THW.shape} has no pixels in some of the {grid}; give a finer one"
        )
    columns = mask_THW.astype(np.float64) @ x  # (T, H, W')
    planes = np.tensordot(t, columns, (0, 0))  # (T', H, W')
    covered = np.tensordot(y, planes, (0, 1)).swapaxes(0, 1)  # (T', H', W')
    return np.asarray(covered / pixels)


def share_inside(map_THW: Map, mask_THW: NDArray[np.bool_], grid: Grid) -> InsideShare:
    """Share of a map's positive contribution inside a mask of pixels.

    A cell whose territory the mask covers in part counts in that part: a cell is all that the map
    resolves.

    Args:
        map_THW: Signed contributions, (T', H', W').
        mask_THW: Pixels of the clip that the map is of, (T, H, W).
        grid: Where the map's cells lie.

    Raises:
        ValueError: A shape does not fit.
    """
    grid.check(map_THW)
    positive = np.clip(map_THW, 0, None)
    total = float(positive.sum())
    inside = float((positive * cell_coverage(mask_THW, grid)).sum())
    return InsideShare(inside / total if total > 0 else 0.0, float(mask_THW.mean()))


def moving_pixels(frames: Frames, *, threshold: float = 12.0) -> NDArray[np.bool_]:
    """Pixels whose grey value changes from one frame to the next.

    The difference to the frame before or after, whichever is larger, of lightly blurred grey
    frames, above ``threshold`` (of 255 grey levels). Camera motion is not removed.

    Shape:
        (T, H, W, 3) uint8 -> (T, H, W) booleans.

    Raises:
        ValueError: The frames have another shape.
    """
    if frames.ndim != 4 or frames.shape[-1] != 3:
        raise ValueError(f"frames are (T, H, W, 3), got {frames.shape}")
    gray = np.stack(
        [cv2.GaussianBlur(cv2.cvtColor(f, cv2.COLOR_RGB2GRAY), (0, 0), 1.0) for f in frames]
    ).astype(np.float32)
    change = np.abs(np.diff(gray, axis=0))
    none = np.zeros((1, *gray.shape[1:]), np.float32)
    largest = np.maximum(np.concatenate([none, change]), np.concatenate([change, none]))
    return np.asarray(largest > threshold)
