"""A map drawn over the frames of its clip: the one way to a picture for every page.

Torch comes in with the first call, not with the import.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from analysis.attribution.registry import map_kinds
from analysis.figures.viewer.pictures import Frames, sheet

if TYPE_CHECKING:
    from analysis.attribution.pair_maps import KindMaps
    from analysis.core.clip_map import ClipMap
    from analysis.core.grid import Grid

PANEL_PIXELS = 336

FractionBox = tuple[float, float, float, float]


@dataclass(frozen=True)
class Panel:
    """What a page shows of one map.

    Attributes:
        sheet: All frames with the map drawn in, as a data URI.
        limit: End of the colour scale.
        box: Region of interest as parts of the picture's side, or None.
        total: What its cells come to: their sum, of Eq. 2 their mean.
        error: How far the sum is from what the network gives; None where nothing is promised.
        on_moving: Share of the positive contribution on moving pixels.
        moving: The moving pixels' own share of all pixels.
    """

    sheet: str
    limit: float
    box: FractionBox | None
    total: float
    error: float | None
    on_moving: float
    moving: float


def overlay_sheet(
    frames: "Frames",
    values: np.ndarray,
    grid: "Grid",
    limit: float,
    *,
    opacity: float = 0.75,
    smooth: bool = True,
) -> str:
    """All frames with a map drawn in, side by side, as a data URI.

    Args:
        frames: The frames that the map is of, at any size, (T, H, W, 3) uint8.
        values: The map, (T', H', W').
        grid: Where its cells lie.
        limit: End of the colour scale.
        opacity: Of the strongest colour.
        smooth: Interpolate between cells.
    """
    from analysis.figures.overlay import draw_overlay

    drawn = draw_overlay(frames, values, grid, limit=limit, opacity=opacity, smooth=smooth)
    return sheet(drawn)


def draw_panel(
    clip_map: "ClipMap",
    frames: "Frames",
    large: "Frames",
    limit: float,
    *,
    opacity: float = 0.75,
    smooth: bool = True,
) -> Panel:
    """A map with its numbers, drawn over its frames.

    Args:
        clip_map: The map.
        frames: Frames as the model sees them: where pixels move is measured on these.
        large: The same frames at the size that they are shown at.
        limit: End of the colour scale.
        opacity: Of the strongest colour.
        smooth: Interpolate between cells.
    """
    from analysis.regions.boxes import region_of_interest
    from analysis.regions.motion import moving_pixels, share_inside

    kind = map_kinds().get(clip_map.kind.partition(", ")[0])
    values, grid = clip_map.values, clip_map.grid
    inside = share_inside(values, moving_pixels(frames), grid)
    return Panel(
        sheet=overlay_sheet(large, values, grid, limit, opacity=opacity, smooth=smooth),
        limit=limit,
        box=fractions(grid, region_of_interest(values).box),
        total=kind.total(values) if kind else float(values.sum()),
        error=clip_map.completeness_error,
        on_moving=inside.share,
        moving=inside.area,
    )


def strongest_frame(found: "KindMaps") -> int:
    """The middle of the frames whose cells of c_i raise the first row's score the most."""
    return strongest_frame_of(next(iter(found.rows.values()))[0])


def strongest_frame_of(clip_map: "ClipMap") -> int:
    """The middle of the frames whose cells of a map come to most."""
    profile = clip_map.values.sum(axis=(1, 2))[clip_map.grid.cell_of(0)]
    best = np.flatnonzero(profile == profile.max())
    return int(best[(len(best) - 1) // 2])


def fractions(grid: "Grid", box: Any) -> FractionBox | None:
    """A box of cells as parts of the picture's side."""
    if box is None:
        return None
    unit = grid.in_pixels(box, (1, 1))
    return unit.left, unit.top, unit.right, unit.bottom


def colour_ramp(opacity: float, num_colours: int = 33) -> list[str]:
    """Colours of the scale from its lower to its upper end, as drawn on a grey frame."""
    from analysis.core.grid import Grid
    from analysis.figures.overlay import draw_overlay

    grey = np.full((1, num_colours, 1, 3), 150, np.uint8)
    values = np.linspace(-1, 1, num_colours).reshape(1, num_colours, 1)
    grid = Grid.even(values.shape, values.shape)
    drawn = draw_overlay(grey, values, grid, limit=1.0, opacity=opacity, smooth=False)
    return [f"rgb({r} {g} {b})" for r, g, b in drawn[0, :, 0].tolist()]
