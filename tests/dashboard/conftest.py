"""A planted model whose answer is known, and videos to ask it about."""

import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from rspnet.checkpoint import save_model
from rspnet.data.encode import write_video
from rspnet.models import Branch

ROOT = Path(__file__).resolve().parents[2]
APP = ROOT / "dashboard" / "app.py"
Open = Callable[..., AppTest]


@pytest.fixture(scope="session")
def planted_model(planted_branch: Branch, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model file: RSP answers to red things, A-VID to blue ones."""
    path = tmp_path_factory.mktemp("model") / "planted.safetensors"
    return save_model(path, planted_branch, planted_branch)


def draw(num_frames: int, shift: int) -> np.ndarray:
    """A red block that moves up and down on the left, a blue one at rest on the right."""
    frames = np.full((num_frames, 96, 128, 3), 20, np.uint8)
    for t in range(num_frames):
        y = 30 + round(20 * np.sin(0.3 * t + shift))
        frames[t, y : y + 30, 24:50] = (230, 20, 20)
        frames[t, 34:64, 78:104] = (20, 20, 230)
    return frames


@pytest.fixture(scope="session")
def planted_videos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Seven videos of 70 frames in two folders, one too short for a clip, and a text file."""
    root = tmp_path_factory.mktemp("videos")
    for index in range(7):
        folder = root / ("left" if index % 2 else "right")
        write_video(folder / f"clip_{index}.mp4", draw(70, index), 25.0, preset="ultrafast")
    write_video(root / "short" / "nine_frames.mp4", draw(9, 0), 25.0, preset="ultrafast")
    (root / "short" / "text.mp4").write_text("This is no video.")
    return root


@pytest.fixture
def open_app(
    planted_model: Path, planted_videos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Open:
    """Open the app on the planted model and videos, or on what is given."""
    monkeypatch.setenv("RSPNET_CACHE", str(tmp_path / "cache"))

    def open_(*argv: str, **link: str) -> AppTest:
        given = argv or ("--model", str(planted_model), "--videos", str(planted_videos))
        monkeypatch.setattr(sys, "argv", ["app.py", *given])
        app = AppTest.from_file(str(APP), default_timeout=60)
        # Links of the time when Compare was the only page have no page in them.
        app.query_params.update({"scale": "shared"} | link)
        return app.run()

    return open_


def texts(app: AppTest) -> str:
    """All HTML of the page."""
    return " ".join(str(element.proto.body) for element in app.get("html"))
