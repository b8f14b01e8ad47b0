"""Pages without a browser: Streamlit's AppTest, opened, pressed, and run until work is done."""

import re
import sys
import time
from collections.abc import Callable

import pytest
from streamlit.testing.v1 import AppTest

from dashboard.services import jobs

PATIENCE = 120
SCRIPT = """
import importlib
from dashboard.base import links
links.enter({name!r})
importlib.import_module("dashboard.app_pages." + {name!r} + ".page").page()
"""


def open_page(name: str, argv: list[str], monkeypatch: pytest.MonkeyPatch, **link: str) -> AppTest:
    """One page without the menu: AppTest knows no addresses."""
    monkeypatch.setattr(sys, "argv", ["app.py", *argv])
    app = AppTest.from_string(SCRIPT.format(name=name), default_timeout=PATIENCE)
    app.query_params.update(link)
    return app.run()


def texts(app: AppTest) -> str:
    """All HTML of the page."""
    return " ".join(str(element.proto.body) for element in app.get("html"))


def numbers(app: AppTest, head: str) -> str:
    """A head's row of the table of numbers, as text."""
    row = re.search(rf'facts-{head}".*?</tr>', texts(app), re.DOTALL)
    assert row
    return re.sub(r"<[^>]+>", " ", row[0])


def press(app: AppTest, label: str) -> AppTest:
    """Press the first button with a label; the video that it is of may stand behind the label."""
    buttons = [b for b in app.button if b.label == label or b.label.startswith(f"{label} *")]
    return buttons[0].click().run()


def run_until(app: AppTest, done: Callable[[AppTest], object]) -> AppTest:
    """Draw a page again whenever a job ends, or a moment has passed, until it shows something."""
    deadline = time.monotonic() + PATIENCE
    while not done(app):
        assert not app.exception
        assert time.monotonic() < deadline
        for job in jobs.under_way():
            job.finished.wait(0.5)  # each drawing takes as long
        # The page draws itself anew then (links.draw_again): no move of the visitor.
        app.session_state["dashboard.base.links.Visit"].draws_again = True
        app.run()
    return app


def settle(app: AppTest) -> AppTest:
    """Draw until nothing is in progress, such as a gallery that is embedded."""
    return run_until(app, lambda app: not app.get("progress"))
