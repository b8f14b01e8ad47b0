"""How far a job is, a button that stops it, and one that resumes it."""

from collections.abc import Callable

import streamlit as st

from dashboard.base import links
from dashboard.services.jobs import Job

KEPT = "What is done is kept: the next start resumes from there."


@st.fragment(run_every=0.5)
def wait(job: Job, key: str, words: Callable[[Job], str], kept: str = KEPT) -> None:
    """Say how far a job is until it is done; then the page is drawn anew.

    Args:
        job: The work.
        key: Tells its widgets from others.
        words: What is said beside the bar.
        kept: What becomes of what is done, should the visitor stop it.
    """
    if job.finished.is_set():
        links.draw_again()
    draw(job, key, words, kept)


def draw(job: Job, key: str, words: Callable[[Job], str], kept: str = KEPT) -> Callable[[], None]:
    """A bar with the button Stop beside it.

    Args:
        job: The work.
        key: Tells its widgets from others.
        words: What is said above the bar.
        kept: What becomes of what is done, should the visitor stop it.

    Returns:
        What draws the bar anew, for a page that waits.
    """
    row = st.container(
        key=f"progress_{key}", horizontal=True, vertical_alignment="bottom", gap="small"
    )
    with row:
        with st.container(width="stretch"):
            bar = st.empty()
        st.button(
            "Stopping" if job.is_stopping else "Stop",
            key=f"stop_{key}",
            icon=":material/stop_circle:",
            help=kept,
            disabled=job.is_stopping,
            on_click=job.stop,
        )

    def again() -> None:
        bar.progress(job.part, words(job))

    again()
    return again


def offers_resume(job: Job, key: str, steps: str) -> bool:
    """Say that a job was stopped, and offer to resume it.

    Args:
        job: The work.
        key: Tells its widgets from others.
        steps: What it counts, such as ``videos``.

    Returns:
        Whether the visitor wants to resume.
    """
    st.info(
        f"Stopped: {job.done:,} of {job.total:,} {steps} are done. They are kept, and the next "
        "start resumes from there.",
        icon=":material/stop_circle:",
    )
    return st.button("Resume", key=f"resume_{key}", icon=":material/play_arrow:")


def of_gallery(job: Job) -> str:
    """What is said while a gallery is embedded."""
    videos = "video" if job.total == 1 else "videos"
    return (
        f"Embedding the gallery, {job.done:,} of {job.total:,} {videos}. This happens once, and "
        "continues while you visit other pages."
    )
