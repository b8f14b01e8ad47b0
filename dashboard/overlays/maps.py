"""Maps of a request, computed by `analysis` once and kept.

Torch comes in with the first call, not with the import. What is kept is keyed by the model's
hash and the request: the videos' identities (path, time of change, size) and the frames.
"""

from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import streamlit as st

from dashboard.overlays import captum_job
from dashboard.overlays.clip_ref import ClipRef
from dashboard.overlays.request import MapRequest
from dashboard.services import classifiers
from dashboard.services.models import Loaded

if TYPE_CHECKING:
    from analysis import ClipMap, KindMaps, PairClips
    from analysis.core.score import ClipFeatures

# A forward pass a shift and a clip, for both heads at once: 2 x 2 shifts are 8 passes.
FINE_STEPS = 2
BY_MODEL: dict[Any, Any] = {Loaded: lambda loaded: loaded.query.hash}

Place = tuple[int, int, int]


@st.cache_resource(max_entries=128, show_spinner=False, hash_funcs=BY_MODEL)
def features(clip: ClipRef, branch: Literal["query", "key"], loaded: Loaded) -> "ClipFeatures":
    """A clip after its forward pass through one branch.

    Raises:
        ValueError: A frame can't be decoded, or the clip does not fit the model.
    """
    from analysis import extract_features

    view = clip.view()
    with loaded.lock:
        return extract_features(getattr(loaded, branch), view)


def embedding(clip: ClipRef, loaded: Loaded) -> dict[str, np.ndarray]:
    """Embeddings of a clip by both heads of the query branch, each (128,) float32.

    Raises:
        ValueError: As :func:`features`.
    """
    found = features(clip, "query", loaded).embeddings
    return {head: vector.numpy() for head, vector in found.items()}


@st.cache_resource(max_entries=64, show_spinner=False, hash_funcs=BY_MODEL)
def _pair(
    clip_i: ClipRef,
    clip_j: ClipRef,
    other_speed: ClipRef | None,
    others: tuple[ClipRef, ...],
    loaded: Loaded,
) -> "PairClips":
    from analysis.attribution.pair_clips import Negatives, PairClips, nearest_negatives

    c_i, c_j = features(clip_i, "query", loaded), features(clip_j, "key", loaded)
    negatives = {}
    if other_speed is not None:
        negatives["rsp"] = Negatives("speed", (features(other_speed, "key", loaded),))
    if others:
        candidates = [features(clip, "key", loaded) for clip in others]
        negatives["avid"] = nearest_negatives(c_i, candidates, "avid")
    return PairClips(
        query=loaded.query,
        key=loaded.key,
        view_i=clip_i.view(),
        view_j=clip_j.view(),
        c_i=c_i,
        c_j=c_j,
        negatives=negatives,
    )


def pair_of(request: MapRequest, loaded: Loaded) -> "PairClips":
    """The clips of a request after their forward passes, each sent through its branch once.

    Raises:
        ValueError: As :func:`features`.
    """
    from dataclasses import replace

    others = request.others if request.map.needs == "triplet" else ()
    pair = _pair(request.clip_i, request.clip_j, request.other_speed, others, loaded)
    return replace(pair, missing=dict(request.missing))


def beside_others(request: MapRequest, loaded: Loaded) -> "PairClips":
    """The same with clips of other videos, whichever kind of map it is.

    Raises:
        ValueError: As :func:`features`.
    """
    return _pair(request.clip_i, request.clip_j, request.other_speed, request.others, loaded)


@st.cache_data(max_entries=128, show_spinner=False, hash_funcs=BY_MODEL)
def maps_of(request: MapRequest, loaded: Loaded) -> "KindMaps":
    """Maps of a request by both heads, of two classes, or of a pretext task.

    Raises:
        ValueError: A clip can't be decoded or does not fit the model, or no head has such a map.
    """
    from dataclasses import replace

    from analysis import explain_kind

    pair = replace(pair_of(request, loaded), task=loaded.task)
    if request.classifier is not None:
        model, lock = classifiers.load(request.classifier)
        with lock:
            return explain_kind(request.kind, replace(pair, classifier=model))
    if request.map.num_passes is not None:
        return captum_job.maps_of(request, pair)
    with loaded.lock:
        return explain_kind(request.kind, pair.finer(FINE_STEPS) if request.fine else pair)


def partners(request: MapRequest, head: str, place: Place, loaded: Loaded) -> "ClipMap":
    """What each cell of c_j contributes together with one cell of c_i.

    Args:
        request: The pair.
        head: ``rsp`` or ``avid``.
        place: Cell of c_i, (time, row, column).
        loaded: The model.

    Raises:
        ValueError: There is no such cell, or a clip can't be decoded.
    """
    from analysis import explain_pairwise

    pair = pair_of(request, loaded)
    return explain_pairwise(pair.c_i, pair.c_j, head).partners(place)
