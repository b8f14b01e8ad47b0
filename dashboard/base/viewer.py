"""Parts of the page that the browser draws: panels with their scrubber, history, whole names."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import streamlit as st

from analysis.figures.viewer import SCRIPTS, asset

ASSETS = Path(__file__).resolve().parents[1] / "assets"
# The panels that offline pages show, too.
_component = st.components.v2.component(
    "rspnet_viewer",
    html=asset("viewer.html"),
    css=asset("viewer.css"),
    js="\n".join(asset(name) for name in SCRIPTS),
)
# What is a step of the browser's Back, and what only keeps the address up to date; names in menus.
_history = st.components.v2.component(
    "rspnet_history", js=(ASSETS / "page.js").read_text(encoding="utf-8")
)


def keep_history() -> None:
    """Mount what keeps the address, which shows nothing."""
    with st.container(key="history"):
        _history(key="history_keeper")


def viewer(
    data: dict[str, Any],
    key: str,
    on_frame: Callable[[int], None],
    on_place: Callable[[str], None] = lambda _place: None,
    on_region: Callable[[str, str], None] = lambda _region, _clip: None,
) -> str:
    """Mount the panels.

    Args:
        data: What `viewer.js` draws. While ``token`` stays the same, it draws nothing anew.
        key: Of the component; its state ``frame`` is the frame shown.
        on_frame: Called with each frame that the visitor moves to.
        on_place: Called with the place in c_i that was chosen, such as ``rsp.1.3.4``; empty for
            none.
        on_region: Called with the rectangle that was drawn, as
            :class:`~analysis.regions.rectangle.Rectangle` reads it, and the clip that it was drawn
            on, ``i`` or ``j``. It can be drawn where ``data`` has a ``region``.

    Returns:
        The ``token`` of the pictures that the browser has shown and whose strip waits for the
        server; empty before.
    """

    def moved() -> None:
        frame = st.session_state[key].get("frame")
        if isinstance(frame, (int, float)):
            on_frame(int(frame))

    def placed() -> None:
        place = st.session_state[key].get("place")
        if isinstance(place, str):
            on_place(place)

    def drew() -> None:
        region = st.session_state[key].get("region")
        if isinstance(region, str):
            # A number behind them tells the same rectangle drawn twice from one that was not.
            on_region(*region.split(";")[:2])

    result = _component(
        key=key,
        data=data,
        default={"frame": None, "ready": "", "place": None, "region": None},
        on_frame_change=moved,
        on_ready_change=lambda: None,
        on_place_change=placed,
        on_region_change=drew,
    )
    return str(result.ready or "")
