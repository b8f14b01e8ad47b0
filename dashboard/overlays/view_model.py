"""From a request to what a page shows of its maps; what was drawn once is kept.

Torch comes in with the first call, not with the import.
"""

import hashlib
import html
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import streamlit as st

from analysis.figures.viewer.panel import (
    PANEL_PIXELS,
    FractionBox,
    Panel,
    colour_ramp,
    draw_panel,
    fractions,
)
from dashboard.overlays import maps
from dashboard.overlays.maps import BY_MODEL, Place
from dashboard.overlays.options import C_I, DisplayOptions
from dashboard.overlays.request import MapRequest
from dashboard.overlays.selection import Clip
from dashboard.services.models import Loaded
from rspnet.names import HEAD_TITLES

if TYPE_CHECKING:
    from analysis import Grid, KindMaps

FILM_PIXELS = 280
FILM_FPS = 8.0


@dataclass(frozen=True)
class PairView:
    """What the page shows of a pair.

    Attributes:
        found: The maps.
        panels: Of each row those of c_i and of c_j.
        ramp: Colours from the lower to the upper end of the scale, as they are drawn.
    """

    found: "KindMaps"
    panels: dict[str, tuple[Panel, Panel]]
    ramp: list[str]

    @property
    def grid(self) -> "Grid":
        """Of the maps of c_i."""
        return next(iter(self.found.rows.values()))[0].grid

    @property
    def strongest_frame(self) -> int:
        """The middle of the frames whose cells of c_i raise the first row's score the most."""
        profile = np.array(next(iter(self.panels.values()))[0].profile)
        best = np.flatnonzero(profile == profile.max())
        return int(best[(len(best) - 1) // 2])

    def title(self, row: str) -> str:
        """Name of a row: of the head, or of the class."""
        return self.found.titles.get(row) or HEAD_TITLES[row]

    def score(self, row: str) -> float:
        """What the map of c_i is of: s, the margin, the mean of Eq. 2, or the logit."""
        return self.found.score(row)


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


def moving_words(view: PairView) -> str:
    """How much of each map lies on moving pixels of c_i, as sentences of HTML."""
    (first, _), *_ = view.panels.values()
    if not first.moving:
        return f"No pixels of {C_I} move."
    shares = []
    for number, (row, (panel, _)) in enumerate(view.panels.items()):
        title, times = html.escape(view.title(row)), f"{panel.on_moving / panel.moving:.1f} times"
        whose = (
            f"{title}'s ({times})"
            if number
            else (f"the {title} map's positive part ({times} their area)")
        )
        shares.append(f"<b>{panel.on_moving:.0%}</b> of {whose}")
    return f"Moving pixels cover {first.moving:.0%} of {C_I}. They hold {' and '.join(shares)}."


def file_name(request: MapRequest, loaded: Loaded) -> str:
    """A short name that tells these maps from others, for files."""
    digest = hashlib.sha256(repr((loaded.query.hash, request)).encode()).hexdigest()[:8]
    return f"rspnet-{request.kind}-{digest}"


@st.cache_data(max_entries=48, show_spinner=False, hash_funcs=BY_MODEL)
def view_pair(request: MapRequest, display: DisplayOptions, loaded: Loaded) -> PairView:
    """Maps, numbers and pictures of a pair.

    Raises:
        ValueError: A clip can't be decoded or does not fit the model, or has no such map.
    """
    from analysis.figures.overlay import map_limits

    found = maps.maps_of(request, loaded)
    limits = map_limits(found, display.scale)
    clips = (request.clip_i, request.clip_j)
    small = [clip.frames(clip.size) for clip in clips]
    # The same frames in the same view, at the size they are shown at.
    large = [clip.frames(PANEL_PIXELS) for clip in clips]
    panels = {}
    drawn = display.drawn
    for row, both in found.rows.items():
        first, second = (
            draw_panel(clip_map, small[n], large[n], limits[row][n], **drawn)
            for n, clip_map in enumerate(both)
        )
        panels[row] = (first, second)
    return PairView(found, panels, colour_ramp(display.opacity))


@st.cache_data(max_entries=32, show_spinner=False, hash_funcs=BY_MODEL)
def view_partners(
    request: MapRequest, display: DisplayOptions, head: str, place: Place, loaded: Loaded
) -> Partners:
    """The places of c_j that go with a place of c_i.

    Raises:
        ValueError: There is no such place, or a clip can't be decoded.
    """
    from analysis.core.grid import Box
    from analysis.figures.overlay import common_limit

    found = maps.partners(request, head, place, loaded)
    grid, clip = maps.maps_of(request, loaded).rows[head][0].grid, request.clip_j
    limit = common_limit([found.values])
    panel = draw_panel(
        found, clip.frames(clip.size), clip.frames(PANEL_PIXELS), limit, **display.drawn
    )
    time, row, column = place
    frames = np.flatnonzero(grid.cell_of(0) == time)
    box = fractions(grid, Box(column, row, column + 1, row + 1))
    assert box is not None
    return Partners(found.score, panel, box, (int(frames[0]) + 1, int(frames[-1]) + 1))


@st.cache_data(max_entries=16, show_spinner=False, hash_funcs=BY_MODEL)
def film_of(
    request: MapRequest, display: DisplayOptions, titles: tuple[str, str], loaded: Loaded
) -> bytes:
    """The pair as one composed H.264 clip.

    Args:
        request: The maps.
        display: How they are drawn.
        titles: Of the two clips, from :func:`short_title`.
        loaded: The model.

    Raises:
        ValueError: A clip can't be decoded or does not fit the model.
    """
    from analysis.figures.overlay import map_limits
    from analysis.figures.strips import film_of as compose

    found = maps.maps_of(request, loaded)
    frames = [clip.frames(FILM_PIXELS) for clip in (request.clip_i, request.clip_j)]
    return compose(
        found,
        frames[0],
        frames[1],
        limits=map_limits(found, display.scale),
        fps=FILM_FPS,
        share=0.5,
        **display.drawn,
        scale=1,
        caption=f"c_i: {titles[0]}   c_j: {titles[1]}",
    )


def short_title(clip: Clip) -> str:
    """A clip in so few words that two of them fit below a film."""
    name = Path(clip.video.name).stem
    name = name if len(name) <= 24 else f"{name[:21]}..."
    return f"{name}, frames {clip.indices[0]} to {clip.indices[-1]}, {clip.speed}x"
