"""Captum's methods on the selected pair: asked when the visitor wants it, the answers kept.

All but LayerGradCAM send hundreds of changed clips through the network. They run as a job, one at
a time, on copies of the branches, so that others' pages need not wait for the model meanwhile.
"""

import copy
import threading
from collections import OrderedDict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import streamlit as st

from dashboard.overlays import maps
from dashboard.overlays.maps import Asked
from dashboard.overlays.options import WITNESSES, method_of
from dashboard.services import jobs
from dashboard.services.jobs import Job
from dashboard.services.models import Loaded

if TYPE_CHECKING:
    from analysis.attribution.captum_methods import Method, Witness
    from analysis.attribution.captum_pair import OnPass

    Answer = dict[str, tuple[Witness, Witness]]

# Asked without a question: two passes a map.
AT_ONCE = ("layer_gradcam",)
MOST_KEPT = 64
# As engine.HEADS x clips.
NUM_MAPS = 4

Key = tuple[str, str, Asked]


@dataclass
class _Shelf:
    """Answers by what was asked, the least recently used first; and who is at work."""

    answers: "OrderedDict[Key, Answer]" = field(default_factory=OrderedDict)
    lock: threading.Lock = field(default_factory=threading.Lock)
    at_work: threading.Lock = field(default_factory=threading.Lock)


@st.cache_resource(show_spinner=False)
def _shelf() -> _Shelf:
    return _Shelf()


def is_witness(kind: str) -> bool:
    """Whether a kind of map is one of Captum's."""
    return kind in WITNESSES


def _key(asked: Asked, loaded: Loaded) -> Key:
    return "witness", loaded.query.hash, asked


def kept(asked: Asked, loaded: Loaded) -> "Answer | None":
    """The answer if it is there."""
    shelf, key = _shelf(), _key(asked, loaded)
    with shelf.lock:
        answer = shelf.answers.get(key)
        if answer is not None:
            shelf.answers.move_to_end(key)
        return answer


def answer(asked: Asked, loaded: Loaded) -> "Answer":
    """The answer, at once if it is kept, else as soon as the method is through.

    Raises:
        ValueError: A clip can't be decoded or does not fit the model.
    """
    return kept(asked, loaded) or _ask(asked, loaded)


def _ask(asked: Asked, loaded: Loaded, on_pass: "OnPass | None" = None) -> "Answer":
    from analysis.attribution.captum_pair import witness_pair

    query, key = copy.deepcopy(loaded.query), copy.deepcopy(loaded.key)
    found = witness_pair(
        query,
        key,
        maps.view_of(asked.clip_i),
        maps.view_of(asked.clip_j),
        _method(asked.kind),
        against=maps.against_of(asked, loaded) if asked.has_margin else None,
        on_pass=on_pass,
    )
    shelf = _shelf()
    with shelf.lock:
        shelf.answers[_key(asked, loaded)] = found
        while len(shelf.answers) > MOST_KEPT:
            shelf.answers.popitem(last=False)
    return found


def _method(kind: str) -> "Method":
    from analysis.attribution.captum_methods import METHODS

    return next(method for method in METHODS if method == method_of(kind))


def num_passes(asked: Asked, loaded: Loaded) -> int:
    """Clips that go through the network for all maps of the pair."""
    from analysis.attribution.captum_pair import num_clips

    grid = maps.explain(loaded.query.hash, asked.clip_i, asked.clip_j, loaded).grid_i
    return NUM_MAPS * num_clips(_method(asked.kind), grid)


def _start(asked: Asked, loaded: Loaded, total: int) -> Job:
    def work(job: Job) -> None:
        def count(num: int) -> None:
            job.check()
            job.done += num

        shelf = _shelf()
        while not shelf.at_work.acquire(timeout=0.2):
            job.check()
        try:
            job.check()
            _ask(asked, loaded, count)
        finally:
            shelf.at_work.release()

    return jobs.start(_key(asked, loaded), total, work)


def is_ready(asked: Asked, loaded: Loaded) -> bool:
    """Whether the maps can be shown without a long wait."""
    return method_of(asked.kind) in AT_ONCE or kept(asked, loaded) is not None
