"""Figure 1 of the supplementary, rebuilt for any model and any videos::

    python -m analysis figure1 --out figure1.png
    python -m analysis figure1 --model M --video-i A.mp4 --video-j B.mp4 --gallery G --out FIG.pdf

(a) a query and the videos nearest to it by each head; (b) for each head the similarity activation
maps of two clips, with the region of interest of each and an arrow between the two. All maps of
(b) are on one colour scale unless asked otherwise, and are drawn on the frames that they were
computed from.
"""

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import ConnectionPatch
from matplotlib.patheffects import Stroke, withStroke
from numpy.typing import NDArray

from analysis.figures.figure_inputs import (
    Found,
    Retrieval,
    ShownPair,
    retrieve_generated,
    retrieve_in_gallery,
)
from analysis.figures.overlay import common_limit
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
from analysis.regions.tracks import PairTracks, tracks_of_pair
from rspnet.retrieval.gallery import Gallery

SHARE = 0.25
RIGHT = CATEGORIES[0]
UNITS = "contribution to s, per cell"
# Inches.
_SIDE, _GAP, _WIDE, _EDGE = 0.68, 0.05, 0.26, 0.04
_HEAD, _LABEL = 0.2, 0.16
_SMALL = 6.5  # points


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


def _draw_found(page: _Page, found: Found, left: float, top: float, size: float) -> None:
    axis = page.axes(left, top, size, size)
    axis.imshow(found.frame)
    axis.set_xticks([])
    axis.set_yticks([])
    colour = RIGHT if found.right else GREY
    frame_border(axis, colour, width=2.2 if found.right else 0.6)
    mark = " \N{CHECK MARK}" if found.right else ""
    page.text(
        left + size / 2,
        top + size + 0.04,
        f"{_short(found.label)}  {found.similarity:.2f}{mark}",
        ha="center",
        fontsize=_SMALL,
        color=colour if found.right else INK,
        fontweight="bold" if found.right else "normal",
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
    middle = top + (len(retrieval.found) - 1) * (size + _LABEL + _GAP) / 2
    axis = page.axes(lefts[0], middle, size, size)
    axis.imshow(retrieval.frame)
    axis.set_xticks([])
    axis.set_yticks([])
    frame_border(axis, INK, width=0.6)
    label = _short(retrieval.label) or "class not known"
    page.text(lefts[0] + size / 2, middle + size + 0.04, label, ha="center", fontsize=_SMALL)
    for feature, found in retrieval.found.items():
        page.text(
            0.04, top + 0.02, TITLES[feature], fontweight="bold", color=COLOURS[feature],
            fontsize=8.5,
        )  # fmt: skip
        for left, one in zip(lefts[1:], found, strict=False):
            _draw_found(page, one, left, top, size)
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


def _draw_head(
    page: _Page,
    pair: ShownPair,
    head: str,
    maps: tuple[NDArray[np.float64], NDArray[np.float64]],
    tracks: PairTracks,
    frames: Sequence[int],
    limit: float,
    top: float,
) -> list[Axes]:
    """One row of panel (b)."""
    lefts, size = _columns(len(frames), len(frames))
    page.text(0.04, top + 0.02, TITLES[head], fontweight="bold", color=COLOURS[head], fontsize=8.5)
    similarity = pair.maps.heads[head].similarity
    page.text(0.04, top + 0.19, f"s = {_cosine(similarity)}", fontsize=_SMALL)
    axes = []
    ends: list[list[tuple[Axes, float, float]]] = [[], []]
    clips = ((pair.view_i, pair.maps.grid_i), (pair.view_j, pair.maps.grid_j))
    sides = (tracks.tracks_i, tracks.tracks_j)
    for n, ((view, grid), values, own) in enumerate(zip(clips, maps, sides, strict=True)):
        for k, frame in enumerate(frames):
            axis = page.axes(lefts[n * len(frames) + k], top, size, size)
            box = own.main.boxes[frame] if own.main else None
            picture = view.frames[frame]
            show_map(axis, picture, values_at(values, grid, frame), grid, limit, box=box)
            axes.append(axis)
            if box is not None:
                x = box.left if n else box.right
                ends[n].append((axis, x, box.centre[1]))
    if ends[0] and ends[1]:
        # Of both regions the boxes that stand nearest to each other on the page.
        _arrow(page, ends[0][-1], ends[1][0])
    return axes


def _maps_of(
    pair: ShownPair, head: str, kind: str
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    maps = pair.maps.heads[head]
    if kind == "contribution":
        return maps.contribution_i, maps.contribution_j
    if kind != "eq2":
        raise ValueError(f"kind is 'contribution' or 'eq2', got {kind!r}")
    if maps.eq2_i is None or maps.eq2_j is None:
        raise ValueError(
            f"Eq. 2 is of linear heads, the head {head!r} of this model is not linear: "
            "take the exact contributions"
        )
    return maps.eq2_i, maps.eq2_j


def _caption(
    pair: ShownPair,
    retrieval: Retrieval | None,
    tracks: dict[str, PairTracks],
    kind: str,
    scale: str,
) -> str:
    maps = pair.maps
    parts = []
    if retrieval is not None:
        p = retrieval.protocol
        parts.append(
            f"(a) Of {retrieval.num_videos} {retrieval.what} the nearest to the query by the "
            f"cosine of the mean embedding of {p.num_clips} clips; \N{CHECK MARK} and a blue "
            "border: the query's class."
        )
    speeds = [f"{info.speed:g}x" for info in (maps.clip_i, maps.clip_j)]
    played = f"at {speeds[0]}" if speeds[0] == speeds[1] else f"at {speeds[0]} and {speeds[1]}"
    same = maps.clip_i.video == maps.clip_j.video
    whose = "Two clips of one video" if same else "Clips of two videos"
    what = (
        "the signed contribution of every cell to the cosine similarity s"
        if kind == "contribution"
        else "Eq. 2 of the supplementary, whose mean is s without norms and bias"
    )
    similar = ", ".join(
        f"{TITLES[head]}\N{NO-BREAK SPACE}s\N{NO-BREAK SPACE}=\N{NO-BREAK SPACE}"
        f"{_cosine(m.similarity)}"
        for head, m in maps.heads.items()
    )
    error = max(m.completeness_error for m in maps.heads.values())
    first = next(iter(tracks.values())).tracks_i
    parts.append(
        f"(b) {whose} {played}; {what}, on {maps.grid_i} over {maps.grid_i.clip[0]} frames, "
        f"{'one scale for all' if scale == 'shared' else 'one scale a head'}. {similar}; "
        f"contributions sum to s within {error:.0e}. Boxes: the largest region, followed through "
        f"time, of the fewest cells that hold {100 * first.share:g}% of the positive contribution; "
        "an arrow joins those of both clips."
    )
    parts.append(f"Model {maps.model_hash[:12] or 'unnamed'}.")
    return " ".join(parts)


def draw_figure1(
    pair: ShownPair,
    retrieval: Retrieval | None = None,
    *,
    num_frames: int = 3,
    kind: str = "contribution",
    scale: str = "shared",
    share: float = SHARE,
    with_caption: bool = True,
) -> Figure1:
    """Draw the figure.

    Args:
        pair: For (b).
        retrieval: For (a); nothing leaves it out.
        num_frames: Frames of each clip that are shown, spread evenly over it.
        kind: ``contribution``, the exact map that sums to s, or ``eq2``, Eq. 2 verbatim.
        scale: ``shared`` by both heads, or ``head``: one each.
        share: Of the positive contribution that the regions are to hold.
        with_caption: Write the caption below the figure.

    Raises:
        ValueError: A number or choice is out of range, or the heads are not linear for ``eq2``.
    """
    if scale not in ("shared", "head"):
        raise ValueError(f"scale is 'shared' or 'head', got {scale!r}")
    heads = list(pair.maps.heads)
    frames = shown_frames(len(pair.view_i.frames), num_frames)
    tracks = {head: tracks_of_pair(pair.maps, head, share=share) for head in heads}
    maps = {head: _maps_of(pair, head, kind) for head in heads}
    limits = {head: common_limit(maps[head]) for head in heads}
    if scale == "shared":
        limits = dict.fromkeys(heads, max(limits.values()))
    caption = _caption(pair, retrieval, tracks, kind, scale)
    lines = wrapped(caption, PAGE_INCHES - 0.2, _SMALL) if with_caption else []

    _, size = _columns(num_frames, num_frames)
    rows_a = len(retrieval.found) if retrieval else 0
    top_b = (_HEAD + rows_a * (size + _LABEL + _GAP) + 0.06 if retrieval else 0.0) + 0.04
    bars = top_b + _HEAD + 0.16 + len(heads) * (size + 0.08) + 0.04
    height = bars + 0.42 + (0.06 + 0.125 * len(lines) if lines else 0)
    with style():
        page = _Page(height)
        if retrieval is not None:
            _draw_retrieval(page, retrieval, 0.04, num_frames)
        page.text(0.04, top_b, "(b)", fontweight="bold", fontsize=9)
        lefts, size = _columns(num_frames, num_frames)
        for n, (name, info) in enumerate((("i", pair.maps.clip_i), ("j", pair.maps.clip_j))):
            first, last = lefts[n * num_frames], lefts[(n + 1) * num_frames - 1] + size
            page.text((first + last) / 2, top_b + 0.01, f"$c_{name}$", ha="center", fontsize=9)
            for k, frame in enumerate(frames):
                left = lefts[n * num_frames + k]
                words = f"frame {info.frame_indices[frame]}" if info.frame_indices else ""
                page.text(left + size / 2, top_b + _HEAD, words, ha="center", fontsize=_SMALL)
        top = top_b + _HEAD + 0.16
        for head in heads:
            axes = _draw_head(page, pair, head, maps[head], tracks[head], frames, limits[head], top)
            top += size + 0.08
        shown = [("", heads[0])] if scale == "shared" else [(f"{TITLES[h]}: ", h) for h in heads]
        unit = UNITS if kind == "contribution" else "Eq. 2, per cell"
        for n, (prefix, head) in enumerate(shown):
            place = page.axes(lefts[0] + n * 3.2, bars, 2.2, 0.09)
            bar = colour_bar(
                page.figure, axes, limits[head], "", place=place, orientation="horizontal"
            )
            bar.ax.tick_params(length=2, pad=1.5, labelsize=_SMALL)
            page.text(lefts[0] + n * 3.2 + 2.34, bars - 0.015, prefix + unit, fontsize=_SMALL)
        for n, line in enumerate(lines):
            page.text(0.04, bars + 0.42 + 0.125 * n, line, fontsize=_SMALL, color=GREY)
    return Figure1(figure=page.figure, caption=caption, tracks=tracks)


def _retrieval(options: argparse.Namespace, pair: ShownPair) -> Retrieval | None:
    num = 2 * options.frames - 1
    if options.gallery:
        if options.video_i is None:
            raise ValueError("a gallery needs a query: give --video-i")
        gallery = Gallery.load(options.gallery)
        return retrieve_in_gallery(pair.query, gallery, options.video_i, num, options.features)
    if options.video_i is not None or options.num_videos == 0:
        return None
    return retrieve_generated(pair.query, options.seed, options.num_videos, num, options.features)
