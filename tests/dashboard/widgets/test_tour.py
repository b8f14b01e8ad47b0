"""The tour: begun on the first visit, walked through by its button, put away for good."""

import sys
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from tests.dashboard.apps import texts

SCRIPT = """
from dashboard.widgets import tour
tour.draw({page!r})
tour.draw_way_back({page!r})
"""


def test_a_tour_of_four_steps_is_offered_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "argv", ["app.py", "--runs", str(tmp_path)])

    def visit(page: str = "home", **link: str) -> AppTest:
        app = AppTest.from_string(SCRIPT.format(page=page))
        app.query_params.update(link)
        return app.run()

    assert "1 of 4" not in texts(visit("compare", frame="3"))  # came to see what the link shows
    assert "1 of 4" not in texts(visit("training"))
    app = visit("compare")
    for step in (1, 2):
        assert f"{step} of 4" in texts(app)
        app.button("tour_next").click().run()
    assert "of 4" not in texts(app)  # the third step is of another page
    app = visit("compare")
    app.button("tour_skip").click().run()
    assert "of 4" not in texts(app)
    again = visit()
    assert "of 4" not in texts(again)  # nor on any later visit
    again.button("tour_again").click().run()
    assert "1 of 4" in texts(again)


def test_a_tour_that_can_not_be_put_away_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setattr(sys, "argv", ["app.py", "--runs", str(tmp_path / "file" / "runs")])
    app = AppTest.from_string(SCRIPT.format(page="home")).run()
    app.button("tour_skip").click().run()
    assert "of 4" not in texts(app)
    assert "begins again on the next visit" in app.warning[0].value
