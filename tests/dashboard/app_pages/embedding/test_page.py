"""Embedding, as far as Streamlit's AppTest sees it, on a model that ranks by colours."""

import base64
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from dashboard.app_pages.embedding import page, points
from dashboard.app_pages.embedding.page import read_rows, write_rows
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
    app.selectbox(key="embedding_colour").set_value("folder").run()
    assert "clusters" not in app.query_params
    app.selectbox(key="embedding_colour").set_value("rsp").run()
    assert app.slider(key="embedding_clusters").value == 3


def test_it_says_how_far_a_head_puts_videos_of_a_label_together(
    coloured_model: Path, coloured_videos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    app, _ = open_map(coloured_model, coloured_videos, monkeypatch)
    assert "by chance" not in texts(app)  # six videos have no five that are nearest
    monkeypatch.setattr(page, "CLOSEST", 1)
    page._purity_words.clear()
    app, _ = open_map(coloured_model, coloured_videos, monkeypatch, colour="folder")
    # By how blue against green: red finds a walk, green and more_green each other, the rest none.
    assert re.search(r"by RSP and <b>50%</b> \[\d+, \d+\] by A-VID; 40% would", texts(app))
    app.selectbox(key="embedding_colour").set_value("rsp").run()
    assert "by chance" not in texts(app)


def test_what_a_link_can_not_have_is_said(
    coloured_model: Path, coloured_videos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    link = {"colour": "actor", "clusters": "99", "video": "gone.mp4", "method": "none"}
    link |= {"second": "third", "rows": "7"}
    app, _ = open_map(coloured_model, coloured_videos, monkeypatch, **link)
    said = " ".join(warning.value for warning in app.warning)
    assert len(app.warning) == 6
    for word in ("`actor`", "`99`", "`gone.mp4`", "`none`", "`third`", "`7`"):
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


def test_two_models_are_side_by_side_with_one_colouring_and_selection(
    coloured_model: Path, coloured_videos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(page, "CLOSEST", 1)
    link = {"second": "random weights", "rows": "0-1.4"}
    app, _ = open_map(coloured_model, coloured_videos, monkeypatch, **link)
    assert {name: app.query_params[name] for name in link} == link
    settle(app)  # the first model's maps are there before the second's
    traces = json.loads(app.get("plotly_chart")[0].proto.spec)["data"]
    assert {trace.get("xaxis", "x") for trace in traces} == {"x", "x2", "x3", "x4"}
    for trace in traces:  # each row of the gallery in its place, selected in all four
        rows = trace["customdata"]
        rows = rows if isinstance(rows, list) else np.frombuffer(
            base64.b64decode(rows["bdata"]), rows["dtype"]
        ).tolist()  # fmt: skip
        assert [rows[n] for n in trace["selectedpoints"]] == [r for r in rows if r in (0, 1, 4)]
    assert "3 videos selected" in texts(app)
    said = [caption.value for caption in app.caption]
    assert any("colours and random weights share (Jaccard index" in text for text in said)
    assert "would by chance" not in texts(app)  # which says it of one model
    # By itself the first model has its two maps.
    app.selectbox(key="second_model").set_value("").run()
    traces = json.loads(app.get("plotly_chart")[0].proto.spec)["data"]
    assert {trace.get("xaxis", "x") for trace in traces} == {"x", "x2"}
    assert "second" not in app.query_params


@pytest.mark.parametrize("text", ["", "9", "0-6", "2-1", "a", "1.", "0-999999"])
def test_a_selection_that_can_not_be_is_said(text: str) -> None:
    rows, note = read_rows(text, 6)
    assert rows == []
    assert "ranges of 0 to 5" in note


def test_a_selection_survives_the_address() -> None:
    rng = np.random.default_rng(0)
    rows = sorted(rng.choice(500, 60, replace=False).tolist())
    assert read_rows(write_rows(rows), 500) == (rows, "")
    assert write_rows(range(0, 20_000, 2)) == ""
