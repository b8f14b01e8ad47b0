"""Independent attribution methods on Compare: cost of a run, its button and its progress."""

from typing import TYPE_CHECKING

import streamlit as st

from dashboard.overlays import captum_job
from dashboard.overlays.captum_job import NUM_MAPS, Key
from dashboard.overlays.options import C_I, C_J, symbols
from dashboard.overlays.request import MapRequest
from dashboard.services import jobs
from dashboard.services.jobs import Job
from dashboard.widgets import progress

if TYPE_CHECKING:
    from analysis import PairClips


def draw_run(request: MapRequest, pair: "PairClips") -> None:
    """What a run costs, with a button; while it runs how far it is, and a way to stop."""
    kind, key = request.map, captum_job.key_of(request, pair)
    begun: set[Key] = st.session_state.setdefault("captum_begun", set())
    passes = captum_job.num_passes(request, pair)
    st.html(
        f'<div class="row-title">{kind.title}</div><div class="facts"><p>{symbols(kind.text)}</p>'
        f'<p data-testid="cost">This takes {NUM_MAPS * passes:,} forward passes of the network: '
        f"{passes:,} for each head in {C_I} and in {C_J}. It can take minutes, and is kept once it "
        "is done.</p></div>"
    )
    if key not in begun:
        _draw_button("Run Captum", "run_captum", begun, key)
        return
    job = captum_job.start(request, pair)
    if not job.finished.is_set():
        progress.wait(job, "captum", _words, kept="What was computed so far is not kept.")
        return
    # Its result is in the store, and the next start is a new one.
    begun.discard(key)
    jobs.forget(key)
    if job.error:
        st.error(f"Captum failed: {job.error.rstrip('.')}.", icon=":material/error:")
    elif job.stopped:
        st.info("Stopped. Nothing of it is kept.", icon=":material/stop_circle:")
    else:
        st.rerun()
    _draw_button("Run again", "run_captum_again", begun, key)


def _draw_button(title: str, name: str, begun: set[Key], key: Key) -> None:
    st.button(title, key=name, icon=":material/play_arrow:", on_click=begun.add, args=(key,))


def _words(job: Job) -> str:
    if not job.done:
        return "Waiting for an earlier run of Captum."
    return f"Running Captum, {min(job.done, job.total):,} of {job.total:,} forward passes."
