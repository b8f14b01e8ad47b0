"""Evidence, as far as Streamlit's AppTest sees it, and what it hands out."""

import csv
import io
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from analysis.core.figure_spec import DotFigure, LineFigure
from analysis.core.table import StudyTable, number
from analysis.report.sections import headline
from analysis.studies.registry import Study, StudyConfig, list_studies, register_study
from dashboard.app_pages.evidence import commands, numbers
from dashboard.app_pages.evidence.page import files_of
from dashboard.base.arguments import Arguments
from dashboard.services import models, reports
from tests.dashboard.apps import PATIENCE, texts
from tests.dashboard.made_report import make_report
from tests.dashboard.tiny import save_tiny_model, write_tiny_videos

OpenPage = Callable[..., AppTest]
SCRIPT = """
from dashboard.base import links
links.enter("evidence")
from dashboard.app_pages.evidence.page import page
page()
"""


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny_model(tmp_path_factory.mktemp("model"))


@pytest.fixture(scope="module")
def report(model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A report of the tiny model."""
    return make_report(tmp_path_factory.mktemp("report") / "tiny.json", model)


@pytest.fixture(scope="module")
def videos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_videos(tmp_path_factory.mktemp("videos"))


@pytest.fixture
def open_page(
    model: Path, videos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> OpenPage:
    """Open the page without the menu on the tiny model, or on what is given."""
    monkeypatch.setenv("RSPNET_CACHE", str(tmp_path / "cache"))

    def open_(*argv: str, **link: str) -> AppTest:
        given = ("--model", str(model), "--videos", str(videos), *argv)
        monkeypatch.setattr(sys, "argv", ["app.py", *given])
        app = AppTest.from_string(SCRIPT, default_timeout=PATIENCE)
        app.query_params.update(link)
        return app.run()

    return open_


def said(app: AppTest) -> list[str]:
    return [element.value for element in (*app.error, *app.warning, *app.info)]


def test_evidence_gives_the_numbers_of_the_report(open_page: OpenPage, report: Path) -> None:
    app = open_page("--report", str(report))
    assert not app.exception
    assert said(app) == []
    page = texts(app)
    results = reports.read(report).results
    for row in headline(results).tables[0].rows:
        assert str(row[0]) in page
        for value in row[1:]:
            assert (
                f"{number(value.value)} <small>{number(value.low)} to {number(value.high)}" in page
            )
    assert 'data-testid="answer"' in page
    assert "6 synthetic videos, 1 draw of random weights" in page
    assert app.query_params["part"] == "responses"
    for part in ("localisation", "faithfulness", "sanity"):
        app.button_group("evidence_part").set_value(part).run()
        assert not app.exception
        assert said(app) == []
        assert f'data-part="{part}"' in texts(app)
        assert app.query_params["part"] == part
    app.button_group("evidence_part").set_value("optical_flow").run()
    assert app.query_params["part"] == "optical_flow"
    assert "Do the maps follow movement in real video?" in texts(app)
    app.button_group("evidence_part").set_value("responses").run()
    app.button_group("evidence_kind").set_value("real").run()
    assert app.query_params["videos"] == "real"
    assert "6 real videos (0 skipped)" in texts(app)
    app.button_group("evidence_part").set_value("class_retrieval").run()
    assert "named by --skip" in said(app)[0]


def test_figures_hold_the_reports_numbers(report: Path) -> None:
    read = reports.read(report)
    tables = read.results.tables
    curves, selectivity, switches = numbers.figures_of(read, "responses", "synthetic")
    assert isinstance(curves, LineFigure)
    responses = tables["responses"]["synthetic"]
    speed = next(line for line in curves.panels[0].lines
                 if line.head == "rsp" and not line.control)  # fmt: skip
    own = responses.one(weights="trained", perturbation="speed", level=4, head="rsp")["drop"]
    assert speed.values[-1].value == 1 - own.value
    assert (speed.values[-1].low, speed.values[-1].high) == (1 - own.high, 1 - own.low)
    assert isinstance(switches, DotFigure)
    row = switches.rows.index("static clip")
    value = next(d.value for d in switches.panels[0].dots
                 if (d.row, d.head, d.control) == (row, "avid", False))  # fmt: skip
    keys = {"weights": "trained", "perturbation": "static", "level": 1}
    assert value == responses.one(**keys, head="avid")["drop"]
    assert isinstance(selectivity, DotFigure)
    assert len(selectivity.rows) == 3
    (placed,) = numbers.figures_of(read, "localisation", "synthetic")
    assert isinstance(placed, DotFigure)
    row = placed.rows.index("margin, 2x")
    value = next(d.value for d in placed.panels[0].dots
                 if (d.row, d.head, d.control) == (row, "rsp", True))  # fmt: skip
    keys = {"weights": "random weights", "kind": "margin", "region": "limbs", "speed": "2x"}
    assert value == tables["localisation"]["synthetic"].one(**keys, head="rsp")["ratio"]
    assert numbers.figures_of(read, "pretext_tasks", "") == []


def test_a_new_study_is_on_the_menu(open_page: OpenPage, report: Path, tmp_path: Path) -> None:
    @register_study
    class Toy(Study[StudyConfig]):
        """A study that a test made."""

        name = "toy"
        title = "Toy study"
        question = "Is this a toy?"
        reading = "It is."
        needs = "synthetic"
        config = StudyConfig

        def measure(self, inputs: Any, config: StudyConfig) -> StudyTable:
            raise NotImplementedError

        def finding(self, table: StudyTable) -> str:
            return f"It has {len(table.rows)} rows."

    from analysis.studies import registry

    try:
        value = json.loads(report.read_text())
        sanity = value["tables"]["sanity"]["synthetic"]
        value["tables"]["toy"] = {
            "synthetic": sanity | {"study": "toy", "rows": sanity["rows"][:2]}
        }
        path = tmp_path / "toy.json"
        path.write_text(json.dumps(value))
        app = open_page("--report", str(path), part="toy")
        assert not app.exception
        assert said(app) == []
        page = texts(app)
        assert "Is this a toy?" in page
        assert "It has 2 rows." in page
        assert app.query_params["part"] == "toy"
    finally:
        del registry._STUDIES["toy"]
    assert "toy" not in [study.name for study in list_studies()]


def test_no_report_says_how_to_make_one(
    open_page: OpenPage, model: Path, monkeypatch: pytest.MonkeyPatch, report: Path
) -> None:
    app = open_page()
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
        assert f"{out.name}: 6 synthetic videos" in texts(app)
    finally:
        out.unlink()


def _torn(value: dict[str, Any]) -> str:
    return json.dumps(value)[:5000]


def _without(name: str) -> Callable[[dict[str, Any]], str]:
    return lambda value: json.dumps(
        value | {"tables": {**value["tables"], name: {"synthetic": {}}}}
    )


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (_torn, "can't be read as JSON"),
        (lambda value: "[" * 100_000, "can't be read as JSON"),
        (lambda value: "[1, 2]", "it is no report of this version"),
        (lambda value: json.dumps(value | {"version": 9}), "got format 'rspnet-report', version 9"),
        (_without("localisation"), "run the study again"),
        (lambda value: json.dumps(value | {"tables": 3}), "is damaged"),
        (lambda value: json.dumps(value | {"model_hash": "0" * 64}), "is of another model"),
    ],
)
def test_invalid_reports_are_explained(
    open_page: OpenPage, report: Path, tmp_path: Path, change: Callable[..., str], reason: str
) -> None:
    bad = tmp_path / "bad.json"
    bad.write_text(change(json.loads(report.read_text())))
    app = open_page("--report", str(bad))
    assert not app.exception
    assert reason in app.error[0].value
    assert "There is no report of tiny yet" in app.info[0].value


def test_report_that_lacks_rows(open_page: OpenPage, report: Path, tmp_path: Path) -> None:
    value = json.loads(report.read_text())
    table = value["tables"]["localisation"]["synthetic"]
    table["rows"] = table["rows"][:3]
    bad = tmp_path / "bad.json"
    bad.write_text(json.dumps(value))
    app = open_page("--report", str(bad))
    assert not app.exception
    assert "lacks a number that belongs here" in app.error[0].value


def test_evidence_link(open_page: OpenPage, report: Path) -> None:
    missing = str(report.with_name("none.json"))
    app = open_page("--report", missing)
    assert not app.exception
    assert "there is no report" in app.error[0].value
    app = open_page("--report", str(report), part="<b>", videos="x", report="../x")
    assert not app.exception
    assert len(app.warning) == 3
    assert app.query_params["part"] == "responses"


def test_evidence_files(model: Path, report: Path) -> None:
    read = reports.read(report)
    made = {file.name: file.make() for part in ("responses", "sanity")
            for file in files_of(read, part, "synthetic")
            if not file.name.endswith(".pdf")}  # fmt: skip
    assert made["tiny-responses-synthetic.png"].startswith(b"\x89PNG")
    assert b"<svg" in made["tiny-sanity-synthetic.svg"]
    assert made["tiny.json"] == report.read_bytes()
    rows = list(csv.DictReader(io.StringIO(made["tiny-responses-synthetic.csv"].decode())))
    keys = {"weights": "trained", "perturbation": "static", "level": 1, "head": "rsp"}
    drop = read.results.tables["responses"]["synthetic"].one(**keys)["drop"]
    row = next(r for r in rows if r["row"] == "static clip" and r["column"] == "drop, RSP")
    assert float(row["value"]) == drop.value
    choice = models.list_choices(Arguments(model=model))[0]
    line = commands.command_of(read, choice).line
    assert "--num_synthetic 6 --num_random 1 --out" in line
    assert "--seed" not in line


def test_invalid_model_is_explained(open_page: OpenPage, tmp_path: Path) -> None:
    bad = tmp_path / "bad.safetensors"
    bad.write_text("no weights")
    app = open_page("--model", str(bad))
    assert not app.exception
    assert len(app.error) == 1
    assert bad.name in app.error[0].value


def test_the_strongest_units_are_listed_by_head_and_factor() -> None:
    def script() -> None:
        from types import SimpleNamespace

        from analysis.studies.registry import NamedUnit
        from dashboard.app_pages.evidence.page import _draw_units

        named = [
            NamedUnit("rsp", "action", 19, {"action": 0.9, "appearance": 0.1}),
            NamedUnit("avid", "appearance", 63, {"action": 0.1, "appearance": 0.9}),
        ]
        model = SimpleNamespace(name="m")
        _draw_units(named, model)  # type: ignore[arg-type]
        _draw_units([], model)  # type: ignore[arg-type]

    app = AppTest.from_function(script).run()
    assert not app.exception
    rows = [own for own in ("RSP, action alone", "A-VID, appearance alone") if own in texts(app)]
    assert len(rows) == 2
    assert "make it again to see them" in app.caption[0].value
