"""Regions of interest: the cells that carry a similarity, by a stated rule, and their box.

The rule: of the cells with a positive contribution take the smallest set that holds at least
``share`` of the positive total (largest first, ties in reading order); of this set keep the
face-connected component with the largest total; the box is its bounding box.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from analysis.core.grid import Box

Map = NDArray[np.floating]


@dataclass(frozen=True)
class Region:
    """A region of interest.

    Attributes:
        mask: Its cells, booleans of the map's shape.
        box: Its bounding box in cells over all times, or None if no cell is positive.
        boxes: One box a time step, in cells; None where the region is empty at that time.
        share: Share of the map's positive contribution that lies inside.
        area: Share of the map's cells that lie inside.
    """

    mask: NDArray[np.bool_]
    box: Box | None
    boxes: tuple[Box | None, ...]
    share: float
    area: float


def _check_map(map_THW: Map) -> None:
    if map_THW.ndim != 3:
        raise ValueError(f"a map has the shape (T', H', W'), got {map_THW.shape}")
    if not np.isfinite(map_THW).all():
        raise ValueError("the map holds values that are not finite")


def smallest_set(map_THW: Map, share: float) -> NDArray[np.bool_]:
    """The fewest positive cells that hold at least ``share`` of the positive total.

    Raises:
        ValueError: ``share`` is not in (0, 1].
    """
    if not 0 < share <= 1:
        raise ValueError(f"share is above 0 and at most 1, got {share}")
    positive = np.clip(map_THW, 0, None).ravel()
    order = np.argsort(-positive, kind="stable")
    total = positive.sum()
    chosen = np.zeros(positive.shape, np.bool_)
    if total > 0:
        reached = np.cumsum(positive[order]) / total
        # Rounding must not take one cell more than needed.
        count = int(np.searchsorted(reached, share - 1e-12)) + 1
        chosen[order[:count]] = True
        chosen &= positive > 0
    return chosen.reshape(map_THW.shape)


def largest_component(mask: NDArray[np.bool_], weight: Map) -> NDArray[np.bool_]:
    """The face-connected component of ``mask`` with the largest total of ``weight``."""
    best, best_total = np.zeros_like(mask), -np.inf
    left = mask.copy()
    while left.any():
        start = tuple(int(i) for i in np.argwhere(left)[0])
        component = np.zeros_like(mask)
        component[start] = True
        stack = [start]
        while stack:
            cell = stack.pop()
            for axis in range(mask.ndim):
                for step in (-1, 1):
                    near = list(cell)
                    near[axis] += step
                    at = tuple(near)
                    if 0 <= near[axis] < mask.shape[axis] and left[at] and not component[at]:
                        component[at] = True
                        stack.append(at)
        left &= ~component
        total = float(weight[component].sum())
        if total > best_total:
            best, best_total = component, total
    return best


def _bounding_box(mask_HW: NDArray[np.bool_]) -> Box | None:
    rows, columns = np.flatnonzero(mask_HW.any(axis=1)), np.flatnonzero(mask_HW.any(axis=0))
    if len(rows) == 0:
        return None
    return Box(float(columns[0]), float(rows[0]), float(columns[-1] + 1), float(rows[-1] + 1))


def region_of_interest(map_THW: Map, share: float = 0.5) -> Region:
    """The region of interest of a map; see this module for the rule.

    Args:
        map_THW: Signed contributions, (T', H', W').
        share: Share of the positive contribution that the set of cells is to hold. The region
            itself, one component of that set, may hold a smaller share: see ``Region.share``.

    Raises:
        ValueError: The map's shape or values, or the share, do not serve.
    """
    _check_map(map_THW)
    mask = largest_component(smallest_set(map_THW, share), map_THW)
    total = float(np.clip(map_THW, 0, None).sum())
    return Region(
        mask=mask,
        box=_bounding_box(np.asarray(mask.any(axis=0))),
        boxes=tuple(_bounding_box(step) for step in mask),
        share=float(map_THW[mask].sum()) / total if total > 0 else 0.0,
        area=float(mask.mean()),
    )
