"""Independent attribution methods on Compare: run when the visitor wants it, kept, stopped."""

import re
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

import analysis
from dashboard.base.style import signed
from dashboard.overlays import captum_job
from rspnet import load_model
from tests.dashboard.apps import numbers, run_until, texts
from tests.dashboard.conftest import Open
from tests.dashboard.tiny import save_tiny_model, write_tiny_videos


def test_captum_runs_when_the_visitor_wants_it(open_app: Open, tmp_path: Path) -> None:
    model = save_tiny_model(tmp_path)
    (tmp_path / "videos").mkdir()
    videos = write_tiny_videos(tmp_path / "videos")
    given = ("--model", str(model), "--videos", str(videos))
    # Two passes a map: run at once. Its map comes to s, but nothing promises that.
    app = open_app(*given, map="layer_gradcam")
    assert not app.exception
    assert app.button_group("map").value == "captum"
    assert app.query_params["map"] == "layer_gradcam"
    assert "Sum of the map" in texts(app)
    assert "sum error" not in numbers(app, "rsp")
    app.selectbox("method").set_value("Feature ablation").run()
    assert not app.exception
    said = texts(app)
    cells = 2 * 2 * 2
    assert f"takes {4 * (cells + 2)} forward passes" in said
    assert "facts-rsp" not in said
    app.button("run_captum").click().run()
    run_until(app, lambda app: "facts-rsp" in texts(app))
    assert not app.exception
    query, key = load_model(model, "query"), load_model(model, "key")
    views = [
        analysis.load_view(
            videos / "a_long.mp4", 8, 32, start=app.slider(f"start_{side}").value, speed=2
        )
        for side in "ij"
    ]
    pair = analysis.PairClips.of(query, key, *views)
    for head, (of_i, _) in analysis.explain_kind("feature_ablation", pair).rows.items():
        row = numbers(app, head)
        assert signed(float(of_i.values.sum()), 4) in row
        assert signed(of_i.score) in row
    # It is kept: the way back and forth runs nothing.
    app.button_group("map").set_value("contribution").run()
    app.button_group("map").set_value("captum").run()
    assert "facts-rsp" in texts(app)
    app = open_app(*given, map="feature_ablation")
    assert "facts-rsp" in texts(app)
    assert not app.exception


def first_number(app: AppTest, head: str) -> str:
    """What a head's map of c_i comes to."""
    found = re.search(r"[+\N{MINUS SIGN}]\d[\d.]+", numbers(app, head))
    assert found
    return found[0]


def test_captum_explains_the_margin(open_app: Open, planted_videos: Path, tmp_path: Path) -> None:
    # The margins of the planted model are 0 everywhere.
    given = ("--model", str(save_tiny_model(tmp_path)), "--videos", str(planted_videos))
    app = open_app(*given, map="margin")
    margins = {head: first_number(app, head) for head in ("rsp", "avid")}
    assert not any(float(margin[1:]) == 0 for margin in margins.values())
    app = open_app(*given, map="layer_gradcam_margin")
    assert not app.exception
    assert app.button_group("map").value == "captum"
    assert app.button_group("explains").value == "triplet"
    assert app.selectbox("method").value == "LayerGradCAM"
    said = texts(app)
    assert "RSP contrasts" in said
    assert "others)" in said
    # LayerGradCAM's map of c_i comes to the margin.
    assert {head: first_number(app, head) for head in margins} == margins
    # The same method of s, and back.
    app.button_group("explains").set_value("pair").run()
    assert app.query_params["map"] == "layer_gradcam"
    app.button_group("explains").set_value("triplet").run()
    app.selectbox("method").set_value("Feature ablation").run()
    assert app.query_params["map"] == "feature_ablation_margin"
    assert "forward passes" in texts(app)
    app.button("run_captum").click().run()
    run_until(app, lambda app: "facts-rsp" in texts(app))
    assert not app.exception
    assert "Feature ablation of the margin" in texts(app)
    assert "facts-rsp" in texts(app)


def test_a_run_of_captum_is_stopped(
    open_app: Open, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = save_tiny_model(tmp_path)
    (tmp_path / "videos").mkdir()
    videos = write_tiny_videos(tmp_path / "videos")
    app = open_app("--model", str(model), "--videos", str(videos), map="occlusion", i_start="3")
    held = captum_job.store().at_work
    with held:  # as if another's run were under way
        app.button("run_captum").click().run()
        assert any("Waiting for an earlier" in str(bar.proto.text) for bar in app.get("progress"))
        app.button("stop_captum").click().run()
        run_until(app, lambda app: app.info)
    assert "Stopped" in app.info[0].value
    app.button("run_captum_again").click().run()
    run_until(app, lambda app: "facts-rsp" in texts(app))
    assert "facts-rsp" in texts(app)
    assert not app.exception
