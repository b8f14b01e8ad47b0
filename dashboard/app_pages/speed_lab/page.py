"""Speed lab: one thing about a clip changed, and what both heads make of it."""

import hashlib
import html
from typing import TYPE_CHECKING, Any

import streamlit as st

from analysis.figures.viewer.pictures import SHEET_COLUMNS
from dashboard.app_pages.speed_lab import export, responses
from dashboard.app_pages.speed_lab.charts import dots, level_curves
from dashboard.app_pages.speed_lab.controls import (
    FRACTIONS,
    MENU,
    choose_change,
    choose_clip,
    take_change,
    written,
)
from dashboard.app_pages.speed_lab.responses import LabView, Subject
from dashboard.base import links
from dashboard.base.charts import legend
from dashboard.base.style import COLOURS, DASHES, NOTES, PLAY_FPS, SYMBOLS, signed, small
from dashboard.base.viewer import viewer
from dashboard.overlays.options import C_I, C_J
from dashboard.services import models, uploads
from dashboard.services.galleries import SYNTHETIC_EXAMPLE, Source, pixel_aspect
from dashboard.services.models import Loaded, ModelChoice
from dashboard.widgets import controls, pool, shell, upload_panel
from dashboard.widgets.shell import Opened
from dashboard.widgets.upload_panel import Use
from rspnet.names import HEAD_TITLES, HEADS

if TYPE_CHECKING:
    from analysis.stimuli.perturbed_clips import Curve

SUBTITLE = "Which head notices another playback speed, and which one another appearance?"
VIEWER = "lab_viewer"
CURVE_PIXELS, DOTS_PIXELS = 270, 30
LOGARITHMIC = ("speed", "shuffle")
WHY_FIRST = (
    "This clip opens first because of the synthetic videos it is the one whose two heads differ "
    "the most at 2x by the shipped model."
)


def page() -> None:
    """Draw the page."""
    opened = shell.open_page("Speed lab", SUBTITLE)
    if not opened.models:
        st.error(shell.NO_MODEL, icon=":material/error:")
        return
    if opened.link:  # what was said of files on another page is nothing to this one
        uploads.store_of_session().refused = []
    with st.container(key="lab_controls", horizontal=True, vertical_alignment="bottom"):
        with st.container(key="lab_model"):
            model = controls.choose_model(opened.link, opened.models)
        title = controls.choose_gallery(opened.link, opened.arguments)
        clip = st.container(key="lab_clip")
        with st.popover("More", type="tertiary", width="content"):
            controls.more(opened.arguments)
            if upload_panel.draw("lab", model.num_frames, [Use("Change it", _use)]):
                st.rerun()
    source = pool.open_gallery(title, opened.arguments)
    if source is None:
        links.show_notes(opened.notes)
        return
    with clip:
        subject = choose_clip(opened.link, uploads.beside(source), model)
    if subject is not None:
        take_change(opened.link, subject)
    links.show_notes(opened.notes)
    if subject is None:
        return
    try:
        if not models.is_loaded(model):
            with st.spinner("Loading the model"):
                models.load(model)
        loaded = models.load(model)
    except ValueError as error:
        shell.show_error(error)
        return
    _draw(subject, source, model, loaded, opened)


def _use(name: str) -> None:
    st.session_state["lab_video"] = name


@st.fragment
def _draw(
    subject: Subject, source: Source, model: ModelChoice, loaded: Loaded, opened: Opened
) -> None:
    """What is changed, by how much, and what comes of it. A move of the level runs this alone."""
    with st.container(key="lab_change", horizontal=True, vertical_alignment="bottom", gap="medium"):
        name, level = choose_change(subject)
    summary = st.empty()
    row = st.container(key="lab_row", horizontal=True, gap="large", vertical_alignment="top")
    left, right = row.container(key="lab_left"), row.container(key="lab_right", gap="small")
    try:
        with left:
            view = responses.view_of(subject, name, level, loaded)
            viewer(_data(subject, name, level, view), VIEWER, _moved)
        with right:
            curve = responses.curve_of(subject, name, loaded)
            summary.html(_summary(curve, name, level, view))
            _draw_curve(curve, name, level)
            st.html(_facts(curve, name, level, view))
    except ValueError as error:
        shell.show_error(error)
        return
    link = {
        "model": model.name,
        "gallery": source.title,
        "video": st.session_state["lab_video"],
        "start": str(subject.start),
        "change": name,
        "level": f"{level:g}",
        "frame": str(min(int(st.session_state["lab_frame"]), subject.num_frames - 1) + 1),
    }
    links.write(link)
    with right:
        try:
            _draw_others(subject, name, loaded)
        except ValueError as error:  # one of them can fail where the one that is shown does not
            shell.show_error(error)
    export.draw(subject, name, level, source, model, loaded, opened.arguments)


def _moved(frame: int) -> None:
    st.session_state["lab_frame"] = frame


def _data(subject: Subject, name: str, level: float, view: LabView) -> dict[str, Any]:
    """The viewer's data; the same for every frame, so that it is not sent again."""
    state = st.session_state
    shown = (subject, name, level, links.visit().serial)
    token = hashlib.sha256(repr(shown).encode()).hexdigest()[:16]
    if state.get("lab_token") != token:
        state["lab_token"], state["lab_token_frame"] = token, int(state["lab_frame"])
    first, last = subject.start, subject.start + subject.num_frames - 1
    details = (
        f"{subject.title}, frames {first} to {last}",
        f"{_shown(name, level)}, frames {min(view.frames)} to {max(view.frames)}",
    )
    end = f"{view.limit:.2g}"
    rows = []
    for head in HEADS:
        panels = [
            {
                "column": side,
                "image": panel.sheet,
                "boxes": [panel.box] * subject.num_frames,
                "alt": f"Contributions, {HEAD_TITLES[head]}, on c_{side}: {detail}",
            }
            for side, panel, detail in zip("ij", view.panels[head], details, strict=True)
        ]
        rows.append(
            {
                "head": head,
                "title": HEAD_TITLES[head],
                "note": NOTES[head],
                "letter": "s",
                "index": SYMBOLS[head],
                "line": f"3px {DASHES[head]} {COLOURS[head]}",
                "score": signed(view.similarity[head]),
                "panels": panels,
                "bar": {
                    "colors": list(view.ramp),
                    "ticks": [f"+{end}", "0", f"\N{MINUS SIGN}{end}"],
                    "alt": f"Colour scale: orange raises s, blue lowers it, up to {end} a cell.",
                },
            }
        )
    return {
        "token": token,
        "frame": int(state["lab_token_frame"]),
        "keep_frame": True,
        "fps": PLAY_FPS,
        "num_frames": subject.num_frames,
        "columns": [
            {"index": side, "detail": detail, "aspect": pixel_aspect(subject.video.path)}
            for side, detail in zip("ij", details, strict=True)
        ],
        "rows": rows,
        "sheet": {"columns": SHEET_COLUMNS, "rows": -(-subject.num_frames // SHEET_COLUMNS)},
        "unit": "contribution to s, per cell",
    }


def _draw_curve(curve: "Curve", name: str, level: float) -> None:
    change = responses.change_of(name)
    words = [FRACTIONS.get(at, f"{at:g}") for at in curve.levels]
    if change.is_switch:
        words = ["as it is", MENU[name].lower()]
    elif name == "speed":  # every other is enough where they are close
        words = [word if at not in (0.75, 1.25, 2.5, 3.5) else "" for word, at in
                 zip(words, curve.levels, strict=True)]  # fmt: skip
    elif name == "offset":
        words = [word if at not in (1, 2) else "" for word, at in
                 zip(words, curve.levels, strict=True)]  # fmt: skip
    st.html(
        f'<div class="row-title">Similarity of {C_I} and {C_J} <span class="dim">dotted: nothing '
        f"changed; line: what is shown</span>{legend()}</div>"
    )
    st.plotly_chart(
        level_curves(
            {head: values[0].tolist() for head, values in curve.similarity.items()},
            curve.levels,
            words,
            level,
            change.neutral,
            title="" if change.is_switch else change.title,
            logarithmic=name in LOGARITHMIC,
            height=CURVE_PIXELS,
        ),
        key="lab_curve",
        config={"displayModeBar": False},
        alt=f"Similarity of c_i and c_j by both heads over {change.title}; {written(name, level)} "
        "is marked: "
        + ", ".join(f"{HEAD_TITLES[h]} {curve.at(h, level)[0]:+.3f}" for h in HEADS)
        + ".",
    )


def _shown(name: str, level: float) -> str:
    """The perturbation that is shown, in words."""
    perturbation = responses.change_of(name)
    if level == perturbation.neutral:
        return "nothing changed"
    words = MENU[name].lower()
    return words if perturbation.is_switch else f"{words} {written(name, level)}"


def _summary(curve: "Curve", name: str, level: float, view: LabView) -> str:
    """What one sees, in a sentence of numbers above the panels."""
    neutral, heads = responses.change_of(name).neutral, []
    for head in HEADS:
        before = ""
        if neutral in curve.levels and level != neutral:
            before = f", from {signed(float(curve.at(head, neutral)[0]), 2)}"
        score = signed(view.similarity[head], 2)
        heads.append(f"<b>{score} by {HEAD_TITLES[head]}</b>{before}")
    shown = _shown(name, level)
    said = f"Similarity of the clip to itself with {html.escape(shown)}: {'; '.join(heads)}."
    if st.session_state["lab_video"] == SYNTHETIC_EXAMPLE:
        said += f" {WHY_FIRST}"
    return f'<p class="lead" data-testid="summary">{said}</p>'


def _facts(curve: "Curve", name: str, level: float, view: LabView) -> str:
    """Both heads' numbers at the level that is shown, as a table, and how to read them."""
    change = responses.change_of(name)
    rows = []
    for head in HEADS:
        symbol = f'<span class="symbol">s<sub>{SYMBOLS[head]}</sub></span>'
        neutral = ""
        if change.neutral in curve.levels:
            neutral = signed(float(curve.at(head, change.neutral)[0]), 4)
        rows.append(
            f'<tr data-testid="lab-{head}"><td><span class="swatch" style="border-top: 3px '
            f'{DASHES[head]} {COLOURS[head]}"></span>{HEAD_TITLES[head]}</td><td class="number">'
            f"{symbol} = <b>{signed(view.similarity[head], 4)}</b></td>"
            f'<td class="number">{neutral}</td><td class="number dim">the same, to '
            f"{small(view.error[head])}</td></tr>"
        )
    return (
        '<div class="facts"><table><thead><tr><th></th>'
        f"<th>Shown: {html.escape(_shown(name, level))}</th>"
        "<th>Nothing changed</th><th>Sum of the map</th></tr></thead>"
        f"<tbody>{''.join(rows)}</tbody></table>"
        '<p data-testid="lab-reading">A head that a change moves falls away from the dotted line; '
        "a head that does not care stays level. Orange adds to "
        f'<span class="symbol">s</span>, blue lowers it, on one scale for all changes of '
        f'this clip: its maps fade as <span class="symbol">s</span> falls. {C_I} goes through '
        f"the query branch and {C_J} through the momentum branch, so a clip is not "
        "quite 1 to itself.</p></div>"
    )


def _draw_others(subject: Subject, name: str, loaded: Loaded) -> None:
    """Every change at its largest level, side by side."""
    found = responses.strongest_of(subject, loaded)
    names = []
    for other, curve in found.items():
        words = MENU[other]
        if not responses.change_of(other).is_switch:
            words = f"{words}, {written(other, curve.levels[-1])}"
        names.append(f"<b>{words}</b>" if other == name else words)
    values = {
        head: [float(curve.similarity[head][0, 0]) for curve in found.values()] for head in HEADS
    }
    st.html(
        '<div class="row-title">The other changes beside it <span class="dim">each at its '
        f"largest level; one clip</span>{legend(marks=True)}</div>"
    )
    st.plotly_chart(
        dots(values, names, DOTS_PIXELS * len(names)),
        key="lab_others",
        config={"displayModeBar": False},
        alt="Similarity of c_i and c_j by both heads under each change at its largest level.",
    )
    if shell.has_page("evidence"):
        shell.link_to(
            "evidence", "Means over many videos, with intervals", ":material/arrow_forward:"
        )
