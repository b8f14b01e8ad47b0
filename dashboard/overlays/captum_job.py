"""Independent attribution methods on the selected pair: run on request, the results kept.

All but LayerGradCAM send hundreds of perturbed clips through the network. They run as a job, one at
a time, on copies of the branches, so that others' pages need not wait for the model meanwhile.
"""

import copy
import threading
from collections import OrderedDict
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import streamlit as st

from dashboard.overlays.request import MapRequest
from dashboard.services import jobs
from dashboard.services.jobs import Job

if TYPE_CHECKING:
    from analysis import KindMaps, PairClips
    from analysis.attribution.pair_clips import OnPass

# A method with at most so many passes a map is run at once.
MOST_AT_ONCE = 2
MOST_KEPT = 64
# Two heads in two clips.
NUM_MAPS = 4

Key = tuple[str, str, MapRequest]


@dataclass
class _Store:
    """Results by request, the least recently used first; and who is at work."""

    results: "OrderedDict[Key, KindMaps]" = field(default_factory=OrderedDict)
    lock: threading.Lock = field(default_factory=threading.Lock)
    at_work: threading.Lock = field(default_factory=threading.Lock)


@st.cache_resource(show_spinner=False)
def store() -> _Store:
    """The one store of all sessions."""
    return _Store()


def key_of(request: MapRequest, pair: "PairClips") -> Key:
    """Name of a request's job and result."""
    return "captum", pair.query.hash, request


def _kept(key: Key) -> "KindMaps | None":
    kept = store()
    with kept.lock:
        found = kept.results.get(key)
        if found is not None:
            kept.results.move_to_end(key)
        return found


def maps_of(request: MapRequest, pair: "PairClips") -> "KindMaps":
    """The result, at once if it is kept, else as soon as the method is through.

    Raises:
        ValueError: No head has such a map.
    """
    return _kept(key_of(request, pair)) or _run(request, pair)


def _run(request: MapRequest, pair: "PairClips", on_pass: "OnPass | None" = None) -> "KindMaps":
    from analysis import explain_kind

    query, key = copy.deepcopy(pair.query), copy.deepcopy(pair.key)
    found = explain_kind(request.kind, replace(pair, query=query, key=key, on_pass=on_pass))
    kept = store()
    with kept.lock:
        kept.results[key_of(request, pair)] = found
        while len(kept.results) > MOST_KEPT:
            kept.results.popitem(last=False)
    return found


def num_passes(request: MapRequest, pair: "PairClips") -> int:
    """Clips that go through the network for one map; 0 for a map that needs none of its own."""
    passes = request.map.num_passes
    return passes(pair.c_i.grid) if passes is not None else 0


def is_ready(request: MapRequest, pair: "PairClips") -> bool:
    """Whether the maps can be shown without a long wait."""
    return num_passes(request, pair) <= MOST_AT_ONCE or _kept(key_of(request, pair)) is not None


def start(request: MapRequest, pair: "PairClips") -> Job:
    """Begin the work, or find that it is under way."""

    def work(job: Job) -> None:
        def count(num: int) -> None:
            job.check()
            job.done += num

        at_work = store().at_work
        while not at_work.acquire(timeout=0.2):
            job.check()
        try:
            job.check()
            _run(request, pair, count)
        finally:
            at_work.release()

    return jobs.start(key_of(request, pair), NUM_MAPS * num_passes(request, pair), work)
