"""Figure 1 of the supplementary, rebuilt for any model and any videos::

    python -m analysis figure1 --out figure1.png
    python -m analysis figure1 --model M --video_i A.mp4 --video_j B.mp4 --gallery G --out FIG.pdf

(a) a query and the videos nearest to it by each head; (b) for each head the maps of two clips, of
any registered kind (:mod:`analysis.attribution.registry`), with the region of interest of each and
an arrow between the two. Maps of one score share one colour scale unless chosen otherwise; beside a
margin in c_i the map of c_j is of s, on a scale of its own. All maps are drawn on the frames that
they were computed from.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import ConnectionPatch
from matplotlib.patheffects import Stroke, withStroke

from analysis.attribution.pair_clips import PairClips
from analysis.attribution.pair_maps import KindMaps, explain_kind
from analysis.attribution.registry import DEFAULT_MAP, MapKind, map_kind, map_kinds
from analysis.core.clip import View
from analysis.core.clip_map import ClipMap
from analysis.core.grid import Box
from analysis.figures.figure_inputs import Hit, Retrieval
from analysis.figures.overlay import map_limits
from analysis.figures.style import (
    CATEGORIES,
    COLOURS,
    GREY,
    INK,
    PAGE_INCHES,
    TITLES,
    colour_bar,
    frame_border,
    show_map,
    style,
    values_at,
    wrapped,
)
from analysis.regions.boxes import region_of_interest
from analysis.regions.tracks import PairTracks, tracks_of

Boxes = Sequence[Box | None]
SHARE = 0.25
CORRECT = CATEGORIES[0]
# Inches.
_SIDE, _GAP, _WIDE, _EDGE = 0.68, 0.05, 0.26, 0.04
_HEAD, _LABEL = 0.2, 0.16
_SMALL = 6.5  # points
_BAR = 0.26  # from a colour bar to the next


@dataclass(frozen=True, kw_only=True)
class Figure1:
    """The figure and what stands in it.

    Attributes:
        figure: To be saved with :func:`analysis.figures.style.save`.
        caption: What it shows, with s, grid, rule and completeness error.
        tracks: The regions of (b), by head.
    """

    figure: Figure
    caption: str
    tracks: dict[str, PairTracks]


class _Page:
    """Axes placed by inches from the top left corner, so that all pictures have one size."""

    def __init__(self, height: float) -> None:
        self.figure = Figure((PAGE_INCHES, height))
        self.height = height

    def axes(self, left: float, top: float, width: float, height: float) -> Axes:
        return self.figure.add_axes(
            (
                left / PAGE_INCHES,
                1 - (top + height) / self.height,
                width / PAGE_INCHES,
                height / self.height,
            )
        )

    def text(self, left: float, top: float, words: str, **options: Any) -> None:
        place: dict[str, Any] = {"va": "top", "ha": "left", **options}
        self.figure.text(left / PAGE_INCHES, 1 - top / self.height, words, **place)


def shown_frames(num_frames: int, num: int) -> list[int]:
    """Frames of a clip spread evenly over it, each in the middle of its part.

    Raises:
        ValueError: ``num`` is not between 1 and the number of frames.
    """
    if not 1 <= num <= num_frames:
        raise ValueError(f"between 1 and the clip's {num_frames} frames can be shown, got {num}")
    return [(2 * k + 1) * num_frames // (2 * num) for k in range(num)]


def _columns(num: int, first: int) -> tuple[list[float], float]:
    """Left edges of ``2 * num`` pictures with a wide gap after ``first``, and their size."""
    room = PAGE_INCHES - _SIDE - _EDGE - _WIDE - (2 * num - 2) * _GAP
    size = room / (2 * num)
    lefts = [_SIDE + k * (size + _GAP) + (_WIDE - _GAP) * (k >= first) for k in range(2 * num)]
    return lefts, size


def _draw_hit(page: _Page, hit: Hit, left: float, top: float, size: float) -> None:
    axis = page.axes(left, top, size, size)
    axis.imshow(hit.frame)
    axis.set_xticks([])
    axis.set_yticks([])
    colour = CORRECT if hit.correct else GREY
    frame_border(axis, colour, width=2.2 if hit.correct else 0.6)
    mark = " \N{CHECK MARK}" if hit.correct else ""
    page.text(
        left + size / 2,
        top + size + 0.04,
        f"{_short(hit.label)}  {hit.similarity:.2f}{mark}",
        ha="center",
        fontsize=_SMALL,
        color=colour if hit.correct else INK,
        fontweight="bold" if hit.correct else "normal",
    )


def _cosine(value: float) -> str:
    return f"{value:+.3f}".replace("-", "\N{MINUS SIGN}")


def _short(label: str, most: int = 15) -> str:
    label = label.replace("_", " ")
    return label if len(label) <= most else label[: most - 1] + "\N{HORIZONTAL ELLIPSIS}"


def _draw_retrieval(page: _Page, retrieval: Retrieval, top: float, num: int) -> float:
    """Panel (a) from ``top`` on. Returns where it ends."""
    page.text(0.04, top, "(a)", fontweight="bold", fontsize=9)
    lefts, size = _columns(num, 1)
    page.text(lefts[0] + size / 2, top + 0.02, "query", ha="center")
    page.text(lefts[1] + (lefts[-1] + size - lefts[1]) / 2, top + 0.02,
              "nearest first: class, cosine", ha="center")  # fmt: skip
    top += _HEAD
    # The query stands between its rows, as it is one for all of them.
    middle = top + (len(retrieval.hits) - 1) * (size + _LABEL + _GAP) / 2
    axis = page.axes(lefts[0], middle, size, size)
    axis.imshow(retrieval.frame)
    axis.set_xticks([])
    axis.set_yticks([])
    frame_border(axis, INK, width=0.6)
    label = _short(retrieval.label) or "class not known"
    page.text(lefts[0] + size / 2, middle + size + 0.04, label, ha="center", fontsize=_SMALL)
    for feature, found in retrieval.hits.items():
        page.text(
            0.04, top + 0.02, TITLES[feature], fontweight="bold", color=COLOURS[feature],
            fontsize=8.5,
        )  # fmt: skip
        for left, one in zip(lefts[1:], found, strict=False):
            _draw_hit(page, one, left, top, size)
        top += size + _LABEL + _GAP
    return top


def _arrow(page: _Page, start: tuple[Axes, float, float], end: tuple[Axes, float, float]) -> None:
    (axis_i, x_i, y_i), (axis_j, x_j, y_j) = start, end
    arrow = ConnectionPatch(
        (x_i, y_i), (x_j, y_j), "data", "data", axesA=axis_i, axesB=axis_j,
        arrowstyle="-|>", mutation_scale=9, shrinkA=0, shrinkB=0, linewidth=1.3, color=INK,
        zorder=10,
    )  # fmt: skip
    arrow.set_path_effects([Stroke(linewidth=3.2, foreground="white"), withStroke()])
    page.figure.add_artist(arrow)


def _draw_row(
    page: _Page,
    row: str,
    found: KindMaps,
    views: Sequence[View],
    boxes: tuple[Boxes, Boxes],
    frames: Sequence[int],
    limits: tuple[float, float],
    top: float,
    **drawn: Any,
) -> list[Axes]:
    """One row of panel (b)."""
    lefts, size = _columns(len(frames), len(frames))
    page.text(
        0.04,
        top + 0.02,
        _title(found, row),
        fontweight="bold",
        color=COLOURS.get(row, INK),
        fontsize=8.5,
    )
    for n, words in enumerate(_scores(found, row)):
        page.text(0.04, top + 0.19 + 0.12 * n, words, fontsize=_SMALL)
    axes = []
    ends: list[list[tuple[Axes, float, float]]] = [[], []]
    for n, (view, clip_map) in enumerate(zip(views, found.rows[row], strict=True)):
        grid = clip_map.grid
        for k, frame in enumerate(frames):
            axis = page.axes(lefts[n * len(frames) + k], top, size, size)
            box = boxes[n][frame]
            picture = view.frames[frame]
            values = values_at(clip_map.values, grid, frame)
            show_map(axis, picture, values, grid, limits[n], box=box, **drawn)
            axes.append(axis)
            if box is not None:
                x = box.left if n else box.right
                ends[n].append((axis, x, box.centre[1]))
    if ends[0] and ends[1]:
        # Of both regions the boxes that stand nearest to each other on the page.
        _arrow(page, ends[0][-1], ends[1][0])
    return axes


def _title(found: KindMaps, row: str) -> str:
    return _short(found.titles.get(row) or TITLES[row], 9)


def _scores(found: KindMaps, row: str) -> list[str]:
    """The scores of a row's two maps; one where both clips have the same."""
    kind, (i, _) = map_kind(found.kind), found.rows[row]
    if not found.has_one_target:
        return [f"{kind.symbol} = {_cosine(i.score)}", f"s = {_cosine(found.similarity[row])}"]
    if row in found.similarity:
        return [f"s = {_cosine(found.similarity[row])}"]
    return [
        f"$c_{side}$: {kind.symbol} = {_cosine(found.score(row, n))}" for n, side in enumerate("ij")
    ]


def _caption(
    found: KindMaps, retrieval: Retrieval | None, scale: str, share: float, follow: bool
) -> str:
    kind = map_kind(found.kind)
    first_i, first_j = next(iter(found.rows.values()))
    clip_i, clip_j, grid = first_i.clip, first_j.clip, first_i.grid
    parts = []
    if retrieval is not None:
        p = retrieval.protocol
        parts.append(
            f"(a) Of {retrieval.num_videos} {retrieval.what} the nearest to the query by the "
            f"cosine of the mean embedding of {p.num_clips} clips; \N{CHECK MARK} and a blue "
            "border: the query's class."
        )
    speeds = [f"{info.speed:g}x" for info in (clip_i, clip_j)]
    played = f"at {speeds[0]}" if speeds[0] == speeds[1] else f"at {speeds[0]} and {speeds[1]}"
    whose = "Two clips of one video" if clip_i.video == clip_j.video else "Clips of two videos"
    space = "\N{NO-BREAK SPACE}"
    scores = ", ".join(
        f"{_title(found, row)} {words}".replace(" ", space)
        for row in found.rows
        for words in _scores(found, row)
    )
    error = found.completeness_error
    sums = f"; the maps sum to their scores within {error:.0e}" if error is not None else ""
    shared = {"shared": "one scale for all", "head": "one scale a row", "map": "one scale a map"}[
        scale
    ]
    if not found.has_one_target and scale != "map":
        shared += " maps of one clip"
    followed = "followed through time, " if follow else ""
    parts.append(
        f"{'(b) ' if parts else ''}{whose} {played}, {kind.title}. {kind.text.replace('`', '')} "
        f"{grid} over {grid.clip[0]} frames, {shared}. {scores}{sums}. Boxes: the "
        f"largest region, {followed}of the fewest cells that hold {100 * share:g}% of the positive "
        "contribution; an arrow joins those of both clips."
    )
    parts.append(f"Model {first_i.model_hash[:12] or 'unnamed'}.")
    return " ".join(parts)


def _bars(
    found: KindMaps, kind: MapKind, limits: dict[str, tuple[float, float]], scale: str
) -> list[tuple[str, float]]:
    """Label and end of every colour bar below the panels."""
    rows = [next(iter(found.rows))] if scale == "shared" else list(found.rows)
    bars = []
    for row in rows:
        name = "" if scale == "shared" else f"{_title(found, row)}: "
        if found.has_one_target and scale != "map":
            bars.append((name + kind.units, limits[row][0]))
        else:
            other = f"{name}$c_j$: {map_units(found.rows[row][1])}"
            bars += [(f"{name}$c_i$: {kind.units}", limits[row][0]), (other, limits[row][1])]
    return bars


def map_units(clip_map: ClipMap) -> str:
    """Units of a map by its kind."""
    return map_kind(clip_map.kind).units if clip_map.kind in map_kinds() else clip_map.units


def pair_tracks(found: KindMaps, share: float = SHARE) -> dict[str, PairTracks]:
    """The regions of every row's maps, followed through both clips.

    Raises:
        ValueError: ``share`` is out of range.
    """
    tracks = {}
    for row, both in found.rows.items():
        c_i, c_j = (tracks_of(clip_map, share=share) for clip_map in both)
        tracks[row] = PairTracks(c_i.score, c_i, c_j)
    return tracks


def _clip_boxes(clip_map: ClipMap, share: float) -> Boxes:
    """One box for the whole clip, as the dashboard draws it."""
    box = region_of_interest(clip_map.values, share).box
    return (None if box is None else clip_map.grid.in_pixels(box),) * clip_map.grid.clip[0]


def _boxes(
    found: KindMaps, tracks: PairTracks, row: str, share: float, follow: bool
) -> tuple[Boxes, Boxes]:
    """Of c_i and of c_j the box in every frame."""
    if not follow:
        i, j = found.rows[row]
        return _clip_boxes(i, share), _clip_boxes(j, share)
    none = (None,) * found.rows[row][0].grid.clip[0]
    main = (tracks.tracks_i.main, tracks.tracks_j.main)
    i_boxes, j_boxes = (own.boxes if own else none for own in main)
    return i_boxes, j_boxes


def draw_figure1(
    pair: PairClips | KindMaps,
    retrieval: Retrieval | None = None,
    *,
    num_frames: int = 3,
    kind: str = DEFAULT_MAP,
    scale: str = "shared",
    share: float = SHARE,
    follow: bool = True,
    opacity: float = 0.75,
    smooth: bool = True,
    with_caption: bool = True,
) -> Figure1:
    """Draw the figure.

    Args:
        pair: For (b): the clips, or their maps where they are known already.
        retrieval: For (a); nothing draws (b) alone.
        num_frames: Frames of each clip that are shown, spread evenly over it.
        kind: Key of a registered kind of map, where the clips are given.
        scale: ``shared`` by both heads, one for each ``head``, or one for each ``map``.
        share: Of the positive contribution that the regions are to hold.
        follow: Whether boxes follow the region through time; else one is drawn for the whole
            clip, as in the dashboard.
        opacity: See :func:`~analysis.figures.overlay.draw_overlay`.
        smooth: The same.
        with_caption: Write the caption below the figure.

    Raises:
        ValueError: A number or choice is out of range, or the pair has no such maps.

    Example:
        >>> import tempfile
        >>> from analysis import PairClips, draw_figure1, example_branch, example_views
        >>> from analysis.figures.style import save
        >>> branch = example_branch()
        >>> c_i, c_j = example_views(2)
        >>> drawn = draw_figure1(PairClips.of(branch, branch, c_i, c_j), kind="contribution")
        >>> save(drawn.figure, f"{tempfile.mkdtemp()}/figure1.png").name
        'figure1.png'
    """
    found = pair if isinstance(pair, KindMaps) else explain_kind(kind, pair)
    if found.views is None:
        raise ValueError("the maps have no frames to be drawn on: give the clips instead")
    views = found.views
    frames = shown_frames(len(views[0].frames), num_frames)
    rows = list(found.rows)
    tracks = pair_tracks(found, share)
    limits = map_limits(found, scale)
    bars = _bars(found, map_kind(found.kind), limits, scale)
    caption = _caption(found, retrieval, scale, share, follow)
    lines = wrapped(caption, PAGE_INCHES - 0.2, _SMALL) if with_caption else []

    _, size = _columns(num_frames, num_frames)
    rows_a = len(retrieval.hits) if retrieval else 0
    top_b = (_HEAD + rows_a * (size + _LABEL + _GAP) + 0.06 if retrieval else 0.0) + 0.04
    top_bars = top_b + _HEAD + 0.16 + len(rows) * (size + 0.08) + 0.04
    bottom = top_bars + _BAR * (len(bars) - 1) + 0.42
    height = bottom + (0.06 + 0.125 * len(lines) if lines else 0)
    with style():
        page = _Page(height)
        if retrieval is not None:
            _draw_retrieval(page, retrieval, 0.04, num_frames)
        if retrieval is not None:
            page.text(0.04, top_b, "(b)", fontweight="bold", fontsize=9)
        lefts, size = _columns(num_frames, num_frames)
        for n, view in enumerate(views):
            indices = view.info.frame_indices
            first, last = lefts[n * num_frames], lefts[(n + 1) * num_frames - 1] + size
            middle = (first + last) / 2
            page.text(middle, top_b + 0.01, f"$c_{'ij'[n]}$", ha="center", fontsize=9)
            for k, frame in enumerate(frames):
                left = lefts[n * num_frames + k]
                words = f"frame {indices[frame]}" if indices else ""
                page.text(left + size / 2, top_b + _HEAD, words, ha="center", fontsize=_SMALL)
        top = top_b + _HEAD + 0.16
        axes: list[Axes] = []
        for row in rows:
            boxes = _boxes(found, tracks[row], row, share, follow)
            drawn: dict[str, Any] = {"opacity": opacity, "smooth": smooth}
            axes += _draw_row(page, row, found, views, boxes, frames, limits[row], top, **drawn)
            top += size + 0.08
        for n, (words, limit) in enumerate(bars):
            at = top_bars + _BAR * n
            place = page.axes(lefts[0], at, 2.2, 0.09)
            bar = colour_bar(
                page.figure, axes, limit, "", place=place, opacity=opacity,
                orientation="horizontal",
            )  # fmt: skip
            bar.ax.tick_params(length=2, pad=1.5, labelsize=_SMALL)
            page.text(lefts[0] + 2.34, at - 0.015, words, fontsize=_SMALL)
        for n, line in enumerate(lines):
            page.text(0.04, bottom + 0.125 * n, line, fontsize=_SMALL, color=GREY)
    return Figure1(figure=page.figure, caption=caption, tracks=tracks)
