"""How maps are made and drawn: kind, cells, colour scale, opacity."""

import streamlit as st

from dashboard.base import links
from dashboard.base.state import choose, choose_number
from dashboard.overlays.options import (
    C_I,
    C_J,
    CAM,
    CAPTUM,
    CELLS,
    KINDS,
    METHODS,
    OF,
    OF_MARGIN,
    SCALES,
    WITNESSES,
    Kind,
    Look,
    method_of,
)

KINDS[CAM] = Kind(
    "CAM, Eq. 1",
    "v",
    "share of the logit v, per cell",
    "Sum",
    "Eq. 1: where a classifier sees a class. Exact: all cells of a clip add up to the class's "
    f'logit <span class="symbol">v</span>. The upper class is the likeliest in {C_I}, the lower '
    f"that in {C_J} or, where it is the same, the next in {C_I}.",
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


def choose_look(link: dict[str, str]) -> Look:
    """Draw the controls of the map.

    Args:
        link: New parameters of the link.
    """
    kind = _kind(link.get("map"))
    cells = {n: title for n, title in CELLS.items() if n != "fine" or KINDS[kind].fine}
    if st.session_state.get("cells") == "fine" and "fine" not in cells:
        st.session_state["cells"] = "smooth"
    return Look(
        kind=kind,
        cells=choose_one("cells", "the cells", "Cells", cells, link.get("cells")),
        scale=choose_one("scale", "the colour scale", "Colour scale", SCALES, link.get("scale")),
        opacity=_opacity(link.get("opacity")) / 100,
    )


def _kind(link: str | None) -> str:
    titles = {name: kind.title for name, kind in KINDS.items() if name not in WITNESSES}
    titles[CAPTUM] = "Captum"
    method = method_of(link) if link in WITNESSES else None
    kind = choose_one("map", "the kind of map", "Map", titles, CAPTUM if method else link)
    if method or st.session_state.get("method") not in METHODS:
        st.session_state["method"] = method or METHODS[0]
    if kind != CAPTUM:
        return kind
    asked = st.selectbox(
        "Method", METHODS, key="method", format_func=lambda name: KINDS[name].title, width=190
    )
    named = None
    if method:
        named = "margin" if link in OF_MARGIN else "s"
    of = choose_one("captum_of", "what Captum is asked about", "Of", OF, named)
    return str(asked) if of == "s" else f"{asked}_margin"


def _opacity(link: str | None) -> int:
    if link is not None or "opacity" not in st.session_state:
        options = range(20, 101, 5)
        links.take("opacity", choose_number("the opacity", link, list(options), 75))
    return int(st.slider("Opacity", 20, 100, step=5, format="%d%%", key="opacity", width=140))


def link_of(look: Look) -> dict[str, str]:
    """The parameters that :func:`choose_look` restores."""
    return {
        "map": look.kind,
        "cells": look.cells,
        "scale": look.scale,
        "opacity": f"{100 * look.opacity:.0f}",
    }
