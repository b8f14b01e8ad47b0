"""The view in the address bar: restored from it, written to it, kept while one visits other pages.

A page reads its parameters once from :func:`restore` and calls :func:`write` with all of them.
"""

from typing import NoReturn

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from dashboard.base.state import Chosen

# What is looked at on one page is looked at on the next.
CARRIED = ("model", "gallery")


def enter(page: str) -> None:
    """Note which page is drawn, so that each has parameters of its own."""
    state = st.session_state
    if state.get("page") != page:
        state["page"] = page
        state["entered"] = True
        # What was said about one page's link is nothing to another page.
        state["notes"] = state["notes_shown"] = []


def restore() -> dict[str, str]:
    """The link's parameters if they are new: not those that the page itself wrote.

    A page that is entered without parameters gets those that it had when it was left.
    """
    state = st.session_state
    state["link_whole"] = False
    link = {name: st.query_params[name] for name in st.query_params}
    entered = state.pop("entered", False)
    if not entered and link == state.get("link"):
        return {}
    state["link"] = link
    state["link_serial"] = state.get("link_serial", 0) + 1
    return link or (_remembered() if entered else {})


def _remembered() -> dict[str, str]:
    state = st.session_state
    carried: dict[str, str] = state.get("carried", {})
    view: dict[str, str] = state.get("views", {}).get(state.get("page"), {})
    if any(view.get(name, value) != value for name, value in carried.items()):
        return dict(carried)  # other videos: the rest of the view is of those that were
    return view | carried


def write(view: dict[str, str]) -> None:
    """Put the view into the address bar, and keep it for when the page is entered again."""
    state = st.session_state
    state["link_whole"] = True
    state.setdefault("views", {})[state.get("page")] = view
    state["carried"] = state.get("carried", {}) | {n: view[n] for n in CARRIED if n in view}
    if view != state.get("link"):
        state["link"] = view
        st.query_params.from_dict(view)


def rewrite(**changed: str) -> None:
    """Write some parameters anew, from a part of a page that runs alone; empty ones are dropped.

    While the whole page is drawn it does nothing: the page then writes all of them itself, in one
    step of the browser's history.
    """
    state = st.session_state
    if not state.get("link_whole"):
        return
    link: dict[str, str] = state.get("link", {})
    wanted = {name: value for name, value in (link | changed).items() if value}
    if wanted != link:
        write(wanted)


def take(key: str, chosen: Chosen[str] | Chosen[int]) -> None:
    """Hold what was chosen under a widget's key; what is to be said about it goes to the notes."""
    st.session_state[key] = chosen.value
    if chosen.note:
        st.session_state.setdefault("notes", []).append(chosen.note)


def _warn(place: DeltaGenerator, note: str) -> None:
    place.warning(note, icon=":material/link_off:")


def add_note(place: DeltaGenerator, note: str) -> None:
    """Say one thing more, which became clear only after :func:`show_notes`."""
    _warn(place, note)
    st.session_state["notes_shown"] = [*st.session_state.get("notes_shown", []), note]


def show_notes(place: DeltaGenerator) -> None:
    """Say what of the link could not be used. It goes with the visitor's next move."""
    notes = st.session_state.get("notes", [])
    if st.session_state.pop("again", False):
        # Some can be said only once the gallery is there: they join those said before.
        notes = list(dict.fromkeys([*st.session_state.get("notes_shown", []), *notes]))
    for note in notes:
        _warn(place, note)
    st.session_state["notes_shown"], st.session_state["notes"] = notes, []


def draw_again() -> NoReturn:
    """Draw the page anew without a move of the visitor: what it says about the link stays."""
    st.session_state["again"] = True
    st.rerun()
