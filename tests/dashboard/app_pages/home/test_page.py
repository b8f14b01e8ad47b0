"""Home, as far as Streamlit's AppTest sees it."""

import hashlib
import sys
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from tests.dashboard.apps import PATIENCE, texts
from tests.dashboard.conftest import APP


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
