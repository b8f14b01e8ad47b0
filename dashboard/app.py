"""The dashboard: ``streamlit run dashboard/app.py``, from the repository's root or anywhere else.

What follows a double dash is the app's own: ``-- --videos DIR --model FILE``.
"""

import sys
from pathlib import Path

# The packages lie beside this folder and need not be installed.
_ROOT = str(Path(__file__).resolve().parent.parent)
if _ROOT not in sys.path:
    sys.path.insert(0, _ROOT)

import streamlit as st  # noqa: E402

from dashboard.viewer import ASSETS  # noqa: E402
from dashboard.views import compare  # noqa: E402


def main() -> None:
    """Draw the page that the link names."""
    st.set_page_config(page_title="RSPNet", page_icon=str(ASSETS / "icon.png"), layout="wide")
    pages = [
        st.Page(
            compare.page,
            title="Compare",
            icon=":material/compare:",
            url_path="compare",
            default=True,
        )
    ]
    st.navigation(pages, position="top").run()


main()
