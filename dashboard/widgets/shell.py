"""What all pages have in common: title, arguments, the gallery, the ways between them."""

import html
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from dashboard.base import history, links, video_limits
from dashboard.base.arguments import Arguments, parse_arguments
from dashboard.base.state import plain
from dashboard.base.viewer import ASSETS
from dashboard.services import galleries, jobs, models
from dashboard.services.galleries import Source
from dashboard.services.models import ModelChoice
from dashboard.widgets import progress

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
    """What draws a page, in its own style. Its ``page.py`` is imported when it is first opened."""

    def open_() -> None:
        module = import_module(f"dashboard.app_pages.{name}.page")
        st.html(ASSETS / "page.css")
        own = Path(str(module.__file__)).with_name("page.css")
        if own.is_file():
            st.html(own)
        module.page()

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
    current.run()


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
        history.draw()
    notes = st.container()
    link = links.restore()
    try:
        arguments = parse_arguments(sys.argv[1:])
    except ValueError as error:
        arguments = Arguments()
        show_error(error)
    return Opened(arguments, link, models.list_choices(arguments), notes)


def open_gallery(title: str, arguments: Arguments) -> Source | None:
    """A gallery of videos, generated first if need be; None where it can't be shown, which is said.

    Args:
        title: One of :func:`dashboard.widgets.controls.galleries`.
        arguments: Of the app.
    """
    if title == galleries.GENERATED and not galleries.synthetic_is_complete(arguments):
        job = jobs.generate_synthetic(arguments)
        key = jobs.synthetic_key(arguments)
        if not job.finished.is_set():
            slot = st.empty()
            with slot.container():
                draw_again = progress.draw(job, "synthetic", _progress_words)
            while not job.finished.wait(0.3):
                draw_again()
            slot.empty()
        if job.stopped:
            if progress.offers_resume(job, "synthetic", "example videos"):
                jobs.forget(key)
                st.rerun()
            return None
        if job.error:
            show_error(job.error)
            if st.button("Try again"):
                jobs.forget(key)
                st.rerun()
            return None
    try:
        source = galleries.open_source(title, arguments)
    except ValueError as error:
        show_error(f"{title} can't be shown: {error}")
        return None
    say_skipped(source)
    return source


def say_skipped(source: Source) -> None:
    """Say which links of a gallery are not followed."""
    said = video_limits.sentence_of_links(source.root, source.skipped)
    if said:
        st.caption(plain(said))


def _progress_words(job: jobs.Job) -> str:
    return f"Generating the example videos, {job.done} of {job.total}. This happens once."


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
