"""Below every page: views that were named, to open, delete, and share as a file."""

import hashlib
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import streamlit as st

from dashboard.base import links
from dashboard.base.arguments import parse_arguments, runs_folder, shown_path
from dashboard.base.session import state_of
from dashboard.base.state import plain
from dashboard.services import views
from dashboard.services.views import MOST_LETTERS, SavedView, Views

MOST_MEGABYTES = 5


@dataclass
class Said:
    """What is to be said of the last change.

    Attributes:
        errors: Sentences.
    """

    errors: list[str] = field(default_factory=list)


def draw(page: str) -> None:
    """Draw the views.

    Args:
        page: Name of the page that is shown.
    """
    try:
        folder = runs_folder(parse_arguments(sys.argv[1:]))
        found = views.read(folder)
    except ValueError as error:
        st.warning(plain(f"{str(error)[:1].upper()}{str(error)[1:]}."), icon=":material/error:")
        return
    said, state_of(Said).errors = state_of(Said).errors, []
    for sentence in said:
        st.error(plain(f"{sentence[:1].upper()}{sentence[1:]}."), icon=":material/error:")
    title = f"Saved views ({len(found)})"
    with st.expander(title, icon=":material/collections_bookmark:", key="saved_views"):
        where = shown_path(folder / views.NAME)
        st.caption(
            plain(
                f"Kept in {where}, for everybody who uses this folder of runs. A view is the "
                "address of a page: to share one as a link, copy the address of Open."
            )
        )
        with st.form("save_view", clear_on_submit=True, border=False):
            st.text_input("Name of this view", key="view_name", max_chars=MOST_LETTERS)
            st.form_submit_button(
                "Save this view", icon=":material/add:", on_click=_save, args=(folder, page)
            )
        for name, view in found.items():
            _draw_view(folder, name, view)
        with st.container(horizontal=True, vertical_alignment="center", gap="small"):
            st.download_button(
                "Export as JSON",
                views.dump(found),
                file_name=views.NAME,
                mime="application/json",
                icon=":material/download:",
                on_click="ignore",
                disabled=not found,
            )
            with (
                st.popover("Import", icon=":material/upload:"),
                st.form("import_views", clear_on_submit=True, border=False),
            ):
                sent = st.file_uploader(
                    "A JSON of views, such as an export",
                    type="json",
                    key="views_file",
                    max_upload_size=MOST_MEGABYTES,
                )
                if st.form_submit_button("Add these views", icon=":material/check:") and sent:
                    take(sent.getvalue(), folder)
                    st.rerun()


def _draw_view(folder: Path, name: str, view: SavedView) -> None:
    key = hashlib.sha256(name.encode()).hexdigest()[:12]
    page = links.visit().pages.get(view.page)
    title = plain(page.title if page is not None else view.page)
    with st.container(key=f"view_{key}", horizontal=True, vertical_alignment="center"):
        st.markdown(f"**{plain(name)}**, {title}", width="stretch")
        if page is None:
            st.caption("this dashboard has no such page")
        else:
            st.page_link(page, label=f"Open *{plain(name)}*", query_params=view.link or None)
        st.button(
            f"Delete *{plain(name)}*",
            key=f"delete_{key}",
            type="tertiary",
            on_click=_change,
            args=(folder, lambda held: held.pop(name, None)),
        )


def _change(folder: Path, edit: Callable[[Views], object]) -> None:
    try:
        views.change(folder, edit)
    except ValueError as error:
        state_of(Said).errors = [str(error)]


def _save(folder: Path, page: str) -> None:
    name = " ".join(str(st.session_state["view_name"]).split())
    if not name:
        state_of(Said).errors = ["the view is not saved: it has no name. Give it one"]
        return
    link = dict(links.visit().link or {})

    def edit(held: Views) -> None:
        if name in held:
            raise ValueError(f"the view is not saved: there is one named {name}. Give it another")
        held[name] = SavedView(page, link)

    _change(folder, edit)


def take(data: bytes, folder: Path) -> None:
    """Add the views of a file; a bad one changes nothing, which is said.

    Args:
        data: The file.
        folder: Of runs.
    """
    try:
        added = views.parse(data.decode())
    except ValueError as error:
        state_of(Said).errors = [f"these views are not taken, and nothing has changed: {error}"]
        return

    def edit(held: Views) -> None:
        other = [name for name, view in added.items() if held.get(name, view) != view]
        if other:
            raise ValueError(
                f"these views are not taken, and nothing has changed: another view is named "
                f"{other[0]}. Delete that one first"
            )
        held.update(added)

    _change(folder, edit)
