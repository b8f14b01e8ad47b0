"""How far a job is, a button that stops it, and one that resumes it or tries again."""

from collections.abc import Callable

import streamlit as st

from dashboard.base import links
from dashboard.services.jobs import Job
from dashboard.widgets import shell

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


def is_done(
    job: Job,
    key: str,
    words: Callable[[Job], str],
    steps: str,
    begin_anew: Callable[[], None],
    wrong: str,
) -> bool:
    """Whether a job has ended well; else say how far it is or why it ended, and offer a new start.

    Args:
        job: The work.
        key: Tells its widgets from others.
        words: What is said beside the bar.
        steps: What the job counts, such as ``videos``.
        begin_anew: Lets the job start again when the page is drawn next.
        wrong: What an error means, such as ``The gallery can't be embedded``.
    """
    if not job.finished.is_set():
        wait(job, key, words)
        return False
    if not job.stopped and not job.error:
        return True
    if job.stopped:
        st.info(
            f"Stopped: {job.done:,} of {job.total:,} {steps} are done. They are kept, and the next "
            "start resumes from there.",
            icon=":material/stop_circle:",
        )
        again = st.button("Resume", key=f"resume_{key}", icon=":material/play_arrow:")
    else:
        shell.show_error(f"{wrong}: {job.error}" if wrong else job.error)
        again = st.button("Try again", key=f"{key}_again")
    if again:
        begin_anew()
        st.rerun()
    return False


def of_gallery(job: Job) -> str:
    """What is said while a gallery is embedded."""
    videos = "video" if job.total == 1 else "videos"
    return (
        f"Embedding the gallery, {job.done:,} of {job.total:,} {videos}. This happens once, and "
        "continues while you visit other pages."
    )
