"""Compare: what the RSP head and the A-VID head attend to, on a pair of clips."""

import contextlib
from collections.abc import Callable
from dataclasses import replace

import streamlit as st

from dashboard.app_pages.compare import captum, export, neighbours, panels, region
from dashboard.app_pages.compare.beside import Beside
from dashboard.base import links
from dashboard.base.state import choose_place, plain
from dashboard.overlays import captum_job, maps, view_model
from dashboard.overlays.request import MapRequest, resolve
from dashboard.overlays.selection import SIDES, Selection
from dashboard.services import classifiers, models, uploads
from dashboard.services.models import Loaded, ModelChoice
from dashboard.widgets import controls, pool, shell, upload_panel
from dashboard.widgets.map_options import choose_display, link_of
from dashboard.widgets.shell import Opened
from dashboard.widgets.upload_panel import Use

SUBTITLE = (
    "What does the head for relative speed (RSP) attend to, and what that for appearance (A-VID)?"
)


def page() -> None:
    """Draw the page."""
    opened = shell.open_page("Compare heads", SUBTITLE)
    if not opened.models:
        st.error(shell.NO_MODEL, icon=":material/error:")
        return
    selected = _select(opened)
    links.show_notes(opened.notes)
    if selected is not None:
        _draw(*selected, opened)


def _select(opened: Opened) -> tuple[Selection, ModelChoice | None] | None:
    """Draw the controls; None where something chosen can't be used, which is then said.

    Returns:
        What is shown, and a second model that is shown beside the first.
    """
    link, arguments = opened.link, opened.arguments
    if link:  # what was said of files on another page is nothing to this one
        uploads.store_of_session().refused = []
    row = st.container(key="controls", horizontal=True, vertical_alignment="bottom", gap="medium")
    title = controls.choose_gallery(link, arguments)
    with row.container(key="model_box"):
        model = controls.choose_model(link, opened.models)
    controls.choose_frame(link, model.num_frames)
    boxes = {side: row.container(key=f"clip_box_{side}") for side in SIDES}
    # Above one another where the row is full: both are as high as a menu with its label.
    menus = row.container(key="more_box", gap=None)
    with menus.popover("Second model", type="tertiary", width="content"):
        second = pool.choose_second(opened, model)
    with menus.popover("More", type="tertiary", width="content"):
        controls.more(arguments)
        uses = [Use("As c_i", _use_as("i")), Use("As c_j", _use_as("j"))]
        if upload_panel.draw("pair", model.num_frames, uses):
            st.rerun()
    with st.container(key="display", horizontal=True, vertical_alignment="bottom", gap="medium"):
        display = choose_display(link, has_task=bool(model.task))
        classifier = None
        if display.map.needs == "classifier":
            classifier = classifiers.choose_classifier(link, arguments)
    region.take(link)
    if "place" in link:
        links.take("place", choose_place(link["place"]))
    source = pool.open_gallery(title, arguments)
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
    return Selection(model, source, clip_i, clip_j, display, classifier), second


def _use_as(side: str) -> Callable[[str], None]:
    def use(name: str) -> None:
        # The start is left: choose_clip moves it to where the clip fits.
        st.session_state[f"video_{side}"] = name
        st.session_state[f"speed_{side}"] = 1

    return use


def _draw(selection: Selection, second: ModelChoice | None, opened: Opened) -> None:
    """Draw maps, numbers, what can be exported, and neighbours."""
    area = st.container(key="panels", gap=None)
    if selection.display.map.needs == "classifier" and selection.classifier is None:
        needed = classifiers.what_is_needed(opened.arguments, selection.model)
        with area:
            panels.draw_waiting(selection, lambda: _say_needed(needed))
        links.write(_link(selection, second))
        return
    with area:
        waiting = st.empty()
        is_first = not models.is_loaded(selection.model)
        try:
            if is_first:
                with waiting.container():
                    panels.draw_waiting(selection)
            loaded = models.load(selection.model)
            if why := _why_no_task(selection, loaded):
                with waiting.container():
                    panels.draw_waiting(selection, lambda: _say_needed(why))
                links.write(_link(selection, second))
                return
            request = resolve(selection)
            if _draw_captum(selection, request, loaded, waiting):
                links.write(_link(selection, second))
                return
            # On the first visit the panels' first frames stand there already.
            spare = contextlib.nullcontext() if is_first else waiting
            with spare, st.spinner("Computing the maps"):
                view = view_model.view_pair(request, selection.display, loaded)
                beside = _open_second(selection, second) if second is not None else None
        except ValueError as error:
            waiting.empty()
            shell.show_error(error)
            return
        waiting.empty()
        if opened.link.get("place") and (said := panels.refused_place(selection, view)):
            links.add_note(opened.notes, said)
        st.session_state.setdefault("frame", view.strongest_frame)
        panels.draw_summary(selection, view, request, loaded)
        if isinstance(beside, str):
            _say_needed(beside)
            beside = None
        panels.draw(selection, request, view, loaded, beside)
    region.draw(selection, loaded)
    links.write(_link(selection, second))
    export.draw(selection, request, loaded, opened.arguments)
    neighbours.draw(selection, loaded)


def _open_second(selection: Selection, second: ModelChoice) -> Beside | str:
    """The maps of a second model of the same pair; why there are none, as a sentence."""
    name, kind = plain(second.name), selection.display.map
    if second.num_frames != selection.model.num_frames:
        why = (
            f"it takes clips of {second.num_frames} frames, and {plain(selection.model.name)} "
            f"of {selection.model.num_frames}. Choose another model"
        )
    elif kind.needs == "classifier":
        why = f"{kind.title} is of the classifier, not of a model. Choose another kind of map"
    elif kind.num_passes is not None:
        why = f"{kind.title} takes many passes. Choose another kind of map to see both models"
    elif kind.needs == "task" and not second.task:
        why = "it has no head of a pretext task. Choose another kind of map"
    else:
        own = replace(selection, model=second)
        try:
            loaded = models.load(second)
            if not (why := _why_no_task(own, loaded)):
                return Beside(own, view_model.view_pair(resolve(own), own.display, loaded))
        except ValueError as error:
            why = plain(str(error), keep_code=True)
    return f"{name} is not shown beside it: {why.removesuffix('.')}."


def _why_no_task(selection: Selection, loaded: Loaded) -> str:
    """Why the pair has no map of the model's pretext task, as a sentence; empty if it has."""
    if selection.display.map.needs != "task" or loaded.task is None:
        return ""
    from analysis.attribution.task_map import why_no_pair

    why = why_no_pair(loaded.task)
    return f"{why}." if why else ""


def _draw_captum(
    selection: Selection,
    request: MapRequest,
    loaded: Loaded,
    waiting: st.delta_generator.DeltaGenerator,
) -> bool:
    """The cost and the button of a method that takes many passes; False for all other maps."""
    if request.map.num_passes is None:
        return False
    pair = maps.pair_of(request, loaded)
    if captum_job.is_ready(request, pair):
        return False
    with waiting.container():
        panels.draw_waiting(selection, lambda: captum.draw_run(request, pair))
    return True


def _say_needed(text: str) -> None:
    st.info(text, icon=":material/info:")


def _link(selection: Selection, second: ModelChoice | None) -> dict[str, str]:
    link = {
        "model": selection.model.name,
        "gallery": selection.source.title,
    }
    if second is not None:
        link["second"] = second.name
    if "frame" in st.session_state:
        link["frame"] = str(int(st.session_state["frame"]) + 1)
    if st.session_state.get("place"):
        link["place"] = st.session_state["place"]
    for clip in (selection.clip_i, selection.clip_j):
        link[clip.side] = clip.video.name
        link[f"{clip.side}_start"] = str(clip.start)
        link[f"{clip.side}_speed"] = str(clip.speed)
    if selection.classifier is not None:
        link["classifier"] = selection.classifier.name
    return link | region.link() | link_of(selection.display)
