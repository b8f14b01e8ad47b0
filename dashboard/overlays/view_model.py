"""From a selection to numbers and pictures of its maps; what was drawn once is kept.

Torch comes in with the first call, not with the import.
"""

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import streamlit as st

from dashboard.base.pictures import sheet
from dashboard.overlays import maps, pair_maps
from dashboard.overlays.maps import Asked, Place
from dashboard.overlays.options import Look
from dashboard.overlays.pair_maps import PairMaps
from dashboard.overlays.selection import Clip, Selection
from dashboard.services.galleries import Frames
from dashboard.services.models import Loaded
from rspnet.names import HEAD_TITLES

if TYPE_CHECKING:
    from analysis import ClipMap, Grid
    from analysis.figures.overlay import Row

PANEL_PIXELS = 336
LOOP_PIXELS = 280
LOOP_FPS = 8.0

FractionBox = tuple[float, float, float, float]


@dataclass(frozen=True)
class Share:
    """Share of the positive contribution on moving pixels, and the moving pixels' own share."""

    share: float
    area: float


@dataclass(frozen=True)
class Panel:
    """What the page shows of one map.

    Attributes:
        total: What its cells come to: their sum, of Eq. 2 their mean.
        off: How far the sum is from what the network says; None where nothing is promised.
        limit: End of the colour scale.
        profile: Of each frame the sum of its time cell.
        box: Region of interest as parts of the picture's side, or None.
        moving: Shares on moving pixels.
        sheet: All frames with the map drawn in, as a data URI.
    """

    total: float
    off: float | None
    limit: float
    profile: list[float]
    box: FractionBox | None
    moving: Share
    sheet: str


@dataclass(frozen=True)
class HeadView:
    """What the page shows of one head.

    Attributes:
        title: Of the head, or of the class.
        similarity: s; of a class nothing.
        score: What the map of c_i is of: s, the margin, the mean of Eq. 2, or the logit.
        panels: Of c_i and of c_j.
        against: Clips that c_j is set against, 0 if it is not.
        probability: Of a class, in c_i and in c_j; None for a head.
        delta: Error of a numerical integral that the maps are; None for all other maps.
    """

    title: str
    similarity: float | None
    score: float
    panels: tuple[Panel, Panel]
    against: int
    delta: float | None = None
    probability: tuple[float, float] | None = None


@dataclass(frozen=True)
class PairView:
    """What the page shows of a pair.

    Attributes:
        heads: By name.
        grid: Of the maps of c_i.
        ramp: Colours from the lower to the upper end of the scale, as they are drawn.
    """

    heads: dict[str, HeadView]
    grid: "Grid"
    ramp: list[str]


@dataclass(frozen=True)
class Partners:
    """What the page shows of a place in c_i that was chosen.

    Attributes:
        total: The place's own contribution.
        panel: The map of c_j that belongs to it.
        box: The place, as parts of the picture's side.
        frames: First and last frame of its time step, from 1.
    """

    total: float
    panel: Panel
    box: FractionBox
    frames: tuple[int, int]


def view_pair(selection: Selection, loaded: Loaded) -> PairView:
    """Maps, numbers and pictures of the selected pair.

    Raises:
        ValueError: A clip can't be decoded or does not fit the model, or has no such map.
    """
    return _view(loaded.query.hash, maps.asked_of(selection), selection.look, loaded)


def partners_of(selection: Selection, head: str, place: Place, loaded: Loaded) -> Partners:
    """The places of c_j that go with a place of c_i.

    Raises:
        ValueError: There is no such place, or a clip can't be decoded.
    """
    asked = maps.asked_of(selection)
    return _partners(loaded.query.hash, asked, selection.look, head, place, loaded)


def loop_of(selection: Selection, loaded: Loaded) -> bytes:
    """The pair as one composed H.264 clip.

    Raises:
        ValueError: A clip can't be decoded or does not fit the model.
    """
    asked = maps.asked_of(selection)
    titles = _short(selection.clip_i), _short(selection.clip_j)
    return _loop(loaded.query.hash, asked, selection.look, titles, loaded)


def _short(clip: Clip) -> str:
    """A clip in so few words that two of them fit below a film."""
    name = Path(clip.video.name).stem
    name = name if len(name) <= 24 else f"{name[:21]}..."
    return f"{name}, frames {clip.indices[0]} to {clip.indices[-1]}, {clip.speed}x"


def file_name(selection: Selection, loaded: Loaded) -> str:
    """A short name that tells this view from others, for files."""
    asked = maps.asked_of(selection)
    digest = hashlib.sha256(repr((loaded.query.hash, asked)).encode()).hexdigest()[:8]
    return f"rspnet-{selection.look.kind}-{digest}"


def limits_of(found: PairMaps, scale: str) -> dict[str, tuple[float, float]]:
    """Ends of the colour scale of each head's two maps."""
    from analysis.figures.overlay import common_limit

    if scale == "map":
        return {
            name: (common_limit([i.values]), common_limit([j.values]))
            for name, (i, j) in found.heads.items()
        }
    own = {n: common_limit([m.values for m in both]) for n, both in found.heads.items()}
    if scale == "shared":
        own = dict.fromkeys(own, max(own.values()))
    return {name: (limit, limit) for name, limit in own.items()}


@st.cache_data(max_entries=48, show_spinner=False)
def _view(model: str, asked: Asked, look: Look, _loaded: Loaded) -> PairView:
    found = pair_maps.maps_of(asked, _loaded)
    limits = limits_of(found, look.scale)
    keys = (asked.clip_i, asked.clip_j)
    small = [maps.view_of(key).frames for key in keys]
    # The same frames in the same view, at the size they are shown at.
    large = [maps.frames_of(key, PANEL_PIXELS) for key in keys]

    def panels(name: str) -> tuple[Panel, Panel]:
        first, second = (
            _panel(found.heads[name][n], limits[name][n], look, small[n], large[n])
            for n in range(2)
        )
        return first, second

    return PairView(
        heads={
            name: HeadView(
                found.titles.get(name) or HEAD_TITLES[name],
                found.similarity.get(name),
                found.heads[name][0].score,
                panels(name),
                found.against.get(name, 0),
                found.delta.get(name),
                found.probability.get(name),
            )
            for name in found.heads
        },
        grid=next(iter(found.heads.values()))[0].grid,
        ramp=ramp_of(look.opacity),
    )


def _panel(clip_map: "ClipMap", limit: float, look: Look, small: Frames, large: Frames) -> Panel:
    from analysis.figures.overlay import draw_overlay
    from analysis.regions.boxes import region_of_interest
    from analysis.regions.motion import moving_pixels, share_inside

    values, grid = clip_map.values, clip_map.grid
    box = region_of_interest(values).box
    inside = share_inside(values, moving_pixels(small), grid)
    drawn = draw_overlay(
        large, values, grid, limit=limit, opacity=look.opacity, smooth=look.cells != "raw"
    )
    return Panel(
        total=clip_map.score if clip_map.kind == "eq2" else float(values.sum()),
        off=clip_map.completeness_error,
        limit=limit,
        profile=[float(v) for v in values.sum(axis=(1, 2))[grid.cell_of(0)]],
        box=_fractions(grid, box),
        moving=Share(inside.share, inside.area),
        sheet=sheet(drawn),
    )


def _fractions(grid: "Grid", box: Any) -> FractionBox | None:
    if box is None:
        return None
    unit = grid.in_pixels(box, (1, 1))
    return unit.left, unit.top, unit.right, unit.bottom


@st.cache_data(max_entries=32, show_spinner=False)
def _partners(
    model: str, asked: Asked, look: Look, head: str, place: Place, _loaded: Loaded
) -> Partners:
    from analysis.core.grid import Box
    from analysis.figures.overlay import common_limit

    found = maps.partners(asked, head, place, _loaded)
    grid = pair_maps.maps_of(asked, _loaded).heads[head][0].grid
    key = asked.clip_j
    panel = _panel(
        found,
        common_limit([found.values]),
        look,
        maps.view_of(key).frames,
        maps.frames_of(key, PANEL_PIXELS),
    )
    time, row, column = place
    frames = np.flatnonzero(grid.cell_of(0) == time)
    box = _fractions(grid, Box(column, row, column + 1, row + 1))
    assert box is not None
    return Partners(found.score, panel, box, (int(frames[0]) + 1, int(frames[-1]) + 1))


def ramp_of(opacity: float, num_colours: int = 33) -> list[str]:
    """Colours of the scale from its lower to its upper end, as drawn on a grey frame."""
    from analysis import Grid
    from analysis.figures.overlay import draw_overlay

    grey = np.full((1, num_colours, 1, 3), 150, np.uint8)
    values = np.linspace(-1, 1, num_colours).reshape(1, num_colours, 1)
    grid = Grid.even(values.shape, values.shape)
    drawn = draw_overlay(grey, values, grid, limit=1.0, opacity=opacity, smooth=False)
    return [f"rgb({r} {g} {b})" for r, g, b in drawn[0, :, 0].tolist()]


@st.cache_data(max_entries=16, show_spinner=False)
def _loop(model: str, asked: Asked, look: Look, titles: tuple[str, str], _loaded: Loaded) -> bytes:
    from analysis.figures.overlay import pair_video

    found = pair_maps.maps_of(asked, _loaded)
    # A row of a film has one scale.
    limits = [max(both) for both in limits_of(found, look.scale).values()]
    if asked.kind != "contribution":
        # One bar for all says "contribution to s", which this map is not: ask for a bar a head.
        limits[1] = float(np.nextafter(limits[1], np.inf))
    frames = [maps.frames_of(key, LOOP_PIXELS) for key in (asked.clip_i, asked.clip_j)]
    first = next(iter(found.heads.values()))
    grid_i, grid_j = (clip_map.grid for clip_map in first)
    what = "" if asked.kind == "contribution" else f"map: {first[0].kind.replace('_', ' ')}   "
    return pair_video(
        frames[0],
        frames[1],
        [_row(name, found) for name in found.heads],
        grid_i,
        grid_j,
        fps=LOOP_FPS,
        limit=limits,
        opacity=look.opacity,
        smooth=look.cells != "raw",
        scale=1,
        caption=f"{what}c_i: {titles[0]}   c_j: {titles[1]}",
    )


def _row(name: str, found: PairMaps) -> "Row":
    from analysis.figures.overlay import Row
    from analysis.regions.boxes import region_of_interest

    boxes = []
    for clip_map in found.heads[name]:
        box = region_of_interest(clip_map.values).box
        size = (LOOP_PIXELS, LOOP_PIXELS)
        boxes.append(clip_map.grid.in_pixels(box, size) if box is not None else None)
    i, j = found.heads[name]
    if name in found.titles:
        return Row(
            _brief(found.titles[name]), i.score, i.values, j.values, boxes[0], boxes[1], letter="v"
        )
    return Row(HEAD_TITLES[name], found.similarity[name], i.values, j.values, boxes[0], boxes[1])


def _brief(name: str, most: int = 9) -> str:
    """A class's name in the width of a film's margin."""
    return name if len(name) <= most else f"{name[: most - 1]}\N{HORIZONTAL ELLIPSIS}"
