"""How maps are made and drawn: kind, cells, colour scale, opacity."""

import streamlit as st

from analysis.attribution.registry import map_kinds
from dashboard.base import links
from dashboard.base.state import choose, choose_number
from dashboard.overlays.options import (
    CELLS,
    EXPLAINS,
    FRAMES,
    ROWS,
    SCALES,
    DisplayOptions,
    menu,
    methods,
)


def choose_one(name: str, what: str, label: str, options: dict[str, str], link: str | None) -> str:
    """One choice of a few, restored from the link; nothing is drawn where there is only one.

    Args:
        name: Key of the widget.
        what: It is, for what is said of the link.
        label: Above it.
        options: Titles by value, the first is the default.
        link: Value that the link gives.
    """
    first = next(iter(options))
    if link is not None or st.session_state.get(name) not in options:
        links.take(name, choose(what, link, list(options), first))
    if len(options) == 1:
        return first
    chosen = st.segmented_control(
        label, list(options), key=name, required=True, format_func=lambda key: options[key]
    )
    return str(chosen or first)


def choose_display(link: dict[str, str], *, has_task: bool = False) -> DisplayOptions:
    """Draw the controls of the map.

    Args:
        link: New parameters of the link.
        has_task: Whether the model has the head of a pretext task.
    """
    kind = _kind(link.get("map"), has_task)
    has_fine = map_kinds()[kind].fine
    cells = {name: title for name, title in CELLS.items() if name != "fine" or has_fine}
    if st.session_state.get("cells") == "fine" and "fine" not in cells:
        st.session_state["cells"] = "smooth"
    how = choose_one("cells", "the cells", "Cells", cells, link.get("cells"))
    scale = choose_one("scale", "the colour scale", "Colour scale", SCALES, link.get("scale"))
    with st.popover("Drawing", type="tertiary", width="content"):
        # The browser makes these when they are opened: it is to hear in each run what they hold.
        for name in {"opacity", "frames", "rows"} & set(map(str, st.session_state)):
            st.session_state[name] = st.session_state[name]
        return DisplayOptions(
            kind=kind,
            cells=how,
            scale=scale,
            opacity=_opacity(link.get("opacity")) / 100,
            frames=choose_one("frames", "the frames", "Frames", FRAMES, link.get("frames")),
            rows=choose_one("rows", "the rows", "Rows", ROWS, link.get("rows")),
        )


def _kind(link: str | None, has_task: bool) -> str:
    kinds, titles = map_kinds(), menu(has_task=has_task)
    named = kinds.get(link or "")
    if named and named.needs == "task" and not has_task:
        links.note(
            f"The link names the map {named.title}, which is of a model with the head of one: "
            "train it by a method whose answer is a class (`python -m rspnet.train --method NAME`)."
        )
        named = link = None
    entry = named.group.lower() if named and named.group else link
    chosen = choose_one("map", "the kind of map", "Map", titles, entry)
    if chosen in kinds:
        return chosen
    return _method(chosen, link if entry == chosen else None)


def _method(group: str, link: str | None) -> str:
    """A kind of a group: which method, and what it explains."""
    offered = methods(group)
    for title, by_needs in offered.items():
        for needs, kind in by_needs.items():
            if kind.key == link:
                st.session_state["method"], st.session_state["explains"] = title, needs
    if st.session_state.get("method") not in offered:
        st.session_state["method"] = next(iter(offered))
    by_needs = offered[str(st.selectbox("Method", list(offered), key="method", width=190))]
    options = {needs: EXPLAINS.get(needs, needs) for needs in by_needs}
    needs = choose_one("explains", "what is explained", "Explains", options, None)
    return by_needs[needs].key


def _opacity(link: str | None) -> int:
    if link is not None or "opacity" not in st.session_state:
        options = range(20, 101, 5)
        links.take("opacity", choose_number("the opacity", link, list(options), 75))
    return int(st.slider("Opacity", 20, 100, step=5, format="%d%%", key="opacity"))


def link_of(display: DisplayOptions) -> dict[str, str]:
    """The parameters that :func:`choose_display` restores."""
    return {
        "map": display.kind,
        "cells": display.cells,
        "scale": display.scale,
        "opacity": f"{100 * display.opacity:.0f}",
        "frames": display.frames,
        "rows": display.rows,
    }
