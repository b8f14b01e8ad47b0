"""Maps over time: every time step of a clip side by side, the heads under each other::

    python -m analysis strips --model M --video_i A.mp4 --video_j B.mp4 --out strip.png
    python -m analysis strips --out pair.mp4

A picture (.png, .svg, .pdf) shows each step of the maps on the frame nearest to its centre, with
the frame's number in its video and what the step contributes. A film (.mp4) is that of
:func:`analysis.figures.overlay.pair_video`: both clips side by side, a head a row.
"""

import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.figure import Figure

from analysis.attribution.pair_clips import PairClips
from analysis.attribution.pair_maps import KindMaps, explain_kind
from analysis.attribution.registry import DEFAULT_MAP, map_kind, map_kinds
from analysis.core.clip import Frames, View
from analysis.core.clip_map import ClipMap
from analysis.core.grid import TIME, Grid
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


def pair_rows(pair: PairClips, kind: str = DEFAULT_MAP) -> list[StripRow]:
    """Rows of a pair: c_i by each head, then c_j by each head.

    Args:
        pair: The clips.
        kind: Key of a registered kind of map.

    Raises:
        ValueError: The pair has no such maps.
    """
    return rows_of(explain_kind(kind, pair), pair.view_i, pair.view_j)


def rows_of(found: KindMaps, view_i: View, view_j: View) -> list[StripRow]:
    """Rows of maps that are known already: all of c_i, then all of c_j."""
    return [
        # A class stands above its clip; a head is known by its map.
        StripRow(
            name=f"{found.titles.get(row, '')}\n$c_{'ij'[side]}$".strip(),
            view=view,
            clip_map=both[side],
        )
        for side, view in enumerate((view_i, view_j))
        for row, both in found.rows.items()
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

    Example:
        >>> import tempfile
        >>> from analysis import PairClips, draw_strip, example_branch, example_views
        >>> from analysis.figures.style import save
        >>> branch = example_branch()
        >>> c_i, c_j = example_views(2)
        >>> rows = pair_rows(PairClips.of(branch, branch, c_i, c_j), "contribution")
        >>> save(draw_strip(rows), f"{tempfile.mkdtemp()}/strip.png").name
        'strip.png'
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
    base, _, shifts = found.kind.partition(", ")
    kind = map_kinds().get(base)
    if kind is None:
        name = found.kind.replace("_", " ")
    elif not kind.sums_to:
        name = f"{kind.title} of {kind.symbol}"  # which its map need not sum to
    else:
        name = kind.symbol if kind.symbol == "s" else kind.title
    lines = [name, *([shifts] if shifts else [])]
    name = "\n".join(part for line in lines for part in textwrap.wrap(line, _WIDEST_KIND))
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


def pair_film(
    pair: PairClips, kind: str = DEFAULT_MAP, *, fps: float = 8.0, share: float = 0.25
) -> bytes:
    """Both clips side by side, a head a row, as an H.264 film that browsers play.

    Args:
        pair: The clips.
        kind: Key of a registered kind of map.
        fps: Frames per second of the film.
        share: Of the positive contribution that the regions are to hold, whose boxes are drawn.

    Raises:
        ValueError: A number is out of range, or the pair has no such maps.
    """
    return film_of(
        explain_kind(kind, pair), pair.view_i.frames, pair.view_j.frames, fps=fps, share=share
    )


def film_of(
    found: KindMaps,
    frames_i: Frames,
    frames_j: Frames,
    *,
    limits: Mapping[str, tuple[float, float]] | None = None,
    fps: float = 8.0,
    share: float = 0.25,
    opacity: float = 0.75,
    smooth: bool = True,
    scale: int = 2,
    caption: str = "",
) -> bytes:
    """The film of maps that are known already.

    Args:
        found: The maps.
        frames_i: Frames of c_i, of any size, (T, H, W, 3).
        frames_j: Frames of c_j, of the same shape.
        limits: Ends of the colour scale of each row's two maps; nothing: one for all maps of a
            score.
        fps: Frames per second of the film.
        share: Of the positive contribution that the regions are to hold, whose boxes are drawn.
        opacity: See :func:`~analysis.figures.overlay.draw_overlay`.
        smooth: The same.
        scale: Enlarge the frames so many times.
        caption: Before the words on the boxes.

    Raises:
        ValueError: A number is out of range.
    """
    kind = map_kind(found.kind)
    rows = []
    for row, both in found.rows.items():
        boxes = []
        for clip_map in both:
            box = region_of_interest(clip_map.values, share).box
            size = frames_i.shape[1], frames_i.shape[2]
            boxes.append(None if box is None else clip_map.grid.in_pixels(box, size))
        title = found.titles.get(row) or TITLES[row]
        title = title if len(title) <= 9 else f"{title[:8]}\N{HORIZONTAL ELLIPSIS}"
        i, j = both
        own = limits[row] if limits is not None else None
        rows.append(Row(title, i.score, i.values, j.values, boxes[0], boxes[1], kind.symbol, own))
    words = f"boxes: region of interest, {100 * share:g}% of the positive contribution"
    return pair_video(
        frames_i,
        frames_j,
        rows,
        next(iter(found.rows.values()))[0].grid,
        next(iter(found.rows.values()))[1].grid,
        fps=fps,
        opacity=opacity,
        smooth=smooth,
        scale=scale,
        units=(kind.units, kind.units if found.has_one_target else "contribution to s, per cell"),
        caption=f"{kind.title}   {caption or words}",
    )
