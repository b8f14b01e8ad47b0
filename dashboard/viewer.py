"""The four panels with their scrubber: a component of the page, drawn by the browser."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import streamlit as st

ASSETS = Path(__file__).resolve().parent / "assets"


def _read(name: str) -> str:
    return (ASSETS / name).read_text(encoding="utf-8")


_component = st.components.v2.component(
    "rspnet_viewer",
    html=_read("viewer.html"),
    css=_read("viewer.css"),
    js=_read("viewer.js"),
)


def viewer(data: dict[str, Any], key: str, on_frame: Callable[[int], None]) -> bool:
    """Mount the panels.

    Args:
        data: What `viewer.js` draws. While ``token`` stays the same, it draws nothing anew.
        key: Of the component; its state ``frame`` is the frame shown.
        on_frame: Hears of each frame that the visitor moves to.

    Returns:
        Whether the browser has shown the pictures.
    """

    def moved() -> None:
        frame = st.session_state[key].get("frame")
        if isinstance(frame, (int, float)):
            on_frame(int(frame))

    result = _component(
        key=key,
        data=data,
        default={"frame": None, "ready": False},
        on_frame_change=moved,
        on_ready_change=lambda: None,
    )
    return bool(result.ready)
