"""Views that are named, kept in a file, and read again."""

import json
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from dashboard.services import views
from dashboard.services.views import SavedView

SCRIPT = """
from dashboard.base import links
from dashboard.widgets import saved_views
links.enter("compare")
links.visit().link = {"map": "contribution", "i": "a b.mp4"}
saved_views.draw("compare")
"""


def test_a_view_is_saved_and_deleted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.argv", ["app.py", "--runs", str(tmp_path)])
    app = AppTest.from_string(SCRIPT).run()
    assert not (tmp_path / views.NAME).exists()
    app.text_input("view_name").set_value("  both   heads ")
    app.button[0].click().run()
    assert not app.exception
    assert not app.error
    kept = {"both heads": SavedView("compare", {"map": "contribution", "i": "a b.mp4"})}
    assert views.read(tmp_path) == kept
    app.text_input("view_name").set_value("both heads")
    app.button[0].click().run()
    assert "there is one named both heads" in app.error[0].value
    app.text_input("view_name").set_value(" ")
    app.button[0].click().run()
    assert "it has no name" in app.error[0].value
    assert views.read(tmp_path) == kept
    next(b for b in app.button if b.label.startswith("Delete")).click().run()
    assert not app.exception
    assert views.read(tmp_path) == {}


GOOD = {"name": "a", "page": "compare", "link": {"i": "x"}}


@pytest.mark.parametrize(
    ("given", "why"),
    [("{", "it is no JSON, or a damaged one"),
     ({"format": "other"}, "it is no file of views"),
     ({"version": 2}, "its views are of version 2, and this dashboard reads version 1"),
     ({"version": True}, "of version True"),
     ({"views": {}}, "expected a list"),
     ({"views": [GOOD, GOOD]}, "view 2 is damaged"),
     ({"views": [GOOD | {"link": {"i": 3}}]}, "view 1 is damaged"),
     ({"views": [GOOD | {"name": " "}]}, "view 1 is damaged"),
     ({"views": ["a"]}, "view 1 is damaged")],
)  # fmt: skip
def test_a_bad_file_is_said_and_stays(
    given: str | dict[str, object],
    why: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    whole = {"format": views.FORMAT, "version": 1, "views": [GOOD]}
    text = given if isinstance(given, str) else json.dumps(whole | given)
    (tmp_path / views.NAME).write_text(text)
    with pytest.raises(ValueError, match=why):
        views.change(tmp_path, lambda held: held.clear())
    assert (tmp_path / views.NAME).read_text() == text
    monkeypatch.setattr("sys.argv", ["app.py", "--runs", str(tmp_path)])
    app = AppTest.from_string(SCRIPT).run()
    assert not app.exception
    assert "Views can't be shown or kept" in app.warning[0].value


IMPORT = """
from pathlib import Path
from dashboard.widgets import saved_views
saved_views.take({data!r}, Path({folder!r}))
saved_views.draw("compare")
"""


def test_an_import_adds_or_changes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.argv", ["app.py", "--runs", str(tmp_path)])
    held = {"a": SavedView("compare", {"i": "x"})}

    def take(data: bytes) -> AppTest:
        return AppTest.from_string(IMPORT.format(data=data, folder=str(tmp_path))).run()

    assert not take(views.dump(held)).error
    added = {"b": SavedView("gone", {})}
    app = take(views.dump(held | added))
    assert not app.exception
    assert not app.error
    assert views.read(tmp_path) == held | added
    assert "this dashboard has no such page" in [c.value for c in app.caption]
    for bad in (b"\xff", views.dump({"a": SavedView("home", {}), "c": added["b"]})):
        assert "not taken, and nothing has changed" in take(bad).error[0].value
        assert views.read(tmp_path) == held | added
