"""What is a step of the browser's Back, and what only keeps the address up to date."""

import streamlit as st

from dashboard.base.viewer import ASSETS

_component = st.components.v2.component(
    "rspnet_history", js=(ASSETS / "history.js").read_text(encoding="utf-8")
)


def draw() -> None:
    """Mount what keeps the address, which shows nothing."""
    with st.container(key="history"):
        _component(key="history_keeper")
