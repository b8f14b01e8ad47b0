"""Verdicts on the maps that are shown, of c_i or of a query: checked in the background, and kept.

The checks send the clip through a copy of the branch, of a margin some sixty times with parts of it
taken away, so that nobody waits for the model meanwhile.
"""

import copy
import hashlib
from collections.abc import Callable, Hashable
from dataclasses import replace
from typing import TYPE_CHECKING

import streamlit as st

from analysis.attribution.registry import OTHER_ROWS
from dashboard.overlays import maps
from dashboard.overlays.background import Background
from dashboard.overlays.request import MapRequest
from dashboard.services import jobs
from dashboard.services.jobs import Job
from dashboard.services.models import Loaded

if TYPE_CHECKING:
    from analysis import Score, View
    from analysis.attribution.pair_clips import OnPass
    from analysis.report.verdict import Verdict

NUM_ORDERS, NUM_STEPS, NUM_RANDOM = 9, 6, 3
JOB = "verdict_job"  # in the session: what it waits for


@st.cache_resource(show_spinner=False)
def store() -> "Background[dict[str, Verdict]]":
    """The one store of all sessions."""
    return Background()


def has_verdict(request: MapRequest) -> bool:
    """Whether there are verdicts on these maps: of a score of the heads, and in few passes."""
    return request.map.needs not in OTHER_ROWS and request.map.num_passes is None


def _key(request: MapRequest, model: str) -> tuple[str, str, MapRequest]:
    return "verdict", model, request


def kept(request: MapRequest, model: str) -> "dict[str, Verdict]":
    """The verdicts by head if they are there; else none.

    Args:
        request: The maps.
        model: Hash of the model.
    """
    return store().kept(_key(request, model)) or {}


def start(
    request: MapRequest, loaded: Loaded, heads: tuple[str, ...]
) -> "tuple[Job | None, dict[str, Verdict]]":
    """The verdicts by head if they are there; else none, and the job that makes them.

    Args:
        request: The maps.
        loaded: The model.
        heads: Those that have a map.
    """

    def run(tell: "OnPass") -> "dict[str, Verdict]":
        from analysis.report.verdict import verdicts

        pair = maps.beside_others(request, loaded)
        own = pair.with_branch("i", copy.deepcopy(pair.query))
        own = replace(own, on_pass=tell)
        return verdicts(
            own,
            request.kind,
            heads=heads,
            num_orders=NUM_ORDERS,
            num_steps=NUM_STEPS,
            num_random=NUM_RANDOM,
        )

    # A margin has one pass of the frozen clip; of s the features are replaced, in no pass.
    is_margin = request.map.needs == "triplet"
    by_features = request.others and not is_margin and not request.fine
    total = 1 if by_features else _num_passes(len(heads)) + is_margin
    return _start(_key(request, loaded.query.hash), total, run)


def _num_passes(num_heads: int) -> int:
    # All cells and none are the same in every order.
    return 2 + (NUM_ORDERS + num_heads) * (NUM_STEPS - 1)


def _key_of_score(score: "Score", view: "View") -> Hashable:
    target = hashlib.sha256(score.target.cpu().numpy().tobytes()).hexdigest()
    return "verdict", score.branch.hash, score.head, view.info, target


def kept_of_score(score: "Score", view: "View") -> "dict[str, Verdict]":
    """As :func:`kept`, of what :func:`start_score` checks."""
    return store().kept(_key_of_score(score, view)) or {}


def start_score(score: "Score", view: "View") -> "tuple[Job | None, dict[str, Verdict]]":
    """As :func:`start`, of the exact map of one score, such as in a clip of a retrieval's query.

    Args:
        score: What the map is of.
        view: The clip.
    """

    def run(tell: "OnPass") -> "dict[str, Verdict]":
        from analysis.attribution.pair_clips import counted_passes
        from analysis.report.verdict import verdict_on_score

        own = replace(score, branch=copy.deepcopy(score.branch))
        with counted_passes(own.branch, tell):
            found = verdict_on_score(
                own, view, num_orders=NUM_ORDERS, num_steps=NUM_STEPS, num_random=NUM_RANDOM
            )
        return {score.head: found}

    return _start(_key_of_score(score, view), _num_passes(1), run)


def stop() -> None:
    """End the checks that this visitor waits for, such as of a window that was closed."""
    if (before := st.session_state.get(JOB)) is not None:
        before[1].stop()


def _start(
    key: Hashable, total: int, run: "Callable[[OnPass], dict[str, Verdict]]"
) -> "tuple[Job | None, dict[str, Verdict]]":
    found = store().kept(key)
    if found is not None:
        jobs.forget(key)  # it is in the store
        return None, found
    # Of the maps that a visitor passes by, such as those of a slider's way, none is checked on.
    before = st.session_state.get(JOB)
    if before is not None and before[0] != key:
        stop()
    job = store().start(key, total, run)
    if job.finished.is_set() and not job.error:  # stopped for another visitor, or pushed out since
        jobs.forget(key)
        job = store().start(key, total, run)
    st.session_state[JOB] = (key, job)
    return job, {}
