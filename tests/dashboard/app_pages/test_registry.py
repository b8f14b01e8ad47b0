"""A page is a folder: it is found, listed and drawn without another edit."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

import dashboard.app_pages
from dashboard.app_pages import find_pages
from tests.dashboard.apps import PATIENCE
from tests.dashboard.conftest import APP, ROOT, Open

TOY = """
from dashboard.base.page import Page

PAGE = Page(title="Toy", icon=":material/toys:", order=1)
"""
TOY_PAGE = """
import streamlit as st

from dashboard.widgets import shell


def page():
    shell.open_page("Toy", "A page that a stranger added.")
    st.text("drawn")
    shell.link_to("compare", "Compare heads")
"""


@pytest.fixture
def toy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of pages beside the app's own, with one page in it."""
    folder = tmp_path / "toy_page"
    folder.mkdir()
    (folder / "__init__.py").write_text(TOY)
    (folder / "page.py").write_text(TOY_PAGE)
    (folder / "page.css").write_text(".toy { color: red; }")
    paths = [*dashboard.app_pages.__path__, str(tmp_path)]
    monkeypatch.setattr(dashboard.app_pages, "__path__", paths)
    for name in ("toy_page", "toy_page.page"):
        monkeypatch.delitem(sys.modules, f"dashboard.app_pages.{name}", raising=False)
    return folder


def test_a_folder_is_a_page(toy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pages = find_pages()
    # By its order the first, so that the app opens with it.
    assert list(pages)[:2] == ["toy_page", "home"]
    monkeypatch.setattr(sys, "argv", ["app.py"])
    app = AppTest.from_file(str(APP), default_timeout=PATIENCE).run()
    assert not app.exception
    assert [text.value for text in app.text] == ["drawn"]


def test_a_folder_that_registers_nothing_is_said(toy: Path) -> None:
    (toy / "__init__.py").write_text("")
    with pytest.raises(ValueError, match=r"pages/toy_page is no page: expected `PAGE"):
        find_pages()


def test_listing_the_pages_loads_nothing_heavy() -> None:
    code = (
        "import sys; from dashboard.app_pages import find_pages; assert len(find_pages()) >= 7;"
        "print(sorted({'torch', 'numpy', 'plotly', 'streamlit', 'rspnet'} & set(sys.modules)))"
    )
    said = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert said.stdout.strip() == "[]"


def test_every_rule_of_style_is_of_a_container_that_is_drawn() -> None:
    code = "".join(path.read_text() for path in (ROOT / "dashboard").rglob("*.py"))
    for path in (ROOT / "dashboard").rglob("*.css"):
        for name in re.findall(r"st-key-(\w+)", path.read_text()):
            # Keys may be made from parts, such as `clip_box_{side}` and `{name}_row`.
            parts = (name, name.rsplit("_", 1)[0] + "_{", "}_" + name.rsplit("_", 1)[-1])
            assert any(part in code for part in parts), f"{path.name}: {name}"


def test_a_page_is_as_it_was_left(open_app: Open) -> None:
    app = open_app(i="left/clip_3.mp4", frame="4", map="eq2")
    view = dict(app.query_params)
    assert (view["i"], view["frame"], view["map"]) == ("left/clip_3.mp4", "4", "eq2")
    # As when the menu leads away and back: no parameters.
    app.session_state["dashboard.base.links.Visit"].page = "home"
    app.query_params.clear()
    app.run()
    assert dict(app.query_params) == view
    assert app.selectbox("video_i").value == "left/clip_3.mp4"
    assert not app.exception
