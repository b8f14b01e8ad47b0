"""The four panels, the contribution over time and the numbers beside them."""

import hashlib
from typing import Any

import streamlit as st

from dashboard import engine, links, sources
from dashboard.controls import Clip, Selection
from dashboard.engine import HEADS, TITLES, HeadView, PairView
from dashboard.models import Loaded
from dashboard.pictures import SHEET_COLUMNS, jpeg
from dashboard.viewer import viewer

NOTES = {"rsp": "relative speed", "avid": "appearance"}
SYMBOLS = {"rsp": "m", "avid": "a"}
# Violet and green: neither of the map's own colours, and told apart by colour-blind readers, who
# also have the line's dashes.
COLOURS = {"rsp": "#b05cbb", "avid": "#0b8a66"}
DASHES = {"rsp": "solid", "avid": "dashed"}
PLAY_FPS = 10
VIEWER = "viewer"
CHART_PIXELS = 230


def signed(value: float, digits: int = 3) -> str:
    """A number with its sign and a fixed number of digits, minus as a minus."""
    return f"{value:+.{digits}f}".replace("-", "\N{MINUS SIGN}")


def small(value: float) -> str:
    """A difference that should be next to nothing, such as ``2e-08``."""
    return f"{value:.0e}".replace("-", "\N{MINUS SIGN}") if value else "0"


def draw_waiting(selection: Selection) -> None:
    """The panels with their first frames, while model and maps are on their way."""
    clips = (selection.clip_i, selection.clip_j)
    stills = [jpeg(sources.decode(c.video.identity(), c.indices[:1])[0]) for c in clips]
    rows = [
        _row(name, "", [_panel(c, stills[n], name, None) for n, c in enumerate(clips)])
        for name in HEADS
    ]
    data = _data(selection, rows, "waiting", 0)
    left, right = _columns("waiting")
    with left:
        viewer(data, f"{VIEWER}_waiting", lambda _frame: None)
    with right:
        st.html('<div class="facts"><p class="dim">Computing the maps&hellip;</p></div>')


def _columns(name: str) -> tuple[Any, Any]:
    row = st.container(key=f"{name}_row", horizontal=True, gap="large", vertical_alignment="top")
    return row.container(key=f"{name}_left"), row.container(key=f"{name}_right", gap="small")


@st.fragment
def draw(selection: Selection, view: PairView, loaded: Loaded) -> None:
    """Panels, scrubber and what goes with the frame. A move of the scrubber runs this alone."""
    frame = min(int(st.session_state.get("frame", 0)), view.grid.clip[0] - 1)
    left, right = _columns("stage")
    with left:
        if st.session_state.get("loop"):
            _draw_loop(selection, loaded)
        else:
            shown = viewer(_shown(selection, view, frame), VIEWER, _moved)
            # The charts' library keeps the browser busy for a second: pictures first.
            if shown:
                st.session_state["charts"] = True
        st.toggle(
            "Loop as one film",
            key="loop",
            help="The four panels as one H.264 clip. Right-click it to save it.",
        )
    with right:
        _draw_profiles(view, frame)
        st.html(_facts(view))
    link = dict(st.session_state.get("link", {}))
    if link.get("frame") != str(frame + 1):
        links.write(link | {"frame": str(frame + 1)})


def _moved(frame: int) -> None:
    st.session_state["frame"] = frame


def _draw_loop(selection: Selection, loaded: Loaded) -> None:
    try:
        with st.spinner("Encoding the loop"):
            film = engine.loop_of(selection, loaded)
    except ValueError as error:
        st.error(f"The loop can't be made: {error}.", icon=":material/error:")
        return
    alt = f"Maps of {selection.clip_i.title} and {selection.clip_j.title}, RSP above A-VID."
    st.video(film, loop=True, autoplay=True, muted=True, alt=alt)


def _shown(selection: Selection, view: PairView, frame: int) -> dict[str, Any]:
    """The viewer's data. It is the same for every frame, so that it is not sent again."""
    rows = []
    for name in HEADS:
        head = view.heads[name]
        clips = (selection.clip_i, selection.clip_j)
        panels = [
            _panel(c, head.sheets[n], name, [head.boxes[n]] * view.grid.clip[0])
            for n, c in enumerate(clips)
        ]
        rows.append(_row(name, signed(head.similarity, 2), panels, head))
    key = (selection, st.session_state.get("link_serial", 0))
    token = hashlib.sha256(repr(key).encode()).hexdigest()[:16]
    if st.session_state.get("token") != token:
        st.session_state["token"], st.session_state["token_frame"] = token, frame
    data = _data(selection, rows, token, int(st.session_state["token_frame"]))
    return data | {
        "sheet": {"columns": SHEET_COLUMNS, "rows": -(-view.grid.clip[0] // SHEET_COLUMNS)},
        "unit": "contribution to s, per cell",
    }


def _data(
    selection: Selection, rows: list[dict[str, Any]], token: str, frame: int
) -> dict[str, Any]:
    return {
        "token": token,
        "frame": frame,
        "fps": PLAY_FPS,
        "num_frames": selection.model.num_frames,
        "columns": [
            {"index": clip.side, "detail": clip.title}
            for clip in (selection.clip_i, selection.clip_j)
        ],
        "rows": rows,
    }


def _row(
    name: str, score: str, panels: list[dict[str, Any]], head: HeadView | None = None
) -> dict[str, Any]:
    row: dict[str, Any] = {
        "head": name,
        "title": TITLES[name],
        "note": NOTES[name],
        "index": SYMBOLS[name],
        "line": f"3px {DASHES[name]} {COLOURS[name]}",
        "score": score,
        "panels": panels,
    }
    if head is not None:
        end = f"{head.limit:.2g}"
        row["bar"] = {
            "colors": head.ramp,
            "ticks": [f"+{end}", "0", f"\N{MINUS SIGN}{end}"],
            "alt": f"Colour scale of {TITLES[name]}: orange raises s, blue lowers it, "
            f"up to {end} a cell.",
        }
    return row


def _panel(clip: Clip, image: str, name: str, boxes: list[Any] | None) -> dict[str, Any]:
    alt = f"c_{clip.side}: {clip.title}"
    if boxes is not None:
        alt = f"Contributions to the {TITLES[name]} similarity on {alt}"
    return {"column": clip.side, "image": image, "alt": alt, "boxes": boxes}


def _draw_profiles(view: PairView, frame: int) -> None:
    st.html(_legend())
    box = st.container(height=CHART_PIXELS, border=False, key="profiles_box", gap=None)
    if not st.session_state.get("charts"):
        return
    from dashboard.charts import profiles

    heads = {name: head.profiles for name, head in view.heads.items()}
    figure = profiles(heads, frame, TITLES, COLOURS, DASHES, CHART_PIXELS)
    box.plotly_chart(
        figure,
        key="profiles",
        config={"displayModeBar": False, "scrollZoom": False, "doubleClick": False},
        alt="Contribution to s over the frames of c_i and of c_j, one line a head.",
    )


def _swatch(name: str) -> str:
    """A piece of the head's line. (The page strips SVG from HTML, borders it leaves.)"""
    return f'<span class="swatch" style="border-top: 3px {DASHES[name]} {COLOURS[name]}"></span>'


def _legend() -> str:
    keys = "".join(f'<span class="key">{_swatch(name)}{TITLES[name]}</span>' for name in HEADS)
    return (
        '<div class="row-title">Contribution over time <span class="dim">a step a time cell, '
        f'together s</span><span class="legend">{keys}</span></div>'
    )


def _facts(view: PairView) -> str:
    """Numbers of both heads, as a table, and the grid in words."""
    frames, height, width = view.grid.clip
    rows = []
    for name in HEADS:
        head = view.heads[name]
        symbol = f'<span class="symbol">s<sub>{SYMBOLS[name]}</sub></span>'
        moving = "".join(
            f'<td class="number">{share.share:.0%} '
            f'<span class="dim">of {share.area:.0%}</span></td>'
            for share in head.moving
        )
        rows.append(
            f'<tr data-testid="facts-{name}"><td>{_swatch(name)}{TITLES[name]}</td>'
            f'<td class="number">{signed(head.total, 4)} = {symbol}'
            f' <span class="dim">off {small(head.off)}</span></td>{moving}</tr>'
        )
    return (
        '<div class="facts"><table><thead><tr><th></th><th>Sum of contributions</th>'
        '<th>On moving pixels, <span class="symbol">c<sub>i</sub></span></th>'
        '<th><span class="symbol">c<sub>j</sub></span></th></tr></thead>'
        f"<tbody>{''.join(rows)}</tbody></table>"
        '<p class="dim">On moving pixels: share of the positive contribution, and the share of '
        "all pixels that move, which is what a map that knows nothing would give.</p>"
        f'<p data-testid="grid">The maps have {view.grid} (time x height x width), '
        f"drawn over {frames} frames of {height} x {width} pixels. "
        "Orange raises <span class='symbol'>s</span>, blue lowers it, and the frame shows "
        "through where a cell adds nothing. Box: the largest connected part of the cells that "
        "hold half of the positive contribution.</p></div>"
    )
