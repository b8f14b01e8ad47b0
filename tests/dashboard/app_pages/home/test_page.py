"""Home, as far as Streamlit's AppTest sees it."""

import hashlib
import json
import subprocess
import sys
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from dashboard.overlays.options import C_J
from dashboard.services import reports
from tests.dashboard.apps import PATIENCE, texts
from tests.dashboard.conftest import APP, ROOT


def test_home_says_what_one_looks_at(
    planted_model: Path, planted_videos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RSPNET_CACHE", str(tmp_path))
    argv = ["app.py", "--model", str(planted_model), "--videos", str(planted_videos)]
    monkeypatch.setattr(sys, "argv", argv)
    app = AppTest.from_file(str(APP), default_timeout=PATIENCE)
    app.query_params["model"] = "nowhere"
    app.run()
    assert not app.exception
    page = texts(app)
    assert hashlib.sha256(planted_model.read_bytes()).hexdigest() in page
    assert "resnet18_fine, 16 frames of 112 x 112 pixels" in page
    assert "Your videos, 9 files, 3 classes" in page
    assert page.count('class="tile"') == 3
    assert C_J not in page  # it is not on this page
    assert any("the model `nowhere`" in warning.value for warning in app.warning)
    assert dict(app.query_params) == {"model": "planted", "gallery": "Your videos"}


def test_home_gives_the_answer_of_the_models_report(
    planted_videos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RSPNET_CACHE", str(tmp_path))
    monkeypatch.setattr(sys, "argv", ["app.py", "--videos", str(planted_videos)])
    app = AppTest.from_file(str(APP), default_timeout=PATIENCE)
    app.run()
    assert not app.exception
    page = texts(app)
    # As README gives them.
    assert "moving limbs hold 3.48 times [3.06, 4.01] their area in RSP's map" in page
    assert "1.61 times [1.39, 1.83]" in page
    assert "0.63 <small>0.56 to 0.69</small>" in page


def test_answer_doors_and_clip_come_before_torch(planted_videos: Path) -> None:
    script = f"""
import sys
sys.argv = ["app.py", "--videos", {str(planted_videos)!r}]
from streamlit.testing.v1 import AppTest
from dashboard.app_pages.home import page
from dashboard.services import models
seen = []
def load(choice):
    seen.append("torch" in sys.modules)
    raise ValueError("no further")
models.load, page._draw_evidence = load, lambda model, arguments: True
app = AppTest.from_file({str(APP)!r}, default_timeout=60).run()
assert not app.exception, app.exception
said = " ".join(element.proto.body for element in app.get("html"))
assert seen == [False], seen
assert "moving limbs hold 3.48 times" in said
assert said.count('class="door"') == 3
"""
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]


def test_no_answer_is_given_from_a_report_that_cannot_be_read(
    planted_model: Path, planted_videos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RSPNET_CACHE", str(tmp_path))
    value = {"model_hash": hashlib.sha256(planted_model.read_bytes()).hexdigest()}
    keys = reports.ANSWER
    ratio = {"value": 2.0, "low": 1.5, "high": 2.5, "num": 4}
    rows = [{"keys": {**keys, "head": h}, "values": {"ratio": ratio}} for h in ("rsp", "avid")]
    value["tables"] = {"localisation": {"synthetic": {"rows": rows}}}  # and nothing else
    report = tmp_path / "torn.json"
    report.write_text(json.dumps(value))
    words = ["--model", planted_model, "--videos", planted_videos, "--report", report]
    monkeypatch.setattr(sys, "argv", ["app.py", *map(str, words)])
    app = AppTest.from_file(str(APP), default_timeout=PATIENCE).run()
    assert not app.exception
    assert 'data-testid="answer"' not in texts(app)
