"""Captum's methods on Compare: what an answer costs, a button, and how far the work is."""

import streamlit as st

from dashboard.overlays.captum_job import NUM_MAPS, Key, _key, _start, num_passes
from dashboard.overlays.maps import Asked
from dashboard.overlays.options import C_I, C_J, KINDS, method_of
from dashboard.services import jobs
from dashboard.services.jobs import Job
from dashboard.services.models import Loaded
from dashboard.widgets import progress

WHAT = {
    "integrated_gradients": "clips on the way from an even one, with their gradients",
    "occlusion": "clips with one box hidden",
    "feature_ablation": "clips with one cell's pixels replaced",
}


def draw_question(asked: Asked, loaded: Loaded) -> None:
    """What an answer costs, with a button; while it is asked how far that is, and a way to stop.

    Raises:
        ValueError: A clip can't be decoded or does not fit the model.
    """
    kind, key = KINDS[asked.kind], _key(asked, loaded)
    begun: set[Key] = st.session_state.setdefault("witnesses_begun", set())
    total, what = num_passes(asked, loaded), WHAT[method_of(asked.kind)]
    st.html(
        f'<div class="row-title">{kind.title}</div><div class="facts"><p>{kind.text}</p>'
        f'<p data-testid="cost">That takes {total:,} forward passes of the network: '
        f"{total // NUM_MAPS:,} {what} for each head in {C_I} and in {C_J}. It can "
        "take minutes, and is kept once it is done.</p></div>"
    )
    if key not in begun:
        st.button(
            "Ask Captum",
            key="ask_captum",
            icon=":material/play_arrow:",
            on_click=begun.add,
            args=(key,),
        )
        return
    job = _start(asked, loaded, total)
    if not job.finished.is_set():
        progress.wait(job, "witness", _words, kept="What was asked so far is not kept.")
        return
    # Done with: what it found is on the shelf, and the next start is a new one.
    begun.discard(key)
    jobs.forget(key)
    if job.error:
        st.error(f"Captum can't be asked: {job.error.rstrip('.')}.", icon=":material/error:")
    elif job.stopped:
        st.info("Stopped. Nothing of it is kept.", icon=":material/stop_circle:")
    else:
        st.rerun()
    st.button(
        "Ask again",
        key="ask_captum_again",
        icon=":material/play_arrow:",
        on_click=begun.add,
        args=(key,),
    )


def _words(job: Job) -> str:
    if not job.done:
        return "Waiting for an earlier question to Captum."
    return f"Asking Captum, {min(job.done, job.total):,} of {job.total:,} forward passes."
