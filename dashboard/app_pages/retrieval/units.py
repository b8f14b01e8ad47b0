"""Search by a unit of a head: which videos excite it most, and where in them."""

import html
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import streamlit as st

from dashboard.app_pages.retrieval import explain
from dashboard.app_pages.retrieval.explain import ExplainRequest
from dashboard.base import links
from dashboard.base.session import state_of
from dashboard.base.state import quote
from dashboard.base.style import signed
from dashboard.widgets import shell

NUM_VIDEOS = 5
HEAD, NUMBER = "unit_head", "unit_number"  # keys of the widgets

if TYPE_CHECKING:
    from dashboard.services.embeddings import Pool


@dataclass
class Searched:
    """What a visitor has searched for.

    Attributes:
        unit: Feature and number of the unit; nothing before the first search.
        is_linked: Whether a link led to it: who came for it is to see it first.
    """

    unit: tuple[str, int] | None = None
    is_linked: bool = False


def take(given: str | None, pool: "Pool") -> None:
    """Take the unit that a link names, such as ``rsp.17``; one that is not there is said."""
    if not given:
        return
    named = re.fullmatch(r"(\w+)\.(\d{1,6})", given)
    vectors = pool.gallery.vectors
    if named and named[1] in vectors and int(named[2]) < vectors[named[1]].shape[1]:
        unit = named[1], int(named[2])
        searched = state_of(Searched)
        searched.unit, searched.is_linked = unit, True
        st.session_state[HEAD], st.session_state[NUMBER] = unit
        return
    has = ", ".join(f"`{name}.0` to `{name}.{own.shape[1] - 1}`" for name, own in vectors.items())
    links.note(f"The link names the unit {quote(given)}, there are {has}; none is searched for.")


def link() -> str:
    """The unit that was searched for, as :func:`take` reads it; empty for none."""
    unit = state_of(Searched).unit
    return f"{unit[0]}.{unit[1]}" if unit else ""


@st.cache_data(max_entries=16, show_spinner=False, hash_funcs=explain.HASHES)
def _tiles(one: ExplainRequest, feature: str, unit: int) -> list[str]:
    """The videos that excite it most, each with where, HTML."""
    from analysis import explain_unit

    gallery, loaded = one.pool.gallery, one.loaded
    with loaded.lock:
        num = min(NUM_VIDEOS, len(gallery))
        found = explain_unit(loaded.query, gallery, feature, unit, num)
    shown = []
    for own in found.videos:
        title = one.pool.videos[own.index].title
        alt = f"No. {own.rank} by unit {unit} of {explain.NAMES[feature]}: {title}, where it is"
        shown.append((own.maps, alt, f"{own.rank}. {title}", f"value {signed(own.value)}"))
    return explain.tiles_of(shown)


def is_linked() -> bool:
    """Whether a link led to a unit."""
    return state_of(Searched).is_linked


def draw(requests: Sequence[ExplainRequest]) -> None:
    """The panel: choose a unit, search, and see the videos with most of it.

    Args:
        requests: Those of the first model.
    """
    is_open = state_of(Searched).unit is not None
    title = "Search by a unit of a head"
    with st.expander(title, expanded=is_open, icon=":material/sensors:", key="unit"):
        _panel(requests[0])


@st.fragment
def _panel(one: ExplainRequest) -> None:
    try:
        _draw(one)
    except ValueError as error:
        shell.show_error(error)


def _draw(one: ExplainRequest) -> None:
    st.caption(
        "A unit is one dimension of a head (of the backbone: one channel). The videos with the "
        "largest value of it are listed, and where in them it comes from: the map is exact, it "
        "sums to the value. Evidence names the units that encode action or appearance."
    )
    searched, vectors = state_of(Searched), one.pool.gallery.vectors
    with st.container(horizontal=True, vertical_alignment="bottom", gap="medium"):
        features = [name for name in explain.NAMES if name in vectors]
        if st.session_state.get(HEAD) not in features:
            st.session_state[HEAD] = features[0]
        feature = st.segmented_control("Of", features, key=HEAD, required=True, format_func=_title)
        last = vectors[str(feature)].shape[1] - 1
        st.session_state[NUMBER] = min(int(st.session_state.get(NUMBER, 0)), last)
        with st.container(width=160):
            number = st.number_input(f"Unit, 0 to {last}", 0, last, key=NUMBER)
        if st.button("Search", key="unit_search", icon=":material/search:", type="primary"):
            searched.unit = str(feature), int(number)
            links.rewrite(unit=link())
    if searched.unit is None:
        return
    feature, unit = searched.unit
    with st.spinner("Sending the videos through the network"):
        tiles = _tiles(one, feature, unit)
    st.html(
        f'<div class="row-title">What excites unit {unit} of {html.escape(_title(feature))}</div>'
        f'<div class="example matches" data-testid="unit">{"".join(tiles)}</div>'
    )
    st.caption("Orange: what in the video raises the unit's value; blue lowers it.")


def _title(feature: str) -> str:
    return explain.NAMES.get(feature, feature).removeprefix("the ").replace("backbone", "Backbone")
