"""Embedding, as far as Streamlit's AppTest sees it, on a model that ranks by colours."""

import json
from pathlib import Path
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from dashboard.app_pages.embedding import points
from rspnet.data.video.encode import write_video
from tests.dashboard.apps import open_page, run_until, settle, texts
from tests.dashboard.conftest import draw_colours


@pytest.fixture(autouse=True)
def _cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RSPNET_CACHE", str(tmp_path / "cache"))


def open_map(
    model: Path, videos: Path, monkeypatch: pytest.MonkeyPatch, **link: str
) -> tuple[AppTest, list[dict[str, Any]]]:
    """The page, and the traces of its chart."""
    app = open_page(
        "embedding", ["--model", str(model), "--videos", str(videos)], monkeypatch, **link
    )
    run_until(app, lambda app: app.get("plotly_chart"))
    assert not app.exception
    return app, json.loads(app.get("plotly_chart")[0].proto.spec)["data"]


def test_a_link_restores_colour_clusters_and_selection(
    coloured_model: Path, coloured_videos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    link = {"colour": "avid", "clusters": "3", "video": "walk/red.mp4"}
    app, traces = open_map(coloured_model, coloured_videos, monkeypatch, **link)
    assert not app.warning
    assert {name: app.query_params[name] for name in link} == link
    assert {trace["name"].split(" (")[0] for trace in traces} == {
        "cluster 1", "cluster 2", "cluster 3"
    }  # fmt: skip
    # It stands out once in each map.
    selected = [trace for trace in traces if trace.get("selectedpoints")]
    assert [len(trace["selectedpoints"]) for trace in selected] == [1, 1]
    assert "1 video selected" in texts(app)
    assert "1 walk" in texts(app)
    # The number of clusters is kept while the points are coloured by their labels.
    app.segmented_control(key="embedding_colour").set_value("label").run()
    assert "clusters" not in app.query_params
    app.segmented_control(key="embedding_colour").set_value("rsp").run()
    assert app.slider(key="embedding_clusters").value == 3


def test_what_a_link_can_not_have_is_said(
    coloured_model: Path, coloured_videos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    link = {"colour": "actor", "clusters": "99", "video": "gone.mp4", "method": "none"}
    app, _ = open_map(coloured_model, coloured_videos, monkeypatch, **link)
    said = " ".join(warning.value for warning in app.warning)
    assert len(app.warning) == 4
    for word in ("`actor`", "`99`", "`gone.mp4`", "`none`"):
        assert word in said
    assert "No video is selected" in texts(app)


def test_equal_videos_have_no_map(
    coloured_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("a/one", "b/two", "c/three"):
        path = tmp_path / "same" / f"{name}.mp4"
        write_video(path, draw_colours((200, 150, 150)), 25.0, preset="ultrafast")
    argv = ["--model", str(coloured_model), "--videos", str(tmp_path / "same")]
    app = settle(open_page("embedding", argv, monkeypatch))
    assert not app.exception
    assert "all videos have the same vector" in app.error[0].value


def test_methods_are_those_that_are_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    there = {"sklearn"}
    monkeypatch.setattr(
        points.importlib.util, "find_spec", lambda name: name if name in there else None
    )
    assert points.methods() == {"pca": "PCA", "tsne": "t-SNE"}
    there.clear()
    assert points.methods() == {"pca": "PCA"}
