"""A first look in four steps, above the page: begun on the first visit, put away for good."""

import sys
from dataclasses import dataclass
from pathlib import Path

import streamlit as st

from dashboard.base import links
from dashboard.base.arguments import parse_arguments, runs_folder
from dashboard.base.session import state_of
from dashboard.base.state import plain
from rspnet.commands.run import describe_os_error

SEEN = "tour_seen"  # a file in the folder of runs: whoever uses that folder has seen the tour
# Of each step the pages that it is shown on, the way to it leads to the first; title and words.
STEPS = (
    (
        ("home", "compare"),
        "Two maps of one clip.",
        "Each head has a map of its own: RSP learned relative speed, A-VID appearance. Orange "
        "raises the head's score, blue lowers it, and the frame shows through where a place does "
        "not count.",
    ),
    (
        ("compare",),
        "Over time.",
        "The strip shows how much each part of the clip adds to each head's score. Drag in it, or "
        "use the arrow keys, to move all pictures to a frame.",
    ),
    (
        ("retrieval",),
        "A list a head.",
        "The same query finds other videos by motion (RSP) than by appearance (A-VID). Explain "
        "shows which places of a hit match those of the query.",
    ),
    (
        ("evidence",),
        "Over many videos.",
        "One pair shows, it does not prove. Here every number has its interval, and stands beside "
        "its controls.",
    ),
)


@dataclass
class Tour:
    """How far a visitor is.

    Attributes:
        step: Number of the step, from 0; None where there is no tour.
        is_open: Whether it was looked whether there is one.
        error: Why it was not put away for good.
    """

    step: int | None = None
    is_open: bool = False
    error: str = ""


def draw(page: str) -> None:
    """Draw the step, if it is one of this page; above the page, so that it covers nothing.

    Args:
        page: Name of the page that is shown.
    """
    tour = state_of(Tour)
    if not tour.is_open:
        # Who comes by a link comes to see what it shows.
        tour.is_open, folder = True, _folder()
        is_first = folder is not None and not (folder / SEEN).exists() and not st.query_params
        tour.step = 0 if is_first else None
    error, tour.error = tour.error, ""
    if error:
        st.warning(plain(error), icon=":material/warning:")
    if tour.step is None or page not in STEPS[tour.step][0]:
        return
    _, title, words = STEPS[tour.step]
    last = len(STEPS) - 1
    with st.container(key="tour", horizontal=True, vertical_alignment="center", gap="small"):
        st.html(
            f'<p role="note" aria-label="Tour"><span class="number">{tour.step + 1} of '
            f"{last + 1}</span> <b>{title}</b> {words}</p>"
        )
        if tour.step == last:
            st.button("Done", key="tour_done", on_click=_end)
            return
        if st.button("Next", key="tour_next", icon=":material/arrow_forward:"):
            _go_to(tour.step + 1, page)
        st.button("Skip the tour", key="tour_skip", type="tertiary", on_click=_end)


def draw_way_back(page: str) -> None:
    """Draw the button that begins the tour again, below a page.

    Args:
        page: Name of the page that is shown.
    """
    if st.button("Show the tour", key="tour_again", type="tertiary", icon=":material/help:"):
        _go_to(0, page)


def _go_to(step: int, page: str) -> None:
    """Show a step, on its own page where this is not one of its pages."""
    state_of(Tour).step = step
    pages = links.visit().pages
    if page not in STEPS[step][0] and STEPS[step][0][0] in pages:
        st.switch_page(pages[STEPS[step][0][0]])
    st.rerun()


def _folder() -> Path | None:
    try:
        return runs_folder(parse_arguments(sys.argv[1:]))
    except ValueError:  # the page says so
        return None


def _end() -> None:
    tour, folder = state_of(Tour), _folder()
    tour.step = None
    if folder is None:
        return
    try:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / SEEN).touch()
    except OSError as error:
        tour.error = (
            f"The tour is put away, and begins again on the next visit: {describe_os_error(error)}."
        )
