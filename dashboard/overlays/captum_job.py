"""Independent attribution methods on the selected pair: run on request, the results kept.

All but LayerGradCAM send hundreds of perturbed clips through the network. They run as a job, one at
a time, on copies of the branches, so that others' pages need not wait for the model meanwhile.
"""

import copy
from dataclasses import replace
from typing import TYPE_CHECKING

import streamlit as st

from dashboard.overlays.background import Background
from dashboard.overlays.request import MapRequest
from dashboard.services.jobs import Job

if TYPE_CHECKING:
    from analysis import KindMaps, PairClips
    from analysis.attribution.pair_clips import OnPass

# A method with at most so many passes a map is run at once.
MOST_AT_ONCE = 2
# Two heads in two clips.
NUM_MAPS = 4

Key = tuple[str, str, MapRequest]


@st.cache_resource(show_spinner=False)
def store() -> "Background[KindMaps]":
    """The one store of all sessions."""
    return Background()


def key_of(request: MapRequest, pair: "PairClips") -> Key:
    """Name of a request's job and result."""
    return "captum", pair.query.hash, request


def maps_of(request: MapRequest, pair: "PairClips") -> "KindMaps":
    """The result, at once if it is kept, else as soon as the method is through.

    Raises:
        ValueError: No head has such a map.
    """
    key = key_of(request, pair)
    return store().kept(key) or store().keep(key, _run(request, pair))


def _run(request: MapRequest, pair: "PairClips", on_pass: "OnPass | None" = None) -> "KindMaps":
    from analysis import explain_kind

    query, key = copy.deepcopy(pair.query), copy.deepcopy(pair.key)
    return explain_kind(request.kind, replace(pair, query=query, key=key, on_pass=on_pass))


def num_passes(request: MapRequest, pair: "PairClips") -> int:
    """Clips that go through the network for one map; 0 for a map that needs none of its own."""
    passes = request.map.num_passes
    return passes(pair.c_i.grid) if passes is not None else 0


def is_ready(request: MapRequest, pair: "PairClips") -> bool:
    """Whether the maps can be shown without a long wait."""
    few = num_passes(request, pair) <= MOST_AT_ONCE
    return few or store().kept(key_of(request, pair)) is not None


def start(request: MapRequest, pair: "PairClips") -> Job:
    """Begin the work, or find that it is under way."""
    total = NUM_MAPS * num_passes(request, pair)
    return store().start(key_of(request, pair), total, lambda tell: _run(request, pair, tell))
