"""The view in the address bar: restored from it, written to it, kept while one visits other pages.

A page reads its parameters once from :func:`restore` and calls :func:`write` with all of them.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, NoReturn

import streamlit as st
from streamlit.delta_generator import DeltaGenerator
from streamlit.runtime.scriptrunner import get_script_run_ctx

from dashboard.base.session import state_of
from dashboard.base.state import Chosen, choose, choose_number

# What is shown on one page is shown on the next.
CARRIED = ("model", "gallery")


@dataclass
class Visit:
    """Where a visitor is and was.

    Attributes:
        page: Name of the page that is drawn.
        entered: Whether it was opened just now.
        link: Parameters in the address, as they were last read or written; None before the first.
        before: What they were before the page wrote them, until the browser is seen to have got
            what was written.
        serial: Counts the links that were opened: another one is another view.
        is_whole: Whether the page has written all of its parameters in this run of the script.
        notes: What is to be said of the link.
        notes_shown: What is said of it now.
        draws_again: Whether the script runs again without a move of the visitor.
        views: Of each page the parameters that it had when it was left.
        carried: Parameters that all pages share.
        pages: The pages of the app by name, as :class:`st.Page`.
    """

    page: str = ""
    entered: bool = False
    link: dict[str, str] | None = None
    before: list[dict[str, str] | None] = field(default_factory=list)
    serial: int = 0
    is_whole: bool = False
    notes: list[str] = field(default_factory=list)
    notes_shown: list[str] = field(default_factory=list)
    draws_again: bool = False
    views: dict[str, dict[str, str]] = field(default_factory=dict)
    carried: dict[str, str] = field(default_factory=dict)
    pages: dict[str, Any] = field(default_factory=dict)


def visit() -> Visit:
    """Where the visitor of this session is."""
    return state_of(Visit)


def enter(page: str) -> None:
    """Note which page is drawn, so that each has parameters of its own."""
    here = visit()
    if here.page != page:
        here.page, here.entered = page, True
        # What was said about one page's link is nothing to another page.
        here.notes, here.notes_shown = [], []


def restore() -> dict[str, str]:
    """The link's parameters if they are new: not those that the page itself wrote.

    A page that is entered without parameters gets those that it had when it was left.
    """
    here = visit()
    here.is_whole = False
    link = {name: st.query_params[name] for name in st.query_params}
    entered, here.entered = here.entered, False
    if not entered and link == here.link:
        here.before.clear()
        return {}
    if not entered and link in here.before and not _moves_in_history():
        # A click while the page was being drawn: the browser had not yet got what was written.
        here.link = link
        return {}
    here.link = link
    here.before.clear()
    here.serial += 1
    return link or (_remembered(here) if entered else {})


def _moves_in_history() -> bool:
    """Whether the visitor came by the browser's Back or Forward."""
    context = get_script_run_ctx()
    return context is not None and context.is_history_navigation


def _remembered(here: Visit) -> dict[str, str]:
    view = here.views.get(here.page, {})
    if any(view.get(name, value) != value for name, value in here.carried.items()):
        return dict(here.carried)  # other videos: the rest of the view is of those that were
    return view | here.carried


def write(view: dict[str, str]) -> None:
    """Put the view into the address bar, and keep it for when the page is entered again."""
    here = visit()
    here.is_whole = True
    here.views[here.page] = view
    here.carried |= {name: view[name] for name in CARRIED if name in view}
    if view != here.link:
        # A run that is cut short raises here, and the browser gets nothing.
        st.query_params.from_dict(view)
        here.before.append(here.link)
        here.link = view


def rewrite(**changed: str) -> None:
    """Write some parameters anew, from a part of a page that runs alone; empty ones are dropped.

    While the whole page is drawn it does nothing: the page then writes all of them itself, in one
    step of the browser's history.
    """
    here = visit()
    if not here.is_whole:
        return
    wanted = {name: value for name, value in ((here.link or {}) | changed).items() if value}
    if wanted != here.link:
        write(wanted)


def take(key: str, chosen: Chosen[str] | Chosen[int]) -> None:
    """Hold what was chosen under a widget's key; what is to be said about it goes to the notes."""
    st.session_state[key] = chosen.value
    if chosen.note:
        note(chosen.note)


def take_option(
    key: str, what: str, given: str | None, options: Sequence[str], default: str = ""
) -> None:
    """Give a menu what the link says, or the default where it holds nothing that can be used.

    Args:
        key: Of the widget.
        what: Noun for what is said of the link, with its article: ``the model``.
        given: What the link says, None if nothing.
        options: What there is.
        default: Nothing for the first option.
    """
    if given is not None or st.session_state.get(key) not in options:
        take(key, choose(what, given, options, default or options[0]))


def take_number(
    key: str, what: str, given: str | None, options: range | Sequence[int], default: int
) -> None:
    """As :func:`take_option`, for numbers."""
    if given is not None or st.session_state.get(key) not in options:
        take(key, choose_number(what, given, options, default))


def note(text: str) -> None:
    """Remember something to be said about the link, as Markdown."""
    visit().notes.append(text)


def _warn(place: DeltaGenerator, text: str) -> None:
    place.warning(text, icon=":material/link_off:")


def add_note(place: DeltaGenerator, text: str) -> None:
    """Say one thing more, which became clear only after :func:`show_notes`."""
    _warn(place, text)
    visit().notes_shown.append(text)


def show_notes(place: DeltaGenerator) -> None:
    """Say what of the link could not be used. It goes with the visitor's next move."""
    here = visit()
    notes = here.notes
    if here.draws_again:
        # Some can be said only once the gallery is there: they join those said before.
        notes = list(dict.fromkeys([*here.notes_shown, *notes]))
    for text in notes:
        _warn(place, text)
    here.notes_shown, here.notes, here.draws_again = list(notes), [], False


def draw_again() -> NoReturn:
    """Draw the page anew without a move of the visitor: what it says about the link stays."""
    visit().draws_again = True
    st.rerun()
