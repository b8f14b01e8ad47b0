"""A planted model whose answer is known, and videos to ask it about."""

from pathlib import Path

import numpy as np
import pytest

from rspnet.checkpoint import save_model
from rspnet.data.encode import write_video
from rspnet.models import Branch


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
