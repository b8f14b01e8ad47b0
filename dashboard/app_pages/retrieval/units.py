"""Search by a unit of a head or a layer: which videos excite it most, and where in them."""

import copy
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
from dashboard.overlays.background import Background
from dashboard.overlays.maps import BY_MODEL
from dashboard.services import jobs
from dashboard.services.jobs import Job
from dashboard.widgets import progress, shell

NUM_VIDEOS = 5
HEAD, NUMBER, PANEL = "unit_head", "unit_number", "unit_panel"  # keys of the widgets

if TYPE_CHECKING:
    from analysis.attribution.pair_clips import OnPass
    from analysis.attribution.retrieval.unit import UnitClips
    from dashboard.services.embeddings import Pool
    from dashboard.services.models import Loaded


@dataclass
class Searched:
    """What a visitor has searched for.

    Attributes:
        unit: Feature or layer and number of the unit; nothing before the first search.
        linked: The query beside which a link led to it: who came for the unit is to see it first.
    """

    unit: tuple[str, int] | None = None
    linked: str = ""


@st.cache_resource(show_spinner=False)
def store() -> "Background[UnitClips]":
    """Units of layers that were searched for, of all sessions."""
    return Background()


def _sizes(pool: "Pool", loaded: "Loaded", name: str) -> dict[str, int]:
    """How many units there are, of the gallery's features and, if one is named, of all layers."""
    sizes = {feature: own.shape[1] for feature, own in pool.gallery.vectors.items()}
    return sizes if name in sizes else sizes | _layer_sizes(loaded)


@st.cache_data(max_entries=8, show_spinner=False, hash_funcs=BY_MODEL)
def _layer_sizes(loaded: "Loaded") -> dict[str, int]:
    from analysis.attribution.retrieval.layers import layer_sizes

    with loaded.lock:
        return layer_sizes(loaded.query)


def take(given: str | None, pool: "Pool", loaded: "Loaded", query: str) -> None:
    """Take the unit that a link names, such as ``rsp.17``; one that is not there is said.

    Who closes the panel or goes on to another query is done with the unit that a link led to.

    Args:
        given: What the link says.
        pool: The gallery.
        loaded: Its model.
        query: Name of the query.
    """
    searched = state_of(Searched)
    if st.session_state.get(PANEL) is False:
        searched.unit = None
    if searched.unit is None or query != searched.linked:
        searched.linked = ""
    if not given:
        return
    named = re.fullmatch(r"(\w+)\.(\d{1,6})", given)
    sizes = _sizes(pool, loaded, named[1] if named else "")
    if named and int(named[2]) < sizes.get(named[1], 0):
        unit = named[1], int(named[2])
        searched.unit, searched.linked = unit, query
        st.session_state[HEAD], st.session_state[NUMBER] = unit
        st.session_state[PANEL] = True
        return
    has = ", ".join(f"`{name}.0` to `{name}.{size - 1}`" for name, size in sizes.items())
    links.note(f"The link names the unit {quote(given)}, there are {has}; none is searched for.")


def link() -> str:
    """The unit that was searched for, as :func:`take` reads it; empty for none."""
    unit = state_of(Searched).unit
    return f"{unit[0]}.{unit[1]}" if unit else ""


@st.cache_resource(max_entries=16, show_spinner=False, hash_funcs=explain.HASHES)
def _of_feature(one: ExplainRequest, feature: str, unit: int) -> "UnitClips":
    from analysis import explain_unit

    gallery = one.pool.gallery
    with one.loaded.lock:
        return explain_unit(one.loaded.query, gallery, feature, unit, min(NUM_VIDEOS, len(gallery)))


def _of_layer(one: ExplainRequest, layer: str, unit: int) -> "UnitClips | None":
    """What was found; else the search begins in the background, and how far it is is said."""
    from analysis import explain_unit
    from analysis.attribution.pair_clips import counted_passes
    from analysis.attribution.retrieval.unit import rows_of_layer

    gallery = one.pool.gallery
    key, num = ("unit", one.pool.key, layer, unit), min(NUM_VIDEOS, len(gallery))

    def run(tell: "OnPass") -> "UnitClips":
        branch = copy.deepcopy(one.loaded.query)
        with counted_passes(branch, tell):
            return explain_unit(branch, gallery, layer, unit, num)

    if (found := store().kept(key)) is not None:
        jobs.forget(key)
        return found
    job = store().start(key, len(rows_of_layer(gallery, num)) * gallery.protocol.num_clips, run)
    if not job.finished.is_set():
        progress.wait(job, "unit", _words, kept="What was computed so far is not kept.")
        return None
    if job.error:
        shell.show_error(job.error)
    elif job.stopped:
        st.info("Stopped. Nothing of it is kept.", icon=":material/stop_circle:")
    if st.button("Try again", key="unit_again", on_click=jobs.forget, args=(key,)):
        st.rerun(scope="fragment")
    return None


def _words(job: Job) -> str:
    if not job.done:
        return "Waiting for an earlier search to end."
    return f"Sending clips through the network, {job.done:,} of {job.total:,}."


@st.cache_data(max_entries=16, show_spinner=False, hash_funcs=explain.HASHES)
def _tiles(one: ExplainRequest, feature: str, unit: int, _found: "UnitClips") -> list[str]:
    """The videos that excite it most, each with where, HTML."""
    shown = []
    for own in _found.videos:
        title = one.pool.videos[own.index].title
        alt = f"No. {own.rank} by unit {unit} of {_title(feature)}: {title}, where it is"
        shown.append((own.maps, alt, f"{own.rank}. {title}", f"value {signed(own.value)}"))
    return explain.tiles_of(shown)


def is_linked() -> bool:
    """Whether a link led to a unit beside this query."""
    return bool(state_of(Searched).linked)


def draw(requests: Sequence[ExplainRequest]) -> None:
    """The panel: choose a unit, search, and see the videos with most of it.

    Args:
        requests: Those of the first model.
    """
    is_open = state_of(Searched).unit is not None
    title, icon = "Search by a unit of a head or a layer", ":material/sensors:"
    with st.expander(title, expanded=is_open, icon=icon, key=PANEL, on_change="rerun"):
        _panel(requests[0])


@st.fragment
def _panel(one: ExplainRequest) -> None:
    try:
        _draw(one)
    except ValueError as error:
        shell.show_error(error)


def _draw(one: ExplainRequest) -> None:
    st.caption(
        "A unit is one dimension of a head (of the backbone or a layer: one channel). The videos "
        "with the largest value of it are listed, and where in them it comes from: the map is "
        "exact, it sums to the value. Evidence names the units that encode action or appearance. "
        "Values of layers are in no gallery: up to 400 clips are sent through the network."
    )
    from analysis.attribution.retrieval.layers import layers_of

    searched, vectors = state_of(Searched), one.pool.gallery.vectors
    with st.container(horizontal=True, vertical_alignment="bottom", gap="medium"):
        features = [name for name in explain.NAMES if name in vectors]
        features += layers_of(one.loaded.query)
        if st.session_state.get(HEAD) not in features:
            st.session_state[HEAD] = features[0]
        feature = st.segmented_control("Of", features, key=HEAD, required=True, format_func=_title)
        last = _sizes(one.pool, one.loaded, str(feature))[str(feature)] - 1
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
        search = _of_feature if feature in vectors else _of_layer
        if (found := search(one, feature, unit)) is None:
            return
        tiles = _tiles(one, feature, unit, found)
    st.html(
        f'<div class="row-title">What excites unit {unit} of {html.escape(_title(feature))}</div>'
        f'<div class="example matches" data-testid="unit">{"".join(tiles)}</div>'
    )
    st.caption("Orange: what in the video raises the unit's value; blue lowers it.")


def _title(feature: str) -> str:
    return explain.NAMES.get(feature, feature).removeprefix("the ").replace("backbone", "Backbone")
