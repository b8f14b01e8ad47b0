"""A region drawn on a clip: what of the maps lies in it, and what changes when it is edited."""

import re
from dataclasses import replace
from typing import TYPE_CHECKING

import streamlit as st

from analysis.attribution.registry import OTHER_ROWS
from analysis.core.statistics import Compared
from analysis.regions.rectangle import Rectangle
from dashboard.app_pages.compare import neighbours
from dashboard.app_pages.compare.neighbours import Near
from dashboard.base import links
from dashboard.base.state import choose_region, quote, speeds_that_fit
from dashboard.base.style import signed
from dashboard.overlays import edited, maps
from dashboard.overlays.edited import EditView
from dashboard.overlays.options import C_I, C_J
from dashboard.overlays.request import MapRequest, at_speed, resolve
from dashboard.overlays.selection import SIDES, Selection
from dashboard.services import embeddings
from dashboard.services.models import Loaded
from dashboard.widgets import cards, shell
from rspnet.names import HEAD_TITLES, HEADS

if TYPE_CHECKING:
    from analysis import KindMaps

# Widgets lose what they hold when they are not drawn; these keys do not.
REGION, SIDE, EDIT, MOVED = "region", "region_of", "region_edit", "region_moved"
EDITS = {
    "freeze": "Freeze it",
    "blur": "Blur it",
    "mean": "Fill it with its mean colour",
    "swap": "Show the other clip there",
}
SYMBOLS = {"i": C_I, "j": C_J}
_HOW_TO = (
    "Press <i>Draw a region</i> beside the frame number, or the key <code>r</code>, and drag over "
    f"a frame of {C_I} or of {C_J}. Then choose what that part shows instead: both heads' scores, "
    "their maps and the nearest videos are computed anew, and stand beside those of the clip as it "
    "is."
)


def take(link: dict[str, str]) -> None:
    """Take the region, its clip and its edit from a new link; what is in vain goes to the notes."""
    if not link:
        return
    own = link.get(SIDE, "i")
    if own not in SIDES:
        links.note(
            f"The link draws a region of clip {quote(own)}, it can be `i` or `j`; it is drawn on i."
        )
        own = "i"
    st.session_state[SIDE] = own
    links.take(REGION, choose_region(link.get("region", "")))
    how = link.get("edit", "")
    if how and how not in EDITS and not re.fullmatch("speed[124]", how):
        links.note(
            f"The link edits the region by {quote(how)}, it can be {', '.join(EDITS)} or a speed, "
            "such as `speed2`; nothing is edited."
        )
        how = ""
    st.session_state[EDIT] = how


def link() -> dict[str, str]:
    """The region, its clip unless that is c_i, and its edit as parameters of a link."""
    state, drawn = st.session_state, st.session_state.get(REGION)
    held = {"region": drawn, "edit": drawn and state.get(EDIT)}
    held[SIDE] = drawn and side() != "i" and side()
    return {name: str(value) for name, value in held.items() if value}


def side() -> str:
    """The clip that the region is of, ``i`` or ``j``."""
    return str(st.session_state.get(SIDE) or "i")


def set_region(text: str, of: str = "") -> None:
    """Hold another region, empty for none; the whole page is to be drawn.

    Args:
        text: The region.
        of: Its clip; empty for that of the one before.
    """
    st.session_state[REGION] = choose_region(text).value
    st.session_state[SIDE] = of or side()
    st.session_state[MOVED] = True


def draw_if_moved() -> None:
    """Draw the whole page where a part of it alone runs, and the region was changed there."""
    if st.session_state.pop(MOVED, False):
        st.rerun()


def draw(selection: Selection, loaded: Loaded) -> None:
    """The section of the region; without one, how to draw it."""
    st.session_state.pop(MOVED, None)
    with st.container(key="what_if"):
        st.html(
            '<div class="row-title" role="heading" aria-level="2">What if this part were '
            "different?</div>"
        )
        _panel(selection, loaded)


@st.fragment
def _panel(selection: Selection, loaded: Loaded) -> None:
    draw_if_moved()
    text = str(st.session_state.get(REGION) or "")
    if not text:
        st.html(f'<div class="facts"><p class="dim">{_HOW_TO}</p></div>')
        return
    region = Rectangle.parse(text)
    how = _choose(selection, region)
    links.rewrite(edit=how)
    try:
        _draw(selection, loaded, region, how)
    except ValueError as error:
        shell.show_error(error)


def _choose(selection: Selection, region: Rectangle) -> str:
    """Draw the controls; the edit that is chosen, empty for none."""
    clip, state = selection.clip(side()), st.session_state
    fitting = speeds_that_fit(clip.info.num_frames, clip.num_frames)
    speeds = {f"speed{n}": f"Play it at {n}x" for n in fitting if n != clip.speed}
    options = EDITS | speeds
    if state.get(EDIT) and state[EDIT] not in options:
        st.info(
            f"The region can't be played at {state[EDIT][-1]}x: the clip has that speed already, "
            "or its video is too short for it.",
            icon=":material/info:",
        )
        state[EDIT] = ""
    last = clip.num_frames - 1
    first_frame, last_frame = region.frames or (0, last)
    state["region_range"] = (min(first_frame, last) + 1, min(last_frame, last) + 1)
    state["region_how"] = state.get(EDIT) or None
    state["region_side"] = side()

    def chose() -> None:
        state[EDIT] = state["region_how"] or ""

    def ranged() -> None:
        low, high = state["region_range"]
        frames = None if (low, high) == (1, last + 1) else (low - 1, high - 1)
        set_region(str(replace(region, frames=frames)))

    row = st.container(
        key="what_if_controls", horizontal=True, vertical_alignment="bottom", gap="medium"
    )
    row.segmented_control(
        "Region of", SIDES, format_func="Clip {}".format, key="region_side", required=True,
        on_change=lambda: set_region(str(state[REGION]), state["region_side"] or side()),
        help="To draw it on the other clip, drag over a frame of that one.",
    )  # fmt: skip
    row.segmented_control(
        "In the region", list(options), format_func=options.__getitem__, key="region_how",
        on_change=chose,
    )  # fmt: skip
    with row.container(width=190):
        st.slider("Frames", 1, last + 1, key="region_range", on_change=ranged)
    row.button("Clear the region", on_click=set_region, args=("",), key="region_clear")
    if shell.has_page("retrieval"):
        with row:
            indices = clip.indices
            frames = (indices[min(first_frame, last)], indices[min(last_frame, last)])
            shell.link_to(
                "retrieval",
                "Search the gallery for what matches this part",
                ":material/search:",
                model=selection.model.name,
                gallery=selection.source.title,
                query=clip.video.name,
                region=str(replace(region, frames=frames)),
            )
    return str(state.get(EDIT) or "")


def _draw(selection: Selection, loaded: Loaded, region: Rectangle, how: str) -> None:
    """Numbers in the region and, where an edit is chosen, all that it changes."""
    display, said, own = selection.display, "", side()
    if display.map.num_passes is not None or display.map.needs in OTHER_ROWS:
        said = f" {display.map.title} is not computed for edits: the maps are contributions to s."
        display = replace(display, kind="contribution")
        selection = replace(selection, display=display, classifier=None)
    before = resolve(selection)
    if not how:
        st.html(_table(region, maps.maps_of(before, loaded), None))
        st.caption(f"Choose what the region shows instead to see what that changes.{said}")
        return
    with st.spinner("Computing the edited clip"):
        other = None
        if how == "swap":
            other = before.clip(SIDES[own == "i"])
        elif how.startswith("speed"):
            other = at_speed(selection.clip(own), int(how[-1]), before.clip(own).size)
        if display.map.needs == "triplet":
            before = edited.same_negatives(before, loaded)
        kind = "speed" if how.startswith("speed") else how
        after = edited.edit(before, region, kind, other, own)
        if not edited.changes(before.clip(own), after.clip(own)):
            st.html(_table(region, maps.maps_of(before, loaded), None))
            st.info(
                "This edit changes no pixel: the region already looks like that in all of its "
                "frames, as what stands still does when it is frozen. All numbers, maps and "
                "nearest videos stay as they are.",
                icon=":material/info:",
            )
            return
        found = edited.view_edit(before, after, own, display, loaded)
    st.html(_table(region, found.before, found.after))
    st.html(
        '<div class="facts"><p class="dim">In the region: share of what is positive in the map of '
        f"{SYMBOLS[own]}, and the share of the clip's pixels that the region covers, which is what "
        f"a uniform map would give.{said}</p></div>"
    )
    _draw_maps(found, region, selection.clip(own).info.pixel_aspect)
    _draw_nearest(selection, after, loaded)


def _table(region: Rectangle, before: "KindMaps", after: "KindMaps | None") -> str:
    """A line a head: its scores before and after, and its share in the region, HTML."""
    from analysis.attribution.registry import map_kind
    from analysis.regions.motion import share_inside

    kind, lines = map_kind(before.kind), []
    own = kind.symbol != "s" or not kind.sums_to  # what the map is of has columns of its own

    def pair(now: float, then: float | None) -> str:
        if then is None:
            return f'<td class="number">{signed(now, 4)}</td>'
        return (
            f'<td class="number">{signed(now, 4)} &rarr; {signed(then, 4)}</td>'
            f'<td class="number"><b>{signed(Compared(then, now).difference, 4)}</b></td>'
        )

    def inside(found: "KindMaps", head: str) -> str:
        own = found.rows[head][SIDES.index(side())]
        part = share_inside(own.values, region.mask(own.grid.clip), own.grid)
        return f'{part.share:.0%} <span class="dim">of {part.area:.0%}</span>'

    for head, s in before.similarity.items():
        cells = pair(s, after.similarity[head] if after else None)
        if own:
            columns = 2 if after else 1
            cells += (
                pair(before.score(head), after.score(head) if after else None)
                if head in before.rows
                else f'<td colspan="{columns}" class="dim">no map</td>'
            )
        shares = [inside(f, head) for f in (before, after) if f and head in f.rows]
        lines.append(
            f'<tr data-testid="edit-{head}"><td>{HEAD_TITLES[head]}</td>{cells}'
            f'<td class="number">{" &rarr; ".join(shares)}</td></tr>'
        )
    scores = ["s", kind.symbol] if own else ["s"]
    heads = "".join(
        f'<th><span class="symbol">{letter}</span>{" &rarr; edited" if after else ""}</th>'
        + ("<th>Difference</th>" if after else "")
        for letter in scores
    )
    return (
        f'<div class="facts"><table><thead><tr><td></td>{heads}'
        f"<th>In the region, {SYMBOLS[side()]}</th></tr></thead>"
        f"<tbody>{''.join(lines)}</tbody></table></div>"
    )


def _draw_maps(found: EditView, region: Rectangle, aspect: float) -> None:
    left, top = 100 * region.left, 100 * region.top
    width, height = 100 * region.right - left, 100 * region.bottom - top
    mark = (
        f'<div class="region" style="left: {left:g}%; top: {top:g}%; width: {width:g}%; '
        f'height: {height:g}%"></div>'
    )
    tiles = []
    for row, both in found.panels.items():
        title = HEAD_TITLES[row]
        for panel, words in zip(both, ("as it is", "edited"), strict=True):
            alt = f"Map of {title} on c_{side()} {words}"
            text = f"scale \N{PLUS-MINUS SIGN}{panel.limit:.2g}"
            tiles.append(cards.tile(panel.sheet, alt, f"{title}, {words}", text, aspect, mark))
    st.html(f'<div class="example edits" data-testid="edits">{"".join(tiles)}</div>')


def _draw_nearest(selection: Selection, after: MapRequest, loaded: Loaded) -> None:
    """The nearest videos of the clip as it is and of the edited one, by each head."""
    key, job = embeddings.embed(selection.source, loaded)
    if not job.finished.is_set() or job.error or job.stopped:
        st.caption("The nearest videos stand here once the gallery is embedded, see below.")
        return
    clips = (None, after.clip(side()))
    for head in HEADS:
        own, new = (neighbours.nearest(key, head, selection, loaded, c, side()) for c in clips)
        kept = {near.video.name for near in own} & {near.video.name for near in new}
        st.html(
            f'<div class="row-title">Nearest by {HEAD_TITLES[head]} <span class="dim">'
            f"{len(kept)} of {len(new)} stay; a blue frame: in one of the lists only</span></div>"
            f'<div class="nearest-edits" data-testid="nearest-{head}">'
            f"{_thumbs('As it is', own, kept)}{_thumbs('Edited', new, kept)}</div>"
        )


def _thumbs(title: str, found: list[Near], kept: set[str]) -> str:
    """Videos side by side; those that the other list lacks are marked."""
    drawn = "".join(
        cards.thumb(
            near.video,
            number=signed(near.similarity, 2),
            mark="" if near.video.name in kept else "new",
        )
        for near in found
    )
    return f'<div><div class="dim">{title}</div><div class="five">{drawn}</div></div>'
