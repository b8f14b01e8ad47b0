"""Search by a part of the query: what matches it by motion and by appearance, and where."""

import html
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import streamlit as st

from analysis.figures.viewer.panel import PANEL_PIXELS, overlay_sheet
from analysis.regions.rectangle import Rectangle
from dashboard.app_pages.retrieval import explain
from dashboard.app_pages.retrieval.explain import ExplainRequest
from dashboard.base import links
from dashboard.base.session import state_of
from dashboard.base.state import choose_region
from dashboard.base.style import signed
from dashboard.overlays.clip_ref import ClipRef
from dashboard.widgets import cards, shell

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from analysis.attribution.retrieval.explain import VideoFeatures

NUM_HITS = 5
SIDES = ("Times", "Rows", "Columns")


@dataclass(frozen=True)
class Region:
    """Cells of one clip of a query.

    Attributes:
        clip: Which of the query's clips, from 0.
        ranges: First and last cell in time, down and across, from 0.
    """

    clip: int
    ranges: tuple[tuple[int, int], ...]

    def cells(self, shape: tuple[int, int, int]) -> "NDArray[np.bool_]":
        """Whether each cell of the clip is in it, (T', H', W')."""
        import numpy as np

        inside = np.zeros(shape, bool)
        inside[tuple(slice(first, last + 1) for first, last in self.ranges)] = True
        return inside


@dataclass
class Searched:
    """What a visitor has searched for.

    Attributes:
        query: Name of the query.
        region: The part of it; None before the first search.
        drawn: A part of its frames that a link named, until it is searched for.
    """

    query: str = ""
    region: Region | None = None
    drawn: Rectangle | None = None


def take(given: str | None) -> None:
    """Take the part that a link draws, in frames of the query's video; a bad one is said."""
    if given is not None:
        chosen = choose_region(given)
        state_of(Searched).drawn = Rectangle.parse(chosen.value) if chosen.value else None
        if chosen.note:
            links.note(chosen.note)


@st.cache_resource(max_entries=4, show_spinner=False, hash_funcs=explain.HASHES)
def _features(one: ExplainRequest) -> "VideoFeatures":
    from analysis.attribution.retrieval.explain import check_unchanged, features_of_video

    found = one.pool.gallery
    with one.loaded.lock:
        seen = features_of_video(
            one.loaded.query, found.paths[one.query], found.protocol, one.feature
        )
    check_unchanged(seen, found, one.query)
    return seen


@st.cache_data(max_entries=16, show_spinner=False, hash_funcs=explain.HASHES)
def _tiles(one: ExplainRequest, region: Region) -> list[str]:
    """The best hits, each with the cells that match drawn over its clip, HTML."""
    from analysis.attribution.retrieval.region import match_region, rank_region, region_vector

    seen, gallery = _features(one), one.pool.gallery
    vector = region_vector(seen, region.clip, region.cells(seen.grid.cells))
    hits = rank_region(gallery, one.feature, vector, one.query)[:NUM_HITS]
    with one.loaded.lock:
        found = [match_region(seen, gallery, vector, hit.index) for hit in hits]
    shown = []
    for hit, maps in zip(hits, found, strict=True):
        title = one.pool.videos[hit.index].title
        alt = f"No. {hit.rank} by {explain.NAMES[one.feature]}: {title}, where it matches"
        shown.append((maps, alt, f"{hit.rank}. {title}", f"adds {signed(hit.share)}"))
    return explain.tiles_of(shown)


def draw(requests: Sequence[ExplainRequest]) -> None:
    """The panel: choose a part of the query, search, and see what matches where.

    Args:
        requests: One a feature of the first model.
    """
    searched, first = state_of(Searched), requests[0]
    # It stays open while what was drawn elsewhere has been found in it.
    is_same = searched.query == first.pool.videos[first.query].name
    is_open = bool(searched.drawn or (searched.region and is_same))
    title = "Search by a part of the query"
    with st.expander(title, expanded=is_open, icon=":material/select:", key="region"):
        _panel(requests)


@st.fragment
def _panel(requests: Sequence[ExplainRequest]) -> None:
    try:
        _draw(requests)
    except ValueError as error:
        shell.show_error(error)


def _draw(requests: Sequence[ExplainRequest]) -> None:
    first, searched = requests[0], state_of(Searched)
    query = first.pool.videos[first.query]
    if searched.query != query.name:
        searched.query, searched.region = query.name, None
    if searched.drawn is not None:
        st.session_state["region_open"] = True
    if not st.toggle("Choose a part", key="region_open"):
        st.caption(
            "Choose cells of the query: the videos whose similarity to it they raise most, by each "
            "head, and where in those videos the match is. It is exact: the pairwise map of both "
            "videos, summed over the cells."
        )
        return
    with st.spinner("Sending the query through the network"):
        seen = _features(first)
    if searched.drawn is not None:
        searched.region, searched.drawn = _set(searched.drawn, seen), None
    region = _choose(seen)
    own = seen.infos[region.clip]
    ref = ClipRef(query.identity(), own.frame_indices, own.speed, PANEL_PIXELS)
    inside = region.cells(seen.grid.cells)
    picture = overlay_sheet(
        ref.frames(PANEL_PIXELS), inside * 1.0, seen.grid, 1.0, opacity=0.5, smooth=False
    )
    words = f"frames {own.frame_indices[0]} to {own.frame_indices[-1]}, {int(inside.sum())} cells"
    tile = cards.tile(picture, "The part of the query", html.escape(query.title), words)
    st.html(f'<div class="example" data-testid="region">{tile}</div>')
    if st.button("Search", key="region_search", icon=":material/search:", type="primary"):
        searched.region = region
    if searched.region is None:
        return
    for one in requests:
        with st.spinner("Sending the best hits through the network"):
            tiles = _tiles(one, searched.region)
        st.html(
            f'<div class="row-title">What matches by {explain.NAMES[one.feature]}</div>'
            f'<div class="example matches" data-testid="match-{one.feature}">{"".join(tiles)}</div>'
        )
    st.caption(
        "Orange: what in the hit matches the chosen cells and raises the similarity; blue lowers "
        "it. Each number is what the cells add to the cosine of both videos."
    )


def _set(drawn: Rectangle, seen: "VideoFeatures") -> Region:
    """Set the controls to a part that was drawn in frames of the query's video."""
    clip, ranges = drawn.in_clips([info.frame_indices for info in seen.infos], seen.grid)
    st.session_state["region_clip"] = clip + 1
    for name, size, (first, last) in zip(SIDES, seen.grid.cells, ranges, strict=True):
        st.session_state[f"region_{name}_{size}"] = (first + 1, last + 1)
    return Region(clip, ranges)


def _choose(seen: "VideoFeatures") -> Region:
    """Clip and cells, from 1 as they are counted on the screen."""
    num, state = len(seen.infos), st.session_state
    with st.container(horizontal=True, vertical_alignment="bottom", gap="medium"):
        clip = 1
        if num > 1:
            if state.get("region_clip") not in range(1, num + 1):
                state["region_clip"] = (num + 1) // 2
            options = range(1, num + 1)
            clip = st.segmented_control("Clip", options, key="region_clip", required=True) or 1
        ranges = []
        for name, size in zip(SIDES, seen.grid.cells, strict=True):
            if size == 1:
                ranges.append((0, 0))
                continue
            middle = (1, size) if name == "Times" else (size // 3 + 1, size - size // 3)
            state.setdefault(f"region_{name}_{size}", middle)
            with st.container(width=170):
                st.slider(name, 1, size, key=f"region_{name}_{size}")
            low, high = state[f"region_{name}_{size}"]
            ranges.append((low - 1, high - 1))
    return Region(clip - 1, tuple(ranges))
