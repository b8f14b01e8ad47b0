"""Maps over time: every time step of a clip side by side, the heads under each other::

    python -m analysis strips --model M --video_i A.mp4 --video_j B.mp4 --out strip.png
    python -m analysis strips --out pair.mp4

A picture (.png, .svg, .pdf) shows each step of the maps on the frame nearest to its centre, with
the frame's number in its video and what the step contributes. A film (.mp4) is that of
:func:`analysis.figures.overlay.pair_video`: both clips side by side, a head a row.
"""

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.figure import Figure

from analysis.core.clip import View
from analysis.core.clip_map import ClipMap
from analysis.core.grid import TIME, Grid
from analysis.figures.figure_inputs import ShownPair
from analysis.figures.overlay import Row, common_limit, pair_video
from analysis.figures.style import (
    COLOURS,
    PAGE_INCHES,
    TITLES,
    colour_bar,
    show_map,
    style,
)
from analysis.regions.boxes import region_of_interest
from analysis.regions.tracks import maps_of_pair

_SIDE, _EDGE, _GAP, _LABEL, _FOOT = 0.75, 0.05, 0.05, 0.2, 0.42  # inches
_WIDEST = 10  # letters beside a picture
_WIDEST_KIND = 15  # which is written smaller
_MOST_INCHES = 1.5  # of a panel: few steps do not make huge ones


@dataclass(frozen=True, kw_only=True)
class StripRow:
    """One row of a strip.

    Attributes:
        name: Of the clip, such as ``$c_i$``.
        view: The clip that the map was computed from.
        clip_map: Its map by one head.
    """

    name: str
    view: View
    clip_map: ClipMap


def _fixed(value: float, digits: int) -> str:
    return f"{value:+.{digits}f}".replace("-", "\N{MINUS SIGN}")


def step_frames(grid: Grid) -> list[int]:
    """The frame nearest to the centre of each time step of a map; of two, the earlier."""
    last = grid.clip[TIME] - 1
    return [int(np.clip(np.ceil(centre - 0.5), 0, last)) for centre in grid.centres(TIME)]


def pair_rows(pair: ShownPair) -> list[StripRow]:
    """Rows of a pair: c_i by each head, then c_j by each head."""
    maps = {head: maps_of_pair(pair.maps, head) for head in pair.maps.heads}
    return [
        StripRow(name=name, view=view, clip_map=maps[head][side])
        for side, (name, view) in enumerate((("$c_i$", pair.view_i), ("$c_j$", pair.view_j)))
        for head in maps
    ]


def draw_strip(
    rows: Sequence[StripRow],
    *,
    limit: float | None = None,
    opacity: float = 0.75,
    smooth: bool = True,
) -> Figure:
    """Draw maps over time, all on one scale.

    Args:
        rows: From top to bottom.
        limit: End of the colour scale. Nothing: the largest absolute value of all maps.
        opacity: See :func:`~analysis.figures.overlay.draw_overlay`.
        smooth: The same.

    Raises:
        ValueError: There are no rows, their maps differ in the number of time steps, or a clip is
            not the one that its map was computed from.
    """
    if not rows:
        raise ValueError("there are no maps to draw")
    counts = sorted({row.clip_map.grid.cells[TIME] for row in rows})
    if len(counts) > 1:
        raise ValueError(f"maps in one strip have as many time steps each, got {counts}")
    for row in rows:
        if row.view.frames.shape[:3] != row.clip_map.grid.clip:
            raise ValueError(
                f"the map is of a clip of (T, H, W) = {row.clip_map.grid.clip}, got frames of "
                f"{row.view.frames.shape[:3]}: these are not what it was computed from"
            )
    limit = limit or common_limit([row.clip_map.values for row in rows])
    num = counts[0]
    size = min(_MOST_INCHES, (PAGE_INCHES - _SIDE - _EDGE - (num - 1) * _GAP) / num)
    # The bar and its words need room even under few steps.
    width = max(_SIDE + num * size + (num - 1) * _GAP + _EDGE, 5.0)
    height = _EDGE + len(rows) * (size + _LABEL) + _FOOT
    with style():
        figure = Figure((width, height))
        for n, row in enumerate(rows):
            top = _EDGE + n * (size + _LABEL)
            _draw_row(figure, row, top, size, limit, opacity=opacity, smooth=smooth)
        place = figure.add_axes((_SIDE / width, 0.27 / height, 2.0 / width, 0.09 / height))
        bar = colour_bar(
            figure, [], limit, "", opacity=opacity, place=place, orientation="horizontal"
        )
        bar.ax.tick_params(length=2, pad=1.5, labelsize=6.5)
        figure.text(
            (_SIDE + 2.4) / width,
            0.36 / height,
            f"{rows[0].clip_map.units}\nbelow each frame: the sum of its step",
            va="top",
            fontsize=6.5,
        )
    return figure


def _score_of(found: ClipMap) -> str:
    value = _fixed(found.score, 3)
    if not found.exact and found.kind != "eq2":
        # What a method was asked about, which its map need not sum to.
        method = found.kind.replace("_", "\n")
        return f"{method}\nof {value}"
    parts = found.kind.replace(", ", ",\n").splitlines()
    kind = "\n".join(line for part in parts for line in textwrap.wrap(part, _WIDEST_KIND))
    name = "s" if found.kind == "contribution" else kind
    score = f"{name} = {value}"
    return score if len(score) <= 11 else f"{name}\n{value}"


def _draw_row(
    figure: Figure,
    row: StripRow,
    top: float,
    size: float,
    limit: float,
    *,
    opacity: float,
    smooth: bool,
) -> None:
    width, height = figure.get_size_inches()
    found, indices = row.clip_map, row.clip_map.clip.frame_indices
    colour, title = COLOURS.get(found.head, "black"), TITLES.get(found.head, found.head)
    left = 0.05 / width
    figure.text(left, 1 - (top + 0.02) / height, title, va="top", fontweight="bold", color=colour)
    # Long names are broken: beside them a picture begins.
    lines = [part for line in row.name.splitlines() for part in textwrap.wrap(line, _WIDEST)]
    figure.text(left, 1 - (top + 0.18) / height, "\n".join(lines), va="top", fontsize=9)
    below = top + 0.36 + 0.15 * max(0, len(lines) - 1)
    figure.text(left, 1 - below / height, _score_of(found), va="top", fontsize=6.5)
    for step, frame in enumerate(step_frames(found.grid)):
        x = _SIDE + step * (size + _GAP)
        axis = figure.add_axes((x / width, 1 - (top + size) / height, size / width, size / height))
        picture, values = row.view.frames[frame], found.values[step]
        show_map(axis, picture, values, found.grid, limit, opacity=opacity, smooth=smooth)
        shown = indices[frame] if indices else frame
        figure.text(
            (x + size / 2) / width,
            1 - (top + size + 0.03) / height,
            f"frame {shown}:  {_fixed(float(values.sum()), 2)}",
            va="top",
            ha="center",
            fontsize=6.5,
        )


def pair_film(pair: ShownPair, *, fps: float = 8.0, share: float = 0.25) -> bytes:
    """Both clips side by side, a head a row, as an H.264 film that browsers play.

    Args:
        pair: The clips with their maps.
        fps: Frames per second of the film.
        share: Of the positive contribution that the regions are to hold, whose boxes are drawn.

    Raises:
        ValueError: A number is out of range.
    """
    rows = []
    for head in pair.maps.heads:
        maps = maps_of_pair(pair.maps, head)
        regions = [region_of_interest(m.values, share).box for m in maps]
        box_i, box_j = (
            None if box is None else m.grid.in_pixels(box)
            for box, m in zip(regions, maps, strict=True)
        )
        rows.append(Row(TITLES[head], maps[0].score, maps[0].values, maps[1].values, box_i, box_j))
    return pair_video(
        pair.view_i.frames,
        pair.view_j.frames,
        rows,
        pair.maps.grid_i,
        pair.maps.grid_j,
        fps=fps,
        caption=f"boxes: region of interest, {100 * share:g}% of the positive contribution",
    )
