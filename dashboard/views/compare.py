"""Compare: where the RSP head and the A-VID head look, on a pair of clips."""

import sys

import streamlit as st

from dashboard import controls, engine, jobs, models, neighbours, sources, stage
from dashboard.arguments import Arguments, parse_arguments
from dashboard.controls import Look, Selection
from dashboard.models import ModelChoice
from dashboard.sources import Source
from dashboard.viewer import ASSETS

TITLE = """
<div class="title" role="heading" aria-level="1">
  <span class="name">Compare heads</span>
  <span class="question">Where does the head for relative speed (RSP) look, and where the one for
  appearance (A-VID)?</span>
</div>
"""

NO_MODEL = (
    "There is no model to look at: `checkpoints/` holds none. Train one with "
    "`python -m rspnet.train --out runs/first`, then start the dashboard with "
    "`streamlit run dashboard/app.py -- --model runs/first/model.safetensors`."
)


def page() -> None:
    """Draw the page."""
    st.html(ASSETS / "page.css")
    with st.container(key="title"):
        st.html(TITLE)
    notes = st.container()
    link = controls.restore_link()
    try:
        arguments = parse_arguments(sys.argv[1:])
    except ValueError as error:
        arguments = Arguments()
        st.error(str(error), icon=":material/error:")
    choices = models.list_choices(arguments)
    if not choices:
        st.error(NO_MODEL, icon=":material/error:")
        return
    selection = _select(link, arguments, choices)
    controls.show_notes(notes)
    if selection is None:
        return
    _look(selection)


def _select(
    link: dict[str, str], arguments: Arguments, choices: list[ModelChoice]
) -> Selection | None:
    """Draw the controls; None where something chosen is no good, which is then said."""
    row = st.container(key="controls", horizontal=True, vertical_alignment="bottom", gap="medium")
    title = controls.choose_gallery(link, arguments)
    with row.container(key="model_box"):
        model = controls.choose_model(link, choices)
    controls.choose_frame(link, model.num_frames)
    boxes = {side: row.container(key=f"clip_box_{side}") for side in controls.SIDES}
    with row.popover("More", type="tertiary", width="content"):
        scale = controls.choose_scale(link)
        smooth, opacity = controls.more(arguments)
    source = _open(title, arguments)
    if source is None:
        return None
    clips = []
    for side, box in boxes.items():
        with box:
            clips.append(controls.choose_clip(side, link, source, model.num_frames))
    clip_i, clip_j = clips
    if clip_i is None or clip_j is None:
        return None
    return Selection(model, source, clip_i, clip_j, Look(scale, smooth, opacity))


def _open(title: str, arguments: Arguments) -> Source | None:
    if title == sources.GENERATED and not sources.stage_is_complete(arguments):
        job = jobs.generate_stage(arguments)
        slot = st.empty()
        while not job.finished.wait(0.3):
            slot.progress(
                job.part,
                f"Generating the example videos, {job.done} of {job.total}. This happens once.",
            )
        slot.empty()
        if job.error:
            st.error(job.error, icon=":material/error:")
            if st.button("Try again"):
                jobs.forget(("stage", str(sources.stage_folder(arguments))))
                st.rerun()
            return None
    try:
        return sources.open_source(title, arguments)
    except ValueError as error:
        st.error(f"{title} can't be shown: {error}.", icon=":material/error:")
        return None


def _look(selection: Selection) -> None:
    """Draw maps, numbers and neighbours."""
    area = st.container(key="stage", gap=None)
    with area:
        waiting = st.empty()
        if not models.is_loaded(selection.model):
            try:
                with waiting.container():
                    stage.draw_waiting(selection)
            except ValueError as error:
                _complain(error)
                return
        try:
            loaded = models.load(selection.model)
            view = engine.view_pair(selection, loaded)
        except ValueError as error:
            waiting.empty()
            _complain(error)
            return
        waiting.empty()
        stage.draw(selection, view, loaded)
    neighbours.draw(selection, loaded)
    controls.write_link(_link(selection))


def _complain(error: ValueError) -> None:
    text = str(error).strip().rstrip(".")
    st.error(f"This can't be shown: {text}.", icon=":material/error:")


def _link(selection: Selection) -> dict[str, str]:
    link = {
        "model": selection.model.name,
        "gallery": selection.source.title,
        "scale": selection.look.scale,
        "frame": str(int(st.session_state["frame"]) + 1),
    }
    for clip in (selection.clip_i, selection.clip_j):
        link[clip.side] = clip.video.name
        link[f"{clip.side}_start"] = str(clip.start)
        link[f"{clip.side}_speed"] = str(clip.speed)
    return link
