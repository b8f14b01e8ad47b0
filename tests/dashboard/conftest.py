"""A planted model whose answer is known, and videos to ask it about."""

from pathlib import Path

import numpy as np
import pytest
import torch

from rspnet.checkpoint import save_model
from rspnet.data.encode import write_video
from rspnet.models import Branch

OPTIONS = {"width": 4}


def plant(branch: Branch) -> None:
    """Make the RSP head see red alone, and the A-VID head blue alone.

    The stem passes the red channel to feature 0 and the blue one to feature 1; every block is
    the identity on these two; each head reads one of them.
    """
    with torch.no_grad():
        for parameter in branch.parameters():
            parameter.zero_()
        encoder = branch.encoder
        middle = tuple(size // 2 for size in encoder.conv1.kernel_size)
        encoder.conv1.weight[(0, 0, *middle)] = 1.0  # red
        encoder.conv1.weight[(1, 2, *middle)] = 1.0  # blue
        encoder.bn1.weight.fill_(1.0)
        for module in encoder.modules():
            shortcut = getattr(module, "downsample", None)
            if shortcut is not None:
                shortcut[0].weight[0, 0] = 1.0
                shortcut[0].weight[1, 1] = 1.0
                shortcut[1].weight.fill_(1.0)
        for feature, name in enumerate(("rsp", "avid")):
            branch.head(name).weight[feature, feature] = 1.0


@pytest.fixture(scope="session")
def planted_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model file: RSP answers to red things, A-VID to blue ones."""
    branches = [Branch("resnet18_fine", OPTIONS) for _ in range(2)]
    for branch in branches:
        plant(branch)
    path = tmp_path_factory.mktemp("model") / "planted.safetensors"
    return save_model(path, *branches)


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
