"""Speed lab, as far as Streamlit's AppTest sees it, and what it hands out."""

import csv
import io
import json
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from analysis.stimuli.perturbed_clips import (
    embed_views,
    responses_of_video,
    synthetic_probe,
    video_probe,
)
from dashboard.app_pages.speed_lab import export
from dashboard.app_pages.speed_lab import responses as lab
from dashboard.app_pages.speed_lab.responses import Subject
from dashboard.base.arguments import Arguments
from dashboard.base.state import plain
from dashboard.services import galleries, models
from rspnet import VideoReader, load_model
from rspnet.data.synthetic.videos import render_video
from rspnet.data.transforms import eval_frames
from rspnet.data.video.encode import write_video
from tests.dashboard.apps import PATIENCE, texts
from tests.dashboard.tiny import save_tiny_model, similarities, write_tiny_videos

OpenPage = Callable[..., AppTest]
SCRIPT = """
from importlib import import_module
from dashboard.base import links
links.enter({name!r})
import_module("dashboard.app_pages.{name}.page").page()
"""


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny_model(tmp_path_factory.mktemp("model"))


@pytest.fixture(scope="module")
def videos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_videos(tmp_path_factory.mktemp("videos"))


@pytest.fixture
def open_page(
    model: Path, videos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> OpenPage:
    """Open one page without the menu on the tiny model, or on what is given."""
    monkeypatch.setenv("RSPNET_CACHE", str(tmp_path / "cache"))

    def open_(name: str, *argv: str, **link: str) -> AppTest:
        given = ("--model", str(model), "--videos", str(videos), *argv)
        monkeypatch.setattr(sys, "argv", ["app.py", *given])
        app = AppTest.from_string(SCRIPT.format(name=name), default_timeout=PATIENCE)
        app.query_params.update(link)
        return app.run()

    return open_


def said(app: AppTest) -> list[str]:
    return [element.value for element in (*app.error, *app.warning, *app.info)]


def shown(page: str) -> dict[str, str]:
    """By head, the similarity in the table."""
    rows = re.findall(r'data-testid="lab-(\w+)".*?<b>(.*?)</b>', page, re.DOTALL)
    return dict(rows)


def test_lab_gives_the_numbers_of_analysis(open_page: OpenPage, model: Path, videos: Path) -> None:
    app = open_page("speed_lab")
    assert not app.exception
    assert said(app) == []
    video = videos / "a_long.mp4"
    # 8 frames at 4x are 29 of the video's 40: in the middle.
    assert app.slider("lab_start").value == 5
    assert shown(texts(app)) == similarities(model, video, 5, "speed", 2)
    app.select_slider("lab_level_speed").set_value(0.25).run()
    assert shown(texts(app)) == similarities(model, video, 5, "speed", 0.25)
    assert app.query_params["level"] == "0.25"
    app.selectbox("lab_name").set_value("crop").run()
    assert shown(texts(app)) == similarities(model, video, 5, "crop", 0.5)
    app.slider("lab_start").set_value(7).run()
    assert shown(texts(app)) == similarities(model, video, 7, "crop", 0.5)
    assert not app.exception


@pytest.mark.parametrize("name", ["reverse", "shuffle", "hue", "blur"])
def test_other_changes(open_page: OpenPage, model: Path, videos: Path, name: str) -> None:
    app = open_page("speed_lab", change=name, start="4")
    assert not app.exception
    assert said(app) == []
    level = float(app.query_params["level"])
    assert shown(texts(app)) == similarities(model, videos / "a_long.mp4", 4, name, level)


def test_lab_says_what_fits(open_page: OpenPage) -> None:
    app = open_page("speed_lab", video="b_short.mp4", start="2", level="4")
    assert not app.exception
    assert app.select_slider("lab_level_speed").options[-1] == "2x"
    assert any("the level `4`, which is not here; this is `2`" in text for text in said(app))
    told = "this video has 16 frames; a clip at 2.5x takes 19. The most that fits is 2x"
    assert any(told in text for text in said(app))
    app.slider("lab_start").set_value(10).run()
    assert app.select_slider("lab_level_speed").value == 1
    assert any("The most that fits is 1x" in text for text in said(app))
    assert not app.exception


@pytest.mark.parametrize(
    ("video", "reason"),
    [("c_tiny.mp4", "it has 5 frames, and a clip of this model takes 8"), ("d_text.mp4", "d_text")],
)
def test_lab_says_what_is_wrong_with_a_video(open_page: OpenPage, video: str, reason: str) -> None:
    app = open_page("speed_lab", video=video)
    assert not app.exception
    assert reason in app.error[0].value
    assert "Choose another video" in app.error[0].value
    app.selectbox("lab_video").set_value("a_long.mp4").run()
    assert said(app) == []
    assert len(shown(texts(app))) == 2


def test_lab_link_restores_the_view_and_says_what_is_no_good(open_page: OpenPage) -> None:
    link = {"video": "b_short.mp4", "start": "3", "change": "hue", "level": "60", "frame": "5"}
    app = open_page("speed_lab", **link)
    assert said(app) == []
    assert {name: app.query_params[name] for name in link} == link
    app = open_page(
        "speed_lab", video="../../etc/passwd", start="-1", change="<b>", level="1e9", frame="99"
    )
    assert not app.exception
    assert len(app.warning) == 5
    assert any("the change `<b>`" in text for text in said(app))
    assert app.query_params["change"] == "speed"
    assert app.query_params["video"] == "a_long.mp4"


def test_lab_files(model: Path, videos: Path) -> None:
    loaded = models.load(models.list_choices(Arguments(model=model))[0])
    video = videos / "a_long.mp4"
    subject = Subject(galleries.identity(video), "a_long", 40, 5, 8, 32)
    files = {
        Path(file.name).suffix: file.make()
        for file in export.files_of(subject, "speed", 2.0, loaded)
    }
    assert files[".png"].startswith(b"\x89PNG")
    assert files[".mp4"][4:8] == b"ftyp"
    assert files[".npz"].startswith(b"PK")
    query, key = load_model(model, "query"), load_model(model, "key")
    with VideoReader(video) as reader:
        probe = video_probe(query, reader, start=5)
        curve = responses_of_video(query, key, probe, {"speed": lab.SPEEDS})["speed"]
    rows = list(csv.DictReader(io.StringIO(files[".csv"].decode())))
    at_4x = {r["head"]: float(r["similarity"]) for r in rows if r["change"] == "speed"
             and r["level"] == "4"}  # fmt: skip
    for head in ("rsp", "avid"):
        assert at_4x[head] == pytest.approx(curve.at(head, 4)[0], abs=1e-6)
    about = json.loads(files[".json"])
    assert about["model_hash"] == loaded.query.hash
    assert {c["change"] for c in about["curves"]} == set(lab.PROBES)


def test_synthetic_videos_have_factor_swaps(model: Path, tmp_path: Path) -> None:
    loaded = models.load(models.list_choices(Arguments(model=model))[0])
    film = render_video(3, 1, num_frames=14).frames
    path = tmp_path / "synthetic_3_000001.mp4"
    write_video(path, film, 25.0)
    subject = Subject(galleries.identity(path), "stage", 14, 4, 8, 32, (3, 1))
    assert subject.probes == (*lab.PROBES, *lab.FACTOR_SWAPS)
    own, changed = lab.large_views(subject, "action", 1, 32, loaded)
    other = synthetic_probe(loaded.query, 3, 1, 12).swapped["action"]
    frames = eval_frames(other.get_frames(range(4, 12)), 32)
    np.testing.assert_array_equal(changed.frames, frames)
    curve = lab.curve_of(subject, "action", loaded)
    vectors = {
        name: embed_views(branch, [view])
        for name, branch, view in (
            ("own", loaded.query, own), ("other", loaded.key, own.with_frames(frames))
        )
    }  # fmt: skip
    for head in ("rsp", "avid"):
        expected = float(vectors["own"][head][0] @ vectors["other"][head][0])
        assert curve.at(head, 1)[0] == pytest.approx(expected, abs=1e-6)
        shown = lab.maps_of(subject, "action", 1.0, loaded).similarity[head]
        assert shown == pytest.approx(expected, abs=1e-5)


def test_lab_runs_the_model_once(open_page: OpenPage, monkeypatch: pytest.MonkeyPatch) -> None:
    import analysis.stimuli.perturbed_clips

    calls = []
    original = analysis.stimuli.perturbed_clips.probe_pair

    def counted(*args: Any, **options: Any) -> Any:
        calls.append(args)
        return original(*args, **options)

    monkeypatch.setattr(analysis.stimuli.perturbed_clips, "probe_pair", counted)
    app = open_page("speed_lab", start="9")
    assert len(calls) == 2  # what is shown, and the unchanged clip for the scale
    app.session_state["lab_frame"] = 3
    app.run()
    app.select_slider("lab_level_speed").set_value(1.0).run()
    assert len(calls) == 2
    app.select_slider("lab_level_speed").set_value(3.0).run()
    assert len(calls) == 3


def test_wrong_model_is_said(open_page: OpenPage, tmp_path: Path) -> None:
    bad = tmp_path / "bad.safetensors"
    bad.write_text("no weights")
    app = open_page("speed_lab", "--model", str(bad))
    assert not app.exception
    assert len(app.error) == 1
    assert plain(str(bad)) in app.error[0].value
