"""The dashboard: ``streamlit run dashboard/app.py``, from the repository's root or anywhere else.

What follows a double dash is the app's own: ``-- --videos DIR --model FILE --runs DIR``.
"""

import sys
from pathlib import Path

# The packages lie beside this folder and need not be installed.
_ROOT = str(Path(__file__).resolve().parent.parent)
if _ROOT not in sys.path:
    sys.path.insert(0, _ROOT)

import streamlit as st  # noqa: E402

from dashboard.base import memory  # noqa: E402
from dashboard.base.arguments import requested_help  # noqa: E402
from dashboard.base.viewer import ASSETS  # noqa: E402
from dashboard.widgets import shell  # noqa: E402

# A page a line: its folder in dashboard/pages (`page.py` holds `page()`), its title, its icon.
PAGES = (
    ("home", "Home", ":material/home:"),
    ("compare", "Compare", ":material/compare:"),
    ("speed_lab", "Speed lab", ":material/speed:"),
    ("retrieval", "Retrieval", ":material/travel_explore:"),
    ("embedding", "Embedding", ":material/scatter_plot:"),
    ("evidence", "Evidence", ":material/fact_check:"),
    ("training", "Training", ":material/show_chart:"),
)


def main() -> None:
    """Draw the page that the link names."""
    st.set_page_config(page_title="RSPNet", page_icon=str(ASSETS / "icon.png"), layout="wide")
    said = requested_help(sys.argv[1:])
    if said is not None:
        print(said)
        st.code(said, language=None)
        return
    pages = {
        name: st.Page(
            shell.opener(name), title=title, icon=icon, url_path=name, default=name == "home"
        )
        for name, title, icon in PAGES
    }
    shell.run(pages, st.navigation(list(pages.values()), position="top"))
    memory.trim_heap()


main()
