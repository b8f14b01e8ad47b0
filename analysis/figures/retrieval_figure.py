"""The picture of :mod:`analysis.attribution.retrieval.explain`: query and hits with their maps."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from analysis.attribution.retrieval.result import RetrievalExplanation, VideoMaps
from analysis.attribution.retrieval.unit import UnitClips
from analysis.core.clip import Frames
from analysis.core.clip_map import ClipMap
from analysis.core.grid import TIME
from analysis.figures.style import (
    CATEGORIES,
    COLOURS,
    GREY,
    INK,
    PAGE_INCHES,
    TITLES,
    colour_bar,
    frame_border,
    number,
    show_map,
    style,
    values_at,
    wrapped,
)
from rspnet.retrieval.gallery import Protocol
from rspnet.retrieval.vectors import load_views

RIGHT = CATEGORIES[0]
# Inches.
_SIDE, _GAP, _EDGE, _HEAD, _LABEL, _BAR = 0.9, 0.06, 0.05, 0.28, 0.2, 0.42
_MOST_INCHES, _LEAST_INCHES = 1.5, 6.4  # of a panel; of the page, whose bars need room
_SMALL = 6.5  # points


@dataclass(frozen=True, kw_only=True)
class RetrievalFigure:
    """The picture and what it shows in words.

    Attributes:
        figure: To be saved with :func:`analysis.figures.style.save`.
        caption: With the scores' protocol, model and completeness error.
    """

    figure: Figure
    caption: str


@dataclass(frozen=True)
class _Panel:
    """A frame and its map there."""

    frame: Frames
    clip_map: ClipMap
    values: NDArray[np.float64]


@dataclass(frozen=True)
class _Row:
    """Panels side by side, with words left of them and above each."""

    title: str
    panels: list[_Panel]
    above: list[str]


class _Page:
    """Axes and words placed by inches from the top left corner."""

    def __init__(self, width: float, height: float, size: float) -> None:
        self.figure = Figure((width, height))
        self.width, self.height, self.size = width, height, size

    def axes(self, left: float, top: float, width: float, height: float) -> Axes:
        place = (left / self.width, 1 - (top + height) / self.height)
        return self.figure.add_axes((*place, width / self.width, height / self.height))

    def panel(self, column: int, top: float) -> Axes:
        return self.axes(self.middle(column) - self.size / 2, top, self.size, self.size)

    def middle(self, column: int) -> float:
        return _SIDE + column * (self.size + _GAP) + self.size / 2

    def text(self, left: float, top: float, words: str, **options: Any) -> None:
        place: dict[str, Any] = {"va": "top", **options}
        self.figure.text(left / self.width, 1 - top / self.height, words, **place)

    def short(self, label: str) -> str:
        """A label that is no wider than a panel."""
        label, most = label.replace("_", " "), max(round(self.size * 13), 4)
        return label if len(label) <= most else label[: most - 1] + "\N{HORIZONTAL ELLIPSIS}"


def strongest(video: VideoMaps) -> tuple[int, int]:
    """The clip and the frame of it where a video's maps say most.

    Returns:
        The clip whose values have the largest |sum|, and the frame nearest to the time step whose
        values do.
    """
    sums_NT = np.stack([m.values.sum(axis=(1, 2)) for m in video.maps])
    clip = int(np.abs(sums_NT.sum(axis=1)).argmax())
    step = int(np.abs(sums_NT[clip]).argmax())
    grid = video.maps[clip].grid
    centre = grid.centres(TIME)[step]
    return clip, int(np.clip(round(float(centre)), 0, grid.clip[TIME] - 1))


class _Films:
    """Clips of videos, each video decoded once."""

    def __init__(self, protocol: Protocol) -> None:
        self.protocol = protocol
        self._known: dict[str, Frames] = {}

    def clips(self, path: str) -> Frames:
        """(num_clips, T, size, size, 3)."""
        if path not in self._known:
            views = load_views(Path(path), self.protocol)
            self._known[path] = views.frames[views.places]
        return self._known[path]

    def panel(self, video: VideoMaps) -> _Panel:
        clip, at = strongest(video)
        own = video.maps[clip]
        return _Panel(self.clips(video.path)[clip, at], own, values_at(own.values, own.grid, at))


def _caption(found: RetrievalExplanation) -> str:
    p = found.protocol
    pooled = f"{p.pooling}-pooled features" if found.feature == "backbone" else "unit embedding"
    return (
        f"Of {found.num_videos} videos the nearest to the query by the cosine s of the mean "
        f"{pooled} ({TITLES[found.feature]}) of {p.num_clips} clips. Each panel shows the clip "
        "and the frame where the map says most; the maps of all clips sum to s, and those of the "
        "last row to the gap in s to the next hit (numbers above), within "
        f"{found.completeness_error:.0e}. \N{CHECK MARK} and a blue border: the query's class. "
        f"Model {found.model_hash[:12] or 'unnamed'}."
    )


def draw_retrieval(
    found: RetrievalExplanation, *, opacity: float = 0.75, with_caption: bool = True
) -> RetrievalFigure:
    """Draw query and hits.

    The rows: the query with what makes it near to each hit, the hits with the same, and the query
    with what makes each hit nearer than the one that follows. The first two share a colour scale.

    Args:
        found: Result of :func:`analysis.attribution.retrieval.explain_retrieval`; its videos are
            read again.
        opacity: See :func:`~analysis.figures.overlay.draw_overlay`.
        with_caption: Write the caption below.

    Raises:
        ValueError: A video can't be read any more.
    """
    films = _Films(found.protocol)
    num = len(found.hits)
    size = min(_MOST_INCHES, (PAGE_INCHES - _SIDE - _EDGE - num * _GAP) / (num + 1))
    width = max(_SIDE + (num + 1) * (size + _GAP), _LEAST_INCHES)
    rows = _rows(found, films)
    tops = [_HEAD, _HEAD + size + _GAP, 2 * (_HEAD + size) + _GAP + 0.1]
    bars = tops[len(rows) - 1] + size + (0.1 if found.gaps else _LABEL + 0.1)
    with style():
        caption = _caption(found)
        lines = wrapped(caption, width - 2 * _EDGE, _SMALL) if with_caption else []
        page = _Page(width, bars + _BAR + 0.125 * len(lines) + _EDGE, size)
        _draw_query(page, found, rows[0].panels[0].frame)
        # What is of s shares a scale, what is of gaps has its own.
        shared = _limit([*rows[0].panels, *rows[1].panels])
        limits = [shared, shared, *(_limit(row.panels) for row in rows[2:])]
        for n, (row, top, limit) in enumerate(zip(rows, tops, limits, strict=False)):
            page.text(_EDGE, top + 0.02, row.title, fontsize=7)
            for column, (panel, above) in enumerate(zip(row.panels, row.above, strict=True), 1):
                axis = page.panel(column, top)
                show_map(
                    axis, panel.frame, panel.values, panel.clip_map.grid, limit, opacity=opacity
                )
                page.text(page.middle(column), top - 0.15, above, ha="center", fontsize=_SMALL)
                if n == 1:
                    _draw_name(page, axis, column, top, found.label, found.hits[column - 1].label)
        kinds = ("contribution to s, per cell", "to the gap in s, per cell")
        for n, (limit, kind) in enumerate(zip(limits[1:], kinds, strict=False)):
            left = _SIDE + n * (width - _SIDE) / 2
            bar = colour_bar(
                page.figure, [], limit, "", opacity=opacity, orientation="horizontal",
                place=page.axes(left, bars, 1.3, 0.09),
            )  # fmt: skip
            bar.ax.tick_params(length=2, pad=1.5, labelsize=_SMALL)
            page.text(left + 1.42, bars - 0.015, kind, fontsize=_SMALL)
        for n, line in enumerate(lines):
            page.text(_EDGE, bars + _BAR + 0.125 * n, line, fontsize=_SMALL, color=GREY)
    return RetrievalFigure(figure=page.figure, caption=caption)


def draw_unit(found: UnitClips, *, opacity: float = 0.75) -> RetrievalFigure:
    """Draw the videos that excite a unit most, each with the map of where; one colour scale.

    Args:
        found: Result of :func:`analysis.explain_unit`; its videos are read again.
        opacity: See :func:`~analysis.figures.overlay.draw_overlay`.

    Raises:
        ValueError: A video can't be read any more.
    """
    films, title = _Films(found.protocol), TITLES.get(found.feature, found.feature)
    panels = [films.panel(own.maps) for own in found.videos]
    limit, num = _limit(panels), len(panels)
    size = min(_MOST_INCHES, (PAGE_INCHES - 2 * _SIDE - num * _GAP) / num)
    caption = (
        f"Of {found.num_videos} videos those with the largest value v of unit {found.unit} "
        f"({title}), which the maps of all {found.protocol.num_clips} clips sum "
        "to; each panel shows the clip and the frame where its map says most. "
        f"Model {found.model_hash[:12] or 'unnamed'}."
    )
    with style():
        width = max(2 * _SIDE + num * (size + _GAP), _LEAST_INCHES)
        lines = wrapped(caption, width - 2 * _EDGE, _SMALL)
        bottom = _HEAD + size + _LABEL + 0.1
        page = _Page(width, bottom + 0.125 * len(lines) + _EDGE, size)
        page.text(
            _EDGE, _HEAD, f"{title}\nunit {found.unit}", fontweight="bold",
            fontsize=9, color=COLOURS.get(found.feature, INK),
        )  # fmt: skip
        for column, (own, panel) in enumerate(zip(found.videos, panels, strict=True)):
            axis = page.panel(column, _HEAD)
            show_map(axis, panel.frame, panel.values, panel.clip_map.grid, limit, opacity=opacity)
            above = f"{own.rank}:  v = {_cosine(own.value)}"
            page.text(page.middle(column), _HEAD - 0.15, above, ha="center", fontsize=_SMALL)
            label = page.short(own.label or "no label")
            below = _HEAD + size + 0.04
            page.text(page.middle(column), below, label, ha="center", fontsize=_SMALL)
        bar = colour_bar(
            page.figure, [], limit, "", opacity=opacity,
            place=page.axes(page.middle(num - 1) + size / 2 + 0.1, _HEAD, 0.09, size),
        )  # fmt: skip
        bar.ax.tick_params(length=2, pad=1.5, labelsize=_SMALL)
        bar.ax.set_ylabel("contribution to v, per cell", fontsize=_SMALL)
        for n, line in enumerate(lines):
            page.text(_EDGE, bottom + 0.125 * n, line, fontsize=_SMALL, color=GREY)
    return RetrievalFigure(figure=page.figure, caption=caption)


def _rows(found: RetrievalExplanation, films: _Films) -> list[_Row]:
    rows = [
        _Row(
            "query:\nwhat makes\nit near to\nthe hit below",
            [films.panel(hit.query_maps) for hit in found.hits],
            [f"{hit.rank}:  s = {_cosine(hit.similarity)}" for hit in found.hits],
        ),
        _Row(
            "hits:\nthe same", [films.panel(h.hit_maps) for h in found.hits], [""] * len(found.hits)
        ),
    ]
    if found.gaps:
        gaps = [
            f"s{_low(g.rank)} \N{MINUS SIGN} s{_low(g.other_rank)} = {number(g.gap)}"
            for g in found.gaps
        ]
        title = "query:\nwhat makes\nit nearer to\nthis hit than\nto the next"
        panels = [films.panel(gap.query_maps) for gap in found.gaps]
        rows.append(_Row(title, panels, gaps))
    return rows


def _draw_query(page: _Page, found: RetrievalExplanation, frame: Frames) -> None:
    page.text(
        _EDGE, 0.07, TITLES[found.feature], fontweight="bold", fontsize=9,
        color=COLOURS[found.feature],
    )  # fmt: skip
    axis = page.panel(0, _HEAD)
    # Enlarged as the frames with maps are.
    show_map(axis, frame, None, found.hits[0].query_maps.maps[0].grid, 1.0)
    frame_border(axis, INK, width=0.6)
    page.text(page.middle(0), _HEAD - 0.15, "query", ha="center", fontsize=_SMALL)
    label = page.short(found.label or "class not known")
    page.text(page.middle(0), _HEAD + page.size + 0.04, label, ha="center", fontsize=_SMALL)


def _draw_name(page: _Page, axis: Axes, column: int, top: float, query: str, hit: str) -> None:
    right = bool(query) and hit == query
    frame_border(axis, RIGHT if right else GREY, width=2.2 if right else 0.6)
    page.text(
        page.middle(column),
        top + page.size + 0.04,
        page.short(hit) + (" \N{CHECK MARK}" if right else ""),
        ha="center",
        fontsize=_SMALL,
        color=RIGHT if right else INK,
        fontweight="bold" if right else "normal",
    )


def _limit(panels: Sequence[_Panel]) -> float:
    return max(float(np.abs(panel.values).max()) for panel in panels) or 1.0


def _cosine(value: float) -> str:
    return f"{value:+.3f}".replace("-", "\N{MINUS SIGN}")


def _low(rank: int) -> str:
    return f"$_{{{rank}}}$"
