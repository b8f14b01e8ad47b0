"""The four panels, the contribution over time and the numbers beside them."""

import hashlib
import html
from collections.abc import Callable
from typing import Any

import streamlit as st

from analysis.attribution.registry import OTHER_ROWS, MapKind, map_kinds
from analysis.figures.viewer.panel import Panel
from analysis.figures.viewer.pictures import SHEET_COLUMNS, jpeg, resize
from analysis.figures.viewer.rows import bar_of, row_of
from dashboard.base import links
from dashboard.base.state import quote
from dashboard.base.style import COLOURS, DASHES, PLAY_FPS, SYMBOLS, WAITING, signed, small
from dashboard.base.viewer import viewer
from dashboard.overlays import view_model
from dashboard.overlays.maps import Place
from dashboard.overlays.options import C_I, C_J, symbols
from dashboard.overlays.request import NUM_CANDIDATES, MapRequest
from dashboard.overlays.selection import Clip, Selection
from dashboard.overlays.view_model import PairView, Partners
from dashboard.services import galleries
from dashboard.services.models import Loaded
from dashboard.widgets import shell
from dashboard.widgets.controls import first_pair
from rspnet.names import HEAD_TITLES, HEADS

VIEWER = "viewer"
CHART_PIXELS = 230
WHY_FIRST = (
    "This pair opens first because both clips play at 2x, where speed can be seen, and of the "
    "synthetic videos it has the largest margin of RSP by the shipped model; it opens at the "
    "frames where that margin is largest."
)


def draw_waiting(selection: Selection, beside: Callable[[], None] | None = None) -> None:
    """The panels with their first frames, while model and maps are on their way.

    Args:
        selection: What is shown.
        beside: Draws what stands beside the panels; without it they say that they are on the way.
    """
    clips = (selection.clip_i, selection.clip_j)
    firsts = [_first(clip) for clip in clips]
    titles = WAITING.get(selection.display.map.needs, HEAD_TITLES)
    rows = [
        row_of(name, title, "", [_panel(c, firsts[n], title, None) for n, c in enumerate(clips)])
        for name, title in titles.items()
    ]
    # A first visit to a method that has to be run has both in one run of the page.
    name = "waiting" if beside is None else "offer"
    token = hashlib.sha256(repr((name, clips)).encode()).hexdigest()[:16]
    data = _data(selection, rows, token, 0) | {"idle": beside is not None}
    left, right = _columns(name)
    with left:
        viewer(data, f"{VIEWER}_{name}", lambda _frame: None)
    with right:
        if beside is not None:
            beside()
        else:
            st.html('<div class="facts"><p class="dim">Computing the maps&hellip;</p></div>')


def _first(clip: Clip) -> str:
    """The first frame in the shape that it is shown in."""
    frames = galleries.decode(clip.video.identity(), clip.indices[:1])
    height, width = frames.shape[1:3]
    return jpeg(resize(frames, height, max(1, round(width * clip.info.pixel_aspect)))[0])


def _columns(name: str) -> tuple[Any, Any]:
    row = st.container(key=f"{name}_row", horizontal=True, gap="large", vertical_alignment="top")
    return row.container(key=f"{name}_left"), row.container(key=f"{name}_right", gap="small")


def draw_summary(selection: Selection, view: PairView) -> None:
    """What one sees, in sentences, and the way to what holds over many videos."""
    with st.container(key="summary", gap="xxsmall"):
        st.html(_summary(selection, view))
        shell.link_to(
            "evidence", "What holds over many videos, with intervals", ":material/arrow_forward:"
        )


@st.fragment
def draw(selection: Selection, request: MapRequest, view: PairView, loaded: Loaded) -> None:
    """Panels, scrubber and what goes with the frame. A move of the scrubber runs this alone."""
    frame = min(int(st.session_state.get("frame", 0)), view.grid.clip[0] - 1)
    place = _place(selection, view)
    partners = None
    if place:
        partners = view_model.view_partners(request, selection.display, *place, loaded)
    left, right = _columns("panels")
    with left:
        data = _shown(selection, view, frame, place, partners)
        shown = viewer(data, VIEWER, _moved, _placed)
        # The charts' library keeps the browser busy for a second: pictures first.
        if shown:
            st.session_state["charts"] = True
    with right:
        if place and partners:
            _draw_partners(place, partners, view)
        _draw_profiles(selection, view, frame)
        st.html(_facts(selection, view))
    place_named = str(st.session_state.get("place") or "")
    links.rewrite(frame=str(frame + 1), place=place_named)


def _place(selection: Selection, view: PairView) -> tuple[str, Place] | None:
    """The place in c_i that was chosen, if these maps have it."""
    parts = str(st.session_state.get("place") or "").split(".")
    if selection.display.has_places and len(parts) == 4 and parts[0] in HEADS:
        time, row, column = (int(part) if part.isdecimal() else -1 for part in parts[1:])
        place = (time, row, column)
        if all(0 <= n < cells for n, cells in zip(place, view.grid.cells, strict=True)):
            return parts[0], place
    st.session_state["place"] = ""
    return None


def refused_place(selection: Selection, view: PairView) -> str:
    """Why the place that a link names can't be shown, as a sentence; empty if it can."""
    named = str(st.session_state.get("place") or "")
    if not named or _place(selection, view):
        return ""
    if not selection.display.has_places:
        kind = "the fine grid" if selection.display.cells == "fine" else "this kind of map"
        return (
            f"The link names the place {quote(named)}, and {kind} has no places to choose: they "
            "are of contributions in the cells of the network; no place is chosen."
        )
    return (
        f"The link names the place {quote(named)}, which is not here: the maps have {view.grid}, "
        "counted from 0; no place is chosen."
    )


def _placed(place: str) -> None:
    st.session_state["place"] = place


def _moved(frame: int) -> None:
    st.session_state["frame"] = frame


def _summary(selection: Selection, view: PairView) -> str:
    """What one sees, in sentences with numbers above the panels."""
    said = view_model.moving_words(view)
    if not view.found.has_one_target:
        said += f" The map of {C_J} is of {symbols('`s`')}, on a scale of its own."
    for head, why in view.found.skipped.items():
        said += f" No row for {HEAD_TITLES[head]}: {html.escape(why)}."
    method = html.escape(selection.model.task)
    if method and selection.display.map.needs not in OTHER_ROWS:
        said += (
            f" The model was trained by {method}, and its own map is Pretext task: the RSP and "
            f"A-VID heads are as they were drawn, unless {method} trains them too."
        )
    clips = (selection.clip_i, selection.clip_j)
    if clips == first_pair(selection.source, selection.model.num_frames):
        said += f" {WHY_FIRST}"
    return f'<p class="lead" data-testid="summary">{said}</p>'


def _shown(
    selection: Selection,
    view: PairView,
    frame: int,
    place: tuple[str, Place] | None,
    partners: Partners | None,
) -> dict[str, Any]:
    """The viewer's data. It is the same for every frame, so that it is not sent again."""
    kind, clips = selection.display.map, (selection.clip_i, selection.clip_j)
    rows = []
    for name, both in view.panels.items():
        own = partners if place and place[0] == name else None
        shown = (both[0], own.panel if own else both[1])
        boxes = (own.box if own else shown[0].box, shown[1].box)
        title = view.title(name)
        panels = [
            _panel(c, shown[n].sheet, title, [boxes[n]] * view.grid.clip[0], _what(kind, view, n))
            for n, c in enumerate(clips)
        ]
        if own:
            panels[1]["alt"] = f"Partners of the chosen place, {title}, in {panels[1]['alt']}"
        limits = [f"\N{PLUS-MINUS SIGN}{panel.limit:.2g}" for panel in shown]
        if selection.display.scale == "map" or own:
            panels[0]["limit"], panels[1]["limit"] = limits
        elif not view.found.has_one_target:
            panels[1]["limit"] = f"map of s, {limits[1]}"
        rows.append(row_of(name, title, signed(view.score(name), 2), panels, kind.symbol))
        rows[-1]["bar"] = bar_of(title, both[0].limit, view.ramp, selection.display.scale)
    token, token_frame, keep = _token(selection, frame, place)
    data = _data(selection, rows, token, token_frame)
    if selection.display.has_places:
        grid = view.grid
        data["cells"] = {
            "time": grid.cell_of(0).tolist(),
            "y": (grid.edges(1) / grid.clip[1]).tolist(),
            "x": (grid.edges(2) / grid.clip[2]).tolist(),
        }
    return data | {
        "sheet": {"columns": SHEET_COLUMNS, "rows": -(-view.grid.clip[0] // SHEET_COLUMNS)},
        "unit": kind.units,
        "place": st.session_state.get("place", ""),
        "keep_frame": keep,
    }


def _what(kind: MapKind, view: PairView, side: int) -> str:
    """Title of the map of one clip."""
    (i, j), *_ = view.found.rows.values()
    own = map_kinds().get(j.kind) if side and j.kind != i.kind else None
    return own.title if own else kind.title


def _token(
    selection: Selection, frame: int, place: tuple[str, Place] | None
) -> tuple[str, int, bool]:
    """Names what is shown; the frame it began with; whether only the way of showing changed."""
    state = st.session_state
    serial = links.visit().serial
    # Not the gallery, which may list many thousand videos.
    pair = (selection.clip_i, selection.clip_j, selection.model, selection.classifier, serial)
    token = hashlib.sha256(repr((pair, selection.display, place)).encode()).hexdigest()[:16]
    if state.get("token") != token:
        state["token"], state["token_frame"] = token, frame
        state["token_keeps"] = state.get("token_pair") == pair
        state["token_pair"] = pair
    return token, int(state["token_frame"]), bool(state["token_keeps"])


def _data(
    selection: Selection, rows: list[dict[str, Any]], token: str, frame: int
) -> dict[str, Any]:
    return {
        "token": token,
        "frame": frame,
        "fps": PLAY_FPS,
        "num_frames": selection.model.num_frames,
        "columns": [
            {"index": clip.side, "detail": clip.title, "aspect": clip.info.pixel_aspect}
            for clip in (selection.clip_i, selection.clip_j)
        ],
        "rows": rows,
    }


def _panel(
    clip: Clip, image: str, title: str, boxes: list[Any] | None, what: str = ""
) -> dict[str, Any]:
    alt = f"c_{clip.side}: {clip.title}"
    if boxes is not None:
        alt = f"{what}, {title}, on {alt}"
    return {"column": clip.side, "image": image, "alt": alt, "boxes": boxes}


def _draw_partners(place: tuple[str, Place], partners: Partners, view: PairView) -> None:
    """What the chosen place is, in words, and the way back."""
    head, (_, row, column) = place
    first, last = partners.frames
    total = view.score(head)
    with st.container(key="partners", horizontal=True, vertical_alignment="center"):
        st.html(
            '<div class="facts" data-testid="partners"><p><b>Place in '
            f"{C_I}</b>, {HEAD_TITLES[head]}: row {row + 1}, column {column + 1} of the cells, "
            f"frames {first} to {last}. It adds {signed(partners.total, 4)} to s = "
            f"{signed(total, 4)}; shown on {C_J} is "
            "where its partners are, and they sum to that contribution.</p></div>",
            width="stretch",
        )
        st.button("Show the whole map", key="place_clear", on_click=_placed, args=("",))


def _draw_profiles(selection: Selection, view: PairView, frame: int) -> None:
    kind = selection.display.map
    st.html(_legend(kind, view))
    box = st.container(height=CHART_PIXELS, border=False, key="profiles_box", gap=None)
    if not st.session_state.get("charts"):
        return
    from dashboard.base.charts import profiles

    heads = {name: (i.profile, j.profile) for name, (i, j) in view.panels.items()}
    titles = {name: view.title(name) for name in view.panels}
    figure = profiles(
        heads, frame, titles, COLOURS, DASHES, CHART_PIXELS, is_shared=view.found.has_one_target
    )
    box.plotly_chart(
        figure,
        key="profiles",
        config={"displayModeBar": False, "scrollZoom": False, "doubleClick": False},
        alt=f"{kind.title} over the frames of c_i and of c_j, one line a head.",
    )


def _swatch(name: str) -> str:
    """A piece of the head's line. (The page strips SVG from HTML, borders it leaves.)"""
    return f'<span class="swatch" style="border-top: 3px {DASHES[name]} {COLOURS[name]}"></span>'


def _legend(kind: MapKind, view: PairView) -> str:
    keys = "".join(
        f'<span class="key">{_swatch(name)}{html.escape(view.title(name))}</span>'
        for name in view.panels
    )
    adds_up = kind.sums_to and kind.reduction == "sum"
    what = "sums to the score" if adds_up else "a step a time cell"
    return (
        f'<div class="row-title">{kind.title} over time <span class="dim">{what}; click a frame'
        f'</span><span class="legend">{keys}</span></div>'
    )


def _facts(selection: Selection, view: PairView) -> str:
    """Numbers of both rows, as a table, and the maps in words."""
    kind, (frames, height, width) = selection.display.map, view.grid.clip
    table = _class_table(view) if view.found.titles else _head_table(kind, view)
    fine = ", from clips shifted by parts of a cell" if selection.display.cells == "fine" else ""
    positive = "the positive contribution" if kind.sums_to else "what is positive in the map"
    number = max(view.found.num_negatives.values(), default=0)
    nearest = f" ({number} of up to {NUM_CANDIDATES} others)" if number else ""
    return (
        f'<div class="facts">{table}'
        f'<p class="dim">On moving pixels: share of {positive}, and the share of '
        "all pixels that move, which is what a uniform map would give.</p>"
        f'<p data-testid="kind">{symbols(kind.text)}{nearest}</p>'
        f'<p data-testid="grid">The maps have {view.grid}{fine} (time x height x width), '
        f"drawn over {frames} frames of {height} x {width} pixels. "
        "Orange raises the score, blue lowers it, and the frame shows "
        "through where a cell adds nothing. Box: the largest connected part of the cells that "
        f"hold half of {positive}."
        f"{_hint(selection)}</p></div>"
    )


def _head_table(kind: MapKind, view: PairView) -> str:
    # Where the map does not add up to s, s has a column of its own.
    beside = kind.symbol != "s" or not kind.sums_to
    rows = []
    for name, panels in view.panels.items():
        errors = [panel.error for panel in panels if panel.error is not None]
        error = max(errors, default=view.found.convergence_error(name))
        total = signed(panels[0].total, 4)
        if kind.sums_to:
            total += f" = {_symbol(kind.symbol, name)}"
        similarity = signed(view.found.similarity[name])
        own = f'<td class="number">{similarity}</td>' if beside else ""
        rows.append(
            f'<tr data-testid="facts-{name}"><td>{_swatch(name)}{view.title(name)}</td>'
            f'<td class="number">{total}{_error(error)}</td>'
            f"{own}{''.join(_moving(panel) for panel in panels)}</tr>"
        )
    head_s = '<th>Similarity <span class="symbol">s</span></th>' if beside else ""
    return (
        f"<table><thead><tr><th></th><th>{kind.total_title}</th>{head_s}"
        f"<th>On moving pixels, {C_I}</th><th>{C_J}</th></tr></thead>"
        f"<tbody>{''.join(rows)}</tbody></table>"
    )


def _class_table(view: PairView) -> str:
    """Logit and probability of each class or answer in each clip, a line each."""
    rows = []
    for name, panels in view.panels.items():
        offsets = view.found.offset.get(name, (0.0, 0.0))
        for side, panel, probability, offset in zip(
            (C_I, C_J), panels, view.found.probability[name], offsets, strict=True
        ):
            title = html.escape(view.title(name))
            bias = f" {signed(-offset, 3)}" if offset else ""
            rows.append(
                f'<tr data-testid="facts-{name}"><td>{_swatch(name)}{title}</td>'
                f'<td>{side}</td><td class="number">{signed(panel.total, 3)} = '
                f"{_symbol('v', name)}{bias}{_error(panel.error)}</td>"
                f'<td class="number">{probability:.1%}</td>{_moving(panel)}</tr>'
            )
    what = "Answer" if view.found.offset else "Class"
    return (
        f"<table><thead><tr><th>{what}</th><th>in</th><th>Sum</th><th>Probability</th>"
        f"<th>On moving pixels</th></tr></thead><tbody>{''.join(rows)}</tbody></table>"
    )


def _symbol(letter: str, name: str) -> str:
    return f'<span class="symbol">{letter}<sub>{SYMBOLS[name]}</sub></span>'


def _error(error: float | None) -> str:
    return "" if error is None else f' <span class="dim">sum error {small(error)}</span>'


def _moving(panel: Panel) -> str:
    area = f'<span class="dim">of {panel.moving:.0%}</span>'
    return f'<td class="number">{panel.on_moving:.0%} {area}</td>'


def _hint(selection: Selection) -> str:
    if not selection.display.has_places:
        return ""
    return f" Click a place of {C_I} to see its partners in {C_J}."
