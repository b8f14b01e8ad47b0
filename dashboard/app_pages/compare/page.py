"""Compare: where the RSP head and the A-VID head look, on a pair of clips."""

import contextlib
from collections.abc import Callable

import streamlit as st

from dashboard.app_pages.compare import captum, export, neighbours, panels
from dashboard.base import links
from dashboard.base.state import choose_place
from dashboard.overlays import captum_job, maps, view_model
from dashboard.overlays.options import CAM
from dashboard.overlays.selection import SIDES, Selection
from dashboard.services import classifiers, models, uploads
from dashboard.widgets import controls, shell, upload_panel
from dashboard.widgets.map_options import choose_look, link_of
from dashboard.widgets.shell import Opened
from dashboard.widgets.upload_panel import Use

QUESTION = (
    "Where does the head for relative speed (RSP) look, and where the one for appearance (A-VID)?"
)


def page() -> None:
    """Draw the page."""
    opened = shell.open_page("Compare heads", QUESTION)
    if not opened.models:
        st.error(shell.NO_MODEL, icon=":material/error:")
        return
    selection = _select(opened)
    links.show_notes(opened.notes)
    if selection is None:
        return
    _look(selection, opened)


def _select(opened: Opened) -> Selection | None:
    """Draw the controls; None where something chosen is no good, which is then said."""
    link, arguments = opened.link, opened.arguments
    if link:  # what was said of files on another page is nothing to this one
        uploads.store_of_session().refused = []
    row = st.container(key="controls", horizontal=True, vertical_alignment="bottom", gap="medium")
    title = controls.choose_gallery(link, arguments)
    with row.container(key="model_box"):
        model = controls.choose_model(link, opened.models)
    controls.choose_frame(link, model.num_frames)
    boxes = {side: row.container(key=f"clip_box_{side}") for side in SIDES}
    with row.popover("More", type="tertiary", width="content"):
        controls.more(arguments)
        uses = [Use("As c_i", _use_as("i")), Use("As c_j", _use_as("j"))]
        if upload_panel.draw("pair", model.num_frames, uses):
            st.rerun()
    with st.container(key="look", horizontal=True, vertical_alignment="bottom", gap="medium"):
        look = choose_look(link)
        classifier = classifiers.choose_classifier(link, arguments) if look.kind == CAM else None
    if "place" in link:
        links.take("place", choose_place(link["place"]))
    source = shell.open_gallery(title, arguments)
    if source is None:
        return None
    clips = []
    for side, box in boxes.items():
        with box:
            listed = uploads.beside(source)
            clips.append(controls.choose_clip(side, link, listed, model.num_frames))
    clip_i, clip_j = clips
    if clip_i is None or clip_j is None:
        return None
    return Selection(model, source, clip_i, clip_j, look, classifier)


def _use_as(side: str) -> Callable[[str], None]:
    def use(name: str) -> None:
        # The start is left: choose_clip moves it to where the clip fits.
        st.session_state[f"video_{side}"] = name
        st.session_state[f"speed_{side}"] = 1

    return use


def _look(selection: Selection, opened: Opened) -> None:
    """Draw maps, numbers, what can be exported, and neighbours."""
    area = st.container(key="stage", gap=None)
    if selection.look.kind == CAM and selection.classifier is None:
        needed = classifiers.what_is_needed(opened.arguments, selection.model)
        with area:
            panels.draw_waiting(selection, lambda: _say_needed(needed))
        links.write(_link(selection))
        return
    with area:
        waiting = st.empty()
        first = not models.is_loaded(selection.model)
        if first:
            try:
                with waiting.container():
                    panels.draw_waiting(selection)
            except ValueError as error:
                shell.show_error(error)
                return
        try:
            loaded = models.load(selection.model)
            asked = maps.asked_of(selection)
            if captum_job.is_witness(asked.kind) and not captum_job.is_ready(asked, loaded):
                with waiting.container():
                    panels.draw_waiting(selection, lambda: captum.draw_question(asked, loaded))
                links.write(_link(selection))
                return
            # On the first visit the panels' first frames stand there already.
            with contextlib.nullcontext() if first else waiting, st.spinner("Computing the maps"):
                view = view_model.view_pair(selection, loaded)
        except ValueError as error:
            waiting.empty()
            shell.show_error(error)
            return
        waiting.empty()
        if opened.link.get("place") and (said := panels.refused_place(selection, view)):
            links.add_note(opened.notes, said)
        panels.draw(selection, view, loaded)
    links.write(_link(selection))
    export.draw(selection, loaded, opened.arguments)
    neighbours.draw(selection, loaded)


def _say_needed(text: str) -> None:
    st.info(text, icon=":material/info:")


def _link(selection: Selection) -> dict[str, str]:
    link = {
        "model": selection.model.name,
        "gallery": selection.source.title,
        "frame": str(int(st.session_state["frame"]) + 1),
    }
    if st.session_state.get("place"):
        link["place"] = st.session_state["place"]
    for clip in (selection.clip_i, selection.clip_j):
        link[clip.side] = clip.video.name
        link[f"{clip.side}_start"] = str(clip.start)
        link[f"{clip.side}_speed"] = str(clip.speed)
    if selection.classifier is not None:
        link["classifier"] = selection.classifier.name
    return link | link_of(selection.look)
