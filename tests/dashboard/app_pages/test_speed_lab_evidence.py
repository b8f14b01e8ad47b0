"""Speed lab and Evidence, as far as Streamlit's AppTest sees them, and what they hand out."""

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

from analysis.report.page import number
from analysis.report.report import headline
from analysis.stimuli.perturbed_clips import (
    embed_views,
    responses_of_video,
    synthetic_probe,
    video_probe,
)
from dashboard.app_pages.evidence import numbers, reports
from dashboard.app_pages.evidence.figures import DotFigure, LineFigure
from dashboard.app_pages.evidence.page import files_of
from dashboard.app_pages.speed_lab import export
from dashboard.app_pages.speed_lab import responses as lab
from dashboard.app_pages.speed_lab.responses import Subject
from dashboard.base.arguments import Arguments
from dashboard.services import galleries, models
from rspnet import VideoReader, load_model
from rspnet.data.synthetic.videos import render_video
from rspnet.data.transforms import eval_frames
from rspnet.data.video.encode import write_video
from tests.dashboard.conftest import texts
from tests.dashboard.made_report import make_report
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


@pytest.fixture(scope="module")
def report(model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A report of the tiny model."""
    return make_report(tmp_path_factory.mktemp("report") / "tiny.json", model)


@pytest.fixture
def open_page(
    model: Path, videos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> OpenPage:
    """Open one page without the menu on the tiny model, or on what is given."""
    monkeypatch.setenv("RSPNET_CACHE", str(tmp_path / "cache"))

    def open_(name: str, *argv: str, **link: str) -> AppTest:
        given = ("--model", str(model), "--videos", str(videos), *argv)
        monkeypatch.setattr(sys, "argv", ["app.py", *given])
        app = AppTest.from_string(SCRIPT.format(name=name), default_timeout=60)
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
    other = synthetic_probe(loaded.query, 3, 1, 12).exchanged["action"]
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


def test_evidence_gives_the_numbers_of_the_report(open_page: OpenPage, report: Path) -> None:
    app = open_page("evidence", "--report", str(report))
    assert not app.exception
    assert said(app) == []
    page = texts(app)
    found = reports.read(report).found
    for row in headline(found).tables[0].rows:
        assert str(row[0]) in page
        for value in row[1:]:
            assert (
                f"{number(value.value)} <small>{number(value.low)} to {number(value.high)}" in page
            )
    assert "6 generated videos, 1 draw of random weights" in page
    assert app.query_params["part"] == "responses"
    for part in ("planted", "faithfulness", "sanity"):
        app.button_group("evidence_part").set_value(part).run()
        assert not app.exception
        assert said(app) == []
        assert f'data-part="{part}"' in texts(app)
        assert app.query_params["part"] == part
    app.button_group("evidence_part").set_value("flow").run()
    assert app.query_params["part"] == "flow"
    assert "Do the maps follow movement in real video?" in texts(app)
    app.button_group("evidence_part").set_value("responses").run()
    app.button_group("evidence_kind").set_value("real").run()
    assert app.query_params["videos"] == "real"
    assert "On real videos: " in texts(app)
    app.button_group("evidence_part").set_value("retrieval").run()
    assert "not asked for" in said(app)[0]


def test_figures_hold_the_reports_numbers(report: Path) -> None:
    read = reports.read(report)
    found = read.found
    assert found.planted is not None
    assert found.sanity is not None
    curves, selectivity, switches = numbers.figures_of(read, "responses", "generated")
    assert isinstance(curves, LineFigure)
    responses = found.responses["generated"]
    speed = next(line for line in curves.panels[0].lines
                 if line.head == "rsp" and not line.control)  # fmt: skip
    own = responses.scaled_drop("rsp", "speed", 4)
    assert speed.values[-1].value == 1 - own.value
    assert (speed.values[-1].low, speed.values[-1].high) == (1 - own.high, 1 - own.low)
    assert isinstance(switches, DotFigure)
    row = switches.rows.index("frozen at the middle frame")
    value = next(d.value for d in switches.panels[0].dots
                 if (d.row, d.head, d.control) == (row, "avid", False))  # fmt: skip
    assert value == responses.scaled_drop("avid", "freeze", 1)
    assert isinstance(selectivity, DotFigure)
    assert len(selectivity.rows) == 3
    (planted,) = numbers.figures_of(read, "planted", "")
    assert isinstance(planted, DotFigure)
    row = planted.rows.index("margin, 2x")
    value = next(d.value for d in planted.panels[0].dots
                 if (d.row, d.head, d.control) == (row, "rsp", True))  # fmt: skip
    assert value == found.planted.of("random weights").row("margin", "rsp", "limbs", "2x").ratio
    (sanity,) = numbers.figures_of(read, "sanity", "")
    assert isinstance(sanity, LineFigure)
    last = sanity.panels[0].lines[0].values[-2]
    question = sanity.panels[0].title.removeprefix("map of the ")
    assert last == found.sanity.row("rsp", question, found.sanity.stages[-1]).rho


def test_no_report_says_how_to_make_one(
    open_page: OpenPage, model: Path, monkeypatch: pytest.MonkeyPatch, report: Path
) -> None:
    app = open_page("evidence")
    assert not app.exception
    assert "There is no report of tiny yet" in said(app)[0]
    line = app.code[0].value
    assert line.startswith("python -m analysis report --model ")
    # What that command would write is found.
    out = Path(line.split()[-1]).with_suffix(".json")
    assert out == model.with_suffix(".report.json")
    out.write_bytes(report.read_bytes())
    try:
        assert said(app.run()) == []
        assert f"{out.name}: 6 generated videos" in texts(app)
    finally:
        out.unlink()


def _torn(value: dict[str, Any]) -> str:
    return json.dumps(value)[:5000]


def _without(name: str) -> Callable[[dict[str, Any]], str]:
    return lambda value: json.dumps(value | {"found": {k: v for k, v in value["found"].items()
                                                       if k != name}})  # fmt: skip


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (_torn, "can't be read as JSON"),
        (lambda value: "[" * 100_000, "can't be read as JSON"),
        (lambda value: "[1, 2]", "is no report of this version"),
        (lambda value: json.dumps(value | {"version": 9}), "got format 'rspnet-report', version 9"),
        (_without("planted"), "is damaged"),
        (lambda value: json.dumps(value | {"found": 3}), "is damaged"),
        (lambda value: json.dumps(value | {"model_hash": "0" * 64}), "is of another model"),
    ],
)
def test_bad_reports_are_said(
    open_page: OpenPage, report: Path, tmp_path: Path, change: Callable[..., str], reason: str
) -> None:
    bad = tmp_path / "bad.json"
    bad.write_text(change(json.loads(report.read_text())))
    app = open_page("evidence", "--report", str(bad))
    assert not app.exception
    assert reason in app.error[0].value
    assert "There is no report of tiny yet" in app.info[0].value


def test_report_that_lacks_rows(open_page: OpenPage, report: Path, tmp_path: Path) -> None:
    value = json.loads(report.read_text())
    for result in value["found"]["planted"]["results"]:
        result["rows"] = result["rows"][:3]
    bad = tmp_path / "bad.json"
    bad.write_text(json.dumps(value))
    app = open_page("evidence", "--report", str(bad))
    assert not app.exception
    assert "lacks a number that belongs here" in app.error[0].value


def test_evidence_link(open_page: OpenPage, report: Path) -> None:
    missing = str(report.with_name("none.json"))
    app = open_page("evidence", "--report", missing)
    assert not app.exception
    assert "there is no report" in app.error[0].value
    app = open_page("evidence", "--report", str(report), part="<b>", videos="x", report="../x")
    assert not app.exception
    assert len(app.warning) == 3
    assert app.query_params["part"] == "responses"


def test_evidence_files(model: Path, report: Path) -> None:
    read = reports.read(report)
    made = {file.name: file.make() for part in ("responses", "sanity")
            for file in files_of(read, part, "generated" if part == "responses" else "")
            if not file.name.endswith(".pdf")}  # fmt: skip
    assert made["tiny-responses-generated.png"].startswith(b"\x89PNG")
    assert b"<svg" in made["tiny-sanity.svg"]
    assert made["tiny.json"] == report.read_bytes()
    rows = list(csv.DictReader(io.StringIO(made["tiny-responses-generated.csv"].decode())))
    drop = read.found.responses["generated"].scaled_drop("rsp", "freeze", 1)
    row = next(r for r in rows if r["row"] == "frozen at the middle frame" and r["column"] == "RSP")
    assert float(row["value"]) == drop.value
    choice = models.list_choices(Arguments(model=model))[0]
    line = reports.command_of(read, choice).line
    assert "--num_generated 6 --num_random 1 --out" in line
    assert "--seed" not in line


@pytest.mark.parametrize("name", ["speed_lab", "evidence"])
def test_wrong_model_is_said(open_page: OpenPage, tmp_path: Path, name: str) -> None:
    bad = tmp_path / "bad.safetensors"
    bad.write_text("no weights")
    app = open_page(name, "--model", str(bad))
    assert not app.exception
    assert len(app.error) == 1
    assert str(bad) in app.error[0].value.replace("\\", "")
