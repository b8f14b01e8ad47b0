"""Marks: a button on every hit, and the list of all with their notes, exported and imported."""

import hashlib
import html
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

import streamlit as st

from dashboard.app_pages.retrieval.explain import NAMES, ExplainRequest
from dashboard.app_pages.retrieval.lists import Hit
from dashboard.base.arguments import shown_path
from dashboard.base.session import state_of
from dashboard.base.state import plain
from dashboard.base.style import signed
from dashboard.services import marks, temporary, uploads
from dashboard.services.embeddings import Pool
from dashboard.services.marks import MOST_LETTERS, Mark, Marks
from dashboard.widgets import cards, shell
from rspnet.text import read_text

PAGE = 8
MOST_MEGABYTES = 5


@dataclass
class Shelf:
    """The marks as a visitor sees them.

    Attributes:
        folder: Where they are kept.
        gallery: What is searched.
        marks: All that the table holds.
        said: Sentences about what was changed last, or could not be.
        seen: Notes as the page showed them last, by the key of their field: what somebody types
            stays there should it not be kept.
    """

    folder: Path = Path()
    gallery: str = ""
    marks: Marks = field(default_factory=dict)
    said: list[str] = field(default_factory=list)
    seen: dict[str, str] = field(default_factory=dict)

    @property
    def own(self) -> list[Mark]:
        """Of this gallery, the newest first."""
        return [mark for mark in self.marks.values() if mark.gallery == self.gallery][::-1]


def open_shelf(folder: Path, gallery: str) -> None:
    """Read the marks, before the lists are drawn.

    Args:
        folder: Of runs.
        gallery: What is searched, as the table calls it.
    """
    shelf = state_of(Shelf)
    shelf.folder, shelf.gallery = folder, gallery
    try:
        shelf.marks = marks.read(folder)
    except ValueError as error:
        shelf.marks = {}
        shelf.said = [*shelf.said, str(error)]


def _mark_of(one: ExplainRequest, hit: Hit) -> Mark:
    return Mark(
        query=one.pool.videos[one.query].name,
        feature=one.feature,
        video=one.pool.videos[hit.index].name,
        rank=hit.rank,
        similarity=round(hit.similarity, 6),
        model=one.model,
        gallery=state_of(Shelf).gallery,
    )


def draw_button(one: ExplainRequest, hit: Hit, key: str) -> None:
    """The button that marks a hit, or takes its mark away."""
    if uploads.is_upload(one.pool.videos[one.query]):  # it goes with its visitor
        return
    mark = _mark_of(one, hit)
    is_marked = mark.key in state_of(Shelf).marks
    title = plain(one.pool.videos[hit.index].title)
    with st.container(key=f"bookmark_{key}", width="content"):
        st.button(
            f"*{'Remove the mark of' if is_marked else 'Mark'} {title}*",
            key=f"mark_button_{key}",
            icon=":material/bookmark_added:" if is_marked else ":material/bookmark_add:",
            type="primary" if is_marked else "secondary",
            on_click=_toggle,
            args=(mark,),
        )


def _change(edit: Callable[[Marks], None]) -> bool:
    shelf = state_of(Shelf)
    try:
        marks.change(shelf.folder, edit)
    except ValueError as error:
        shelf.said = [str(error)]
        return False
    shelf.said = []
    return True


def _toggle(mark: Mark) -> None:
    def edit(held: Marks) -> None:
        if held.pop(mark.key, None) is None:
            held[mark.key] = mark

    _change(edit)


def _remove(mark: Mark) -> None:
    def edit(held: Marks) -> None:
        held.pop(mark.key, None)

    _change(edit)


def _write_note(mark: Mark, key: str) -> None:
    note = " ".join(str(st.session_state[key]).split())
    _change(lambda held: held.update({mark.key: replace(held.get(mark.key, mark), note=note)}))


def draw(pool: Pool, open_query: Callable[[str], None]) -> None:
    """The list of marks of this gallery.

    Args:
        pool: The gallery.
        open_query: Searches for a video by its name.
    """
    shelf = state_of(Shelf)
    said, shelf.said = shelf.said, []
    for sentence in dict.fromkeys(said):
        shell.show_error(sentence)
    with st.expander(f"Marks ({len(shelf.own)})", icon=":material/bookmark:", key="marks"):
        where = shown_path(shelf.folder / marks.NAME)
        st.caption(
            plain(
                f"Kept in {where}, with their notes: for everybody who uses this folder of runs. "
                "The button on a hit marks it."
            )
        )
        place = st.container(key="mark_rows")
        for mark in cards.paged(shelf.own, PAGE, f"mark_page_{len(shelf.own)}"):
            with place:
                _draw_mark(pool, mark, open_query)
        with st.container(horizontal=True, vertical_alignment="center", gap="small"):
            st.download_button(
                "Export as CSV",
                lambda: marks.table(shelf.own),
                file_name="marks.csv",
                mime="text/csv",
                icon=":material/download:",
                on_click="ignore",
                disabled=not shelf.own,
            )
            with st.popover("Import", icon=":material/upload:"):
                _draw_import(pool)


def _draw_mark(pool: Pool, mark: Mark, open_query: Callable[[str], None]) -> None:
    key = hashlib.sha256(repr(mark.key).encode()).hexdigest()[:12]
    names = {"query": mark.query, "video": mark.video}
    rows = {what: pool.places.get(name) for what, name in names.items()}
    titles = {
        what: name if rows[what] is None else pool.videos[rows[what] or 0].title
        for what, name in names.items()
    }
    rank = f"no. {mark.rank:,} " if mark.rank else ""
    cosine = "" if mark.similarity != mark.similarity else f", {signed(mark.similarity, 2)}"
    gone = "" if None not in rows.values() else "; not in this gallery now"
    with st.container(key=f"marked_{key}", horizontal=True, vertical_alignment="center"):
        if rows["video"] is not None:
            with st.container(width=96):
                film = cards.film(pool.videos[rows["video"]], testid="marked")
                st.html(f'<div class="thumb">{film}</div>')
        with st.container(width=330):
            st.html(
                f'<div class="marked"><b>{html.escape(titles["video"])}</b><span class="dim">'
                f"{rank}by {NAMES[mark.feature]} to {html.escape(titles['query'])}{cosine}"
                f"{gone}<br>{html.escape(mark.model)}</span></div>"
            )
        with st.container(width="stretch"):
            note = f"note_{key}"
            seen = state_of(Shelf).seen
            if seen.get(note) != mark.note or note not in st.session_state:
                st.session_state[note] = seen[note] = mark.note
            st.text_input(
                f"Note on {titles['video']}",
                key=note,
                max_chars=MOST_LETTERS,
                placeholder="a note",
                label_visibility="collapsed",
                on_change=_write_note,
                args=(mark, note),
            )
        about = f"*of {plain(titles['video'])}*"
        with st.container(key=f"actions_mark_{key}", horizontal=True, gap="small", width="content"):
            if rows["query"] is not None:
                st.button(
                    f"Open the query {about}",
                    key=f"open_{key}",
                    type="tertiary",
                    on_click=open_query,
                    args=(mark.query,),
                )
            st.button(
                f"Remove {about}",
                key=f"remove_{key}",
                type="tertiary",
                on_click=_remove,
                args=(mark,),
            )


def _draw_import(pool: Pool) -> None:
    with st.form("import_marks", clear_on_submit=True, border=False):
        sent = st.file_uploader(
            "A CSV with the columns query, feature and video, such as an export",
            type="csv",
            key="marks_file",
            max_upload_size=MOST_MEGABYTES,
        )
        pressed = st.form_submit_button("Add these marks", icon=":material/check:")
    if pressed and sent is not None:
        take(sent.getvalue(), pool)
        st.rerun()


def take(data: bytes, pool: Pool) -> None:
    """Add the marks of a CSV to those that are there; a bad one changes nothing, which is said.

    Args:
        data: The file.
        pool: The gallery: marks of its videos become its own, whatever the file calls it.
    """
    shelf = state_of(Shelf)
    path = temporary.folder() / "marks.csv"
    try:
        path.write_bytes(data)
        added = marks.parse(read_text(path))
    except (ValueError, OSError) as error:
        reason = str(error).replace(f"{path} ", "it ").replace(str(path), "it")
        shelf.said = [f"These marks are not taken, and nothing has changed: {reason}"]
        return
    finally:
        path.unlink(missing_ok=True)
    here = [mark.query in pool.places and mark.video in pool.places for mark in added]
    added = [
        replace(mark, gallery=shelf.gallery) if is_here or not mark.gallery else mark
        for mark, is_here in zip(added, here, strict=True)
    ]
    if _change(lambda held: marks.merge(held, added)) and not all(here):
        shelf.said = [
            f"{here.count(False):,} of the {len(here):,} marks name videos that are not in this "
            "gallery: they are kept in the table"
        ]
