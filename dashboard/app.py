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

from dashboard.app_pages import find_pages  # noqa: E402
from dashboard.base import memory  # noqa: E402
from dashboard.base.arguments import requested_help  # noqa: E402
from dashboard.base.viewer import ASSETS  # noqa: E402
from dashboard.widgets import shell  # noqa: E402


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
            shell.opener(name), title=page.title, icon=page.icon, url_path=name, default=number == 0
        )
        for number, (name, page) in enumerate(find_pages().items())
    }
    shell.run(pages, st.navigation(list(pages.values()), position="top"))
    memory.trim_heap()


main()
