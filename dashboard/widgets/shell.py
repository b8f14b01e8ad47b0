"""What all pages have in common: title, arguments, the gallery, the ways between them."""

import html
import logging
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import Any

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from dashboard.base import links
from dashboard.base.arguments import Arguments, parse_arguments
from dashboard.base.state import plain
from dashboard.base.viewer import keep_history
from dashboard.services import models
from dashboard.services.models import ModelChoice
from dashboard.widgets import saved_views, tour
from rspnet.files import printable

_log = logging.getLogger(__name__)
NO_MODEL = (
    "There is no model: `checkpoints/` holds none. Train one with "
    "`python -m rspnet.train --out runs/first`, then start the dashboard with "
    "`streamlit run dashboard/app.py -- --model runs/first/model.safetensors`."
)


@dataclass(frozen=True)
class Opened:
    """What a page begins with.

    Attributes:
        arguments: Of the app.
        link: New parameters of the link; empty while the visitor moves about the page.
        models: Models in the menu, the first is the default.
        notes: Where :func:`dashboard.base.links.show_notes` says what of the link is invalid.
    """

    arguments: Arguments
    link: dict[str, str]
    models: list[ModelChoice]
    notes: DeltaGenerator


def opener(name: str) -> Callable[[], None]:
    """What draws a page. Its ``page.py`` is imported when it is first opened."""

    def open_() -> None:
        module = import_module(f"dashboard.app_pages.{name}.page")
        try:
            module.page()
        except Exception as error:  # a fault of ours: the page says so, and the others stay up
            show_fault(error)

    open_.__name__ = name
    return open_


def run(pages: Mapping[str, Any], current: Any) -> None:
    """Draw the page in the address bar.

    Args:
        pages: All pages by name, as :class:`st.Page`.
        current: That which :func:`st.navigation` found.
    """
    links.visit().pages = dict(pages)
    name = next(name for name, page in pages.items() if page == current)
    links.enter(name)
    tour.draw(name)
    current.run()
    saved_views.draw(name)
    tour.draw_way_back(name)


def has_page(name: str) -> bool:
    """Whether there is a page of this name."""
    return name in links.visit().pages


def link_to(name: str, label: str, icon: str | None = None, **parameters: str) -> None:
    """A link to another page.

    Args:
        name: Of the page.
        label: What the link says.
        icon: Of Material's symbols.
        **parameters: Of the page's link, such as ``i="walk/a.mp4"``.
    """
    page = links.visit().pages.get(name)
    if page is not None:
        st.page_link(page, label=label, icon=icon, query_params=parameters or None)


def open_page(title: str, summary: str) -> Opened:
    """Draw a page's title and read what it is to show.

    Args:
        title: Of the page.
        summary: What the page shows, in one sentence.
    """
    with st.container(key="title"):
        st.html(
            '<div class="title"><span class="name" role="heading" aria-level="1">'
            f"{html.escape(title)}</span>"
            f'<span class="summary">{html.escape(summary)}</span></div>'
        )
        keep_history()
    notes = st.container()
    link = links.restore()
    try:
        arguments = parse_arguments(sys.argv[1:])
    except ValueError as error:
        arguments = Arguments()
        show_error(error)
    return Opened(arguments, link, models.list_choices(arguments), notes)


def show_error(error: ValueError | str, remedy: str = "") -> None:
    """Say what was wrong, as the error says it, and what to do.

    Args:
        error: A sentence or its main part: ``walk/a.mp4: no such file``.
        remedy: What to do, a sentence, where the error does not say it.
    """
    text = str(error).strip()
    if text[-1] not in ".?":
        text += "."
    if text.split(maxsplit=1)[0].isalpha():  # no path, whose capitals are its own
        text = text[0].upper() + text[1:]
    st.error(plain(f"{text} {remedy}".strip(), keep_code=True), icon=":material/error:")


def show_fault(error: Exception) -> bool:
    """Say in one sentence that something failed that no page expects; the log says where.

    Args:
        error: Whatever a page, a part of it or a button's callback has raised.

    Returns:
        True: nothing more is to be shown.
    """
    _log.error("a page failed", exc_info=error)
    said = " ".join(str(error).split())[:200].rstrip(".") or "no message"
    show_error(
        f"This part of the page failed: {printable(said)} ({type(error).__name__}).",
        "The other pages are not affected, and the server's log says where it was. Choose "
        "something else, or load the page again.",
    )
    return True
