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


def main() -> None:
    """Draw the page that the link names."""
    from dashboard.app_pages import find_pages
    from dashboard.base import memory
    from dashboard.base.arguments import requested_help
    from dashboard.base.viewer import ASSETS
    from dashboard.widgets import shell

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


if __name__ == "__main__":  # the script, which Streamlit runs anew at each move of a visitor
    main()
else:  # the server, which imports this file once, before there is anything to keep caches in
    from starlette.middleware import Middleware

    from dashboard import server

    app = st.App(
        Path(__file__).resolve(),
        lifespan=server.lifespan,
        middleware=[Middleware(server.SecurityHeaders), Middleware(server.Styles)],
        on_script_error=server.show_fault,
    )
