"""The four panels, and what goes on over time beside them."""

import hashlib
import html
from collections.abc import Callable
from typing import Any

import streamlit as st

from analysis.attribution.registry import DEFAULT_MAP, OTHER_ROWS, MapKind, map_kinds
from analysis.figures.viewer.panel import Panel
from analysis.figures.viewer.pictures import SHEET_COLUMNS, jpeg, resize
from analysis.figures.viewer.rows import bar_of, row_of
from dashboard.app_pages.compare import beside as second_model
from dashboard.app_pages.compare import region
from dashboard.app_pages.compare.beside import Beside
from dashboard.app_pages.compare.facts import facts
from dashboard.base import links
from dashboard.base.arguments import CHECKPOINTS
from dashboard.base.state import quote
from dashboard.base.style import PLAY_FPS, WAITING, signed
from dashboard.base.viewer import viewer
from dashboard.overlays import strip, verdict_job, view_model
from dashboard.overlays.maps import Place
from dashboard.overlays.options import C_I, C_J, symbols
from dashboard.overlays.request import MapRequest
from dashboard.overlays.selection import Clip, Selection
from dashboard.overlays.view_model import PairView, Partners
from dashboard.services import galleries
from dashboard.services.galleries import SYNTHETIC_EXAMPLE
from dashboard.services.models import Loaded
from dashboard.widgets import shell, verdicts
from dashboard.widgets.controls import first_pair
from rspnet.names import HEAD_TITLES, HEADS

VIEWER = "viewer"
WHY_FIRST = "This pair opens first because both clips play at 2x, where speed can be seen"
WHY_EXAMPLE = (
    ", and of the synthetic videos it has the largest margin of RSP by the shipped model; it opens "
    "at the frames where that margin is largest"
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
    if beside is None:
        with st.container(key="summary_waiting"):
            st.html('<p class="lead">Computing the maps&hellip;</p>')
        data["strip"] = strip.waiting(clips)
        with st.container(key="pictures_waiting"):
            viewer(data, f"{VIEWER}_{name}", lambda _frame: None)
        return
    row = st.container(key="offer_row", horizontal=True, gap="large", vertical_alignment="top")
    with row.container(key="offer_left"):
        viewer(data, f"{VIEWER}_{name}", lambda _frame: None)
    with row.container(key="offer_right", gap="small"):
        beside()


def _first(clip: Clip) -> str:
    """The first frame in the shape that it is shown in."""
    frames = galleries.decode(clip.video.identity(), clip.indices[:1])
    height, width = frames.shape[1:3]
    return jpeg(resize(frames, height, max(1, round(width * clip.info.pixel_aspect)))[0])


def draw_summary(selection: Selection, view: PairView, request: MapRequest, loaded: Loaded) -> None:
    """What one sees, in sentences, whether to believe it, and the way to what holds elsewhere."""
    with st.container(key="summary", horizontal=True, gap="medium"):
        st.container(key="said").html(_summary(selection, view))
        with st.container(key="checked", gap="xxsmall"):
            if verdict_job.has_verdict(request):
                heads = tuple(view.panels)
                verdicts.draw(
                    lambda: verdict_job.start(request, loaded, heads), f"these maps of {C_I}"
                )
            shell.link_to(
                "evidence",
                "What holds over many videos, with intervals",
                ":material/arrow_forward:",
            )


@st.fragment
def draw(
    selection: Selection,
    request: MapRequest,
    view: PairView,
    loaded: Loaded,
    beside: Beside | None = None,
) -> None:
    """Panels, scrubber and what goes with the frame. A move of the scrubber runs this alone."""
    region.draw_if_moved()
    frame = min(int(st.session_state.get("frame", 0)), view.grid.clip[0] - 1)
    place = _place(selection, view)
    partners = None
    if place:
        partners = view_model.view_partners(request, selection.display, *place, loaded)
    difference = None
    if selection.display.rows == "difference":
        difference = view_model.view_difference(request, selection.display, loaded)
    data = _shown(selection, view, frame, place, partners, difference, beside)
    clips = (selection.clip_i, selection.clip_j)
    # Pictures first: taking the time apart sends both clips through the network once more.
    before = st.session_state.get(VIEWER)
    is_seen = before is not None and before.get("ready") == data["token"]
    still = None
    if strip.has_still(request) and (is_seen or strip.is_at_hand(request, loaded)):
        still = strip.still_of(request, loaded)
    data["strip"] = strip.strip_of(clips, request, selection.display, view, still)
    with st.container(key="pictures"):
        viewer(data, VIEWER, _moved, _placed, region.set_region)
    if place and partners:
        _draw_partners(place, partners, view)
    if beside is not None:
        second_model.draw(selection, view, beside)
    st.html(facts(selection, view))
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
    opening = first_pair(selection.source, selection.model.num_frames)
    if clips == opening and selection.display.kind == DEFAULT_MAP:
        is_shipped = selection.model.path.parent == CHECKPOINTS
        is_example = is_shipped and clips[0].video.name == SYNTHETIC_EXAMPLE
        said += f" {WHY_FIRST}{WHY_EXAMPLE if is_example else ''}."
    return f'<p class="lead" data-testid="summary">{said}</p>'


def _shown(
    selection: Selection,
    view: PairView,
    frame: int,
    place: tuple[str, Place] | None,
    partners: Partners | None,
    difference: tuple[Panel, Panel] | None,
    beside: Beside | None,
) -> dict[str, Any]:
    """The viewer's data. It is the same for every frame, so that it is not sent again."""
    clips = (selection.clip_i, selection.clip_j)
    partners_of = {place[0]: partners} if place and partners else {}
    rows = _rows(selection, view, partners_of)
    if beside is not None:
        rows = _interleaved(rows, selection, beside)
    if selection.display.rows == "difference" and difference is not None:
        rows.append(_difference_row(clips, difference, view))
    token, token_frame, keep = _token(selection, frame, place, beside)
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
        "unit": selection.display.map.units,
        "place": st.session_state.get("place", ""),
        "region": st.session_state.get(region.REGION) or "",
        "region_of": region.side(),
        "keep_frame": keep,
    }


def _rows(
    selection: Selection, view: PairView, partners: dict[str, Partners]
) -> list[dict[str, Any]]:
    """A row a head or class; in place of c_j's map the partners of a place, where one is chosen."""
    kind, clips = selection.display.map, (selection.clip_i, selection.clip_j)
    rows = []
    for name, both in view.panels.items():
        own = partners.get(name)
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
        rows.append(row_of(name, title, _short(view.score(name)), panels, kind.symbol))
        rows[-1]["bar"] = bar_of(title, both[0].limit, view.ramp, selection.display.scale)
    return rows


def _interleaved(
    rows: list[dict[str, Any]], selection: Selection, beside: Beside
) -> list[dict[str, Any]]:
    """Below each head of the first model that of the second, each with its model's name."""
    second = _rows(beside.selection, beside.view, {})
    for own, name in ((rows, selection.model.name), (second, beside.selection.model.name)):
        for row in own:
            row["note"] = name
            for panel in row["panels"]:
                panel["alt"] = f"{name}: {panel['alt']}"
    order = [row["head"] for row in rows]
    for row in second:
        order += [row["head"]] if row["head"] not in order else []
        row["beside"] = True
    both = sorted([*rows, *second], key=lambda row: order.index(row["head"]))
    for row in second:  # its own name, once it has found its place
        row["head"] += "-2"
    return both


def _difference_row(
    clips: tuple[Clip, Clip], both: tuple[Panel, Panel], view: PairView
) -> dict[str, Any]:
    title = "RSP \N{MINUS SIGN} A-VID"
    panels = [
        _panel(clip, panel.sheet, title, [None] * view.grid.clip[0], "Difference of the maps")
        for clip, panel in zip(clips, both, strict=True)
    ]
    return {
        "head": "difference",
        "title": title.replace("-", "\N{NON-BREAKING HYPHEN}"),
        "note": "orange: more of RSP's map; blue: more of A-VID's",
        "line": "none",
        "panels": panels,
        "unit": "share of a head's map, per cell",
        "bar": bar_of(title, both[0].limit, view.ramp, "head"),
    }


def _what(kind: MapKind, view: PairView, side: int) -> str:
    """Title of the map of one clip."""
    (i, j), *_ = view.found.rows.values()
    own = map_kinds().get(j.kind) if side and j.kind != i.kind else None
    return own.title if own else kind.title


def _token(
    selection: Selection, frame: int, place: tuple[str, Place] | None, beside: Beside | None
) -> tuple[str, int, bool]:
    """Names what is shown; the frame it began with; whether only the way of showing changed."""
    state = st.session_state
    serial = links.visit().serial
    # Not the gallery, which may list many thousand videos.
    pair = (selection.clip_i, selection.clip_j, selection.model, selection.classifier, serial)
    second = beside and beside.selection.model
    shown = (pair, selection.display, place, second)
    token = hashlib.sha256(repr(shown).encode()).hexdigest()[:16]
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


def _short(value: float) -> str:
    """Two digits, and of a small number as many as two that count take, up to four.

    Example:
        >>> _short(0.304), _short(-0.0042), _short(0.0)
        ('+0.30', '−0.0042', '+0.00')
    """
    digits = 2 if abs(value) >= 0.095 or value == 0 else 3 if abs(value) >= 0.0095 else 4
    return signed(value, digits)


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
