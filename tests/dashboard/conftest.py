"""Planted models that see known colours alone, and videos of these colours."""

import copy
import csv
import sys
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from streamlit.components.v2 import manifest_scanner
from streamlit.testing.v1 import AppTest

from dashboard.services import jobs
from rspnet.data.video.encode import write_video
from rspnet.models import Branch
from rspnet.recognition.classifier import Classifier, save_classifier
from rspnet.weights.checkpoint import save_model
from tests.dashboard.apps import open_page, texts

__all__ = ["APP", "ROOT", "Open", "texts"]
ROOT = Path(__file__).resolve().parents[2]
APP = ROOT / "dashboard" / "app.py"
Open = Callable[..., AppTest]
COLUMNS = ("step", "rsp_loss", "avid_loss", "rsp_accuracy", "avid_top1", "rsp_spread",
           "avid_spread", "lr", "clips_per_second", "memory_gib")  # fmt: skip


@pytest.fixture(scope="session", autouse=True)
def _jobs_end() -> Iterator[None]:
    yield
    # torch aborts the process that ends while one of its threads computes.
    for job in jobs.under_way():
        job.finished.wait(60)


@pytest.fixture(scope="session", autouse=True)
def _packages_are_read_once() -> Iterator[None]:
    """Each AppTest reads what all installed packages say of themselves: a second of computing."""
    with pytest.MonkeyPatch.context() as patch:
        scan = cache(manifest_scanner.scan_component_manifests)
        patch.setattr(manifest_scanner, "scan_component_manifests", scan)
        yield


@pytest.fixture(autouse=True)
def _no_verdict_outlives_its_test() -> Iterator[None]:
    """What a page checks in the background would compute on beside the tests that follow."""
    yield
    for key, job in list(jobs._board().jobs.items()):
        if isinstance(key, tuple) and key[0] == "verdict":
            job.stop()


@pytest.fixture(autouse=True)
def _main_module(monkeypatch: pytest.MonkeyPatch) -> None:
    """Streamlit puts its script in the place of ``__main__``, which new processes would run."""
    monkeypatch.setitem(sys.modules, "__main__", sys.modules["__main__"])


@pytest.fixture(scope="session")
def planted_model(planted_branch: Branch, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model file: RSP responds to red things, A-VID to blue ones."""
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
    """Open Compare on the planted model and videos, or on what is given."""
    monkeypatch.setenv("RSPNET_CACHE", str(tmp_path / "cache"))

    def open_(*argv: str, **link: str) -> AppTest:
        given = argv or ("--model", str(planted_model), "--videos", str(planted_videos))
        return open_page("compare", list(given), monkeypatch, **link)

    return open_


def write_run(folder: Path, rows: int = 6) -> Path:
    folder.mkdir(parents=True)
    with (folder / "metrics.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(COLUMNS)
        for n in range(rows):
            numbers = [2.0 - n / 10, 3.0, 0.5 + n / 20, 0.25, 0.4, 0.3, 1e-3, 80.0]
            writer.writerow([10 * (n + 1), *numbers, ""])
    settings = {
        "model": {"arch": "resnet18_fine", "options": {"width": 4}, "head": "linear"},
        "data": {"num_frames": 16, "size": 112},
    }
    (folder / "config.yaml").write_text(yaml.safe_dump(settings))
    return folder


def write_maps(folder: Path, video: Path) -> None:
    """As analysis.report.map_tracker:MapTracker does: two steps, one pair."""
    (folder / "maps").mkdir()
    rng = np.random.default_rng(0)
    for step in (10, 60):
        np.savez(
            folder / "maps" / f"step_{step:08d}.npz",
            step=np.array(step),
            heads=np.array(["rsp", "avid"]),
            maps=rng.normal(size=(1, 2, 4, 7, 7)).astype(np.float32),
            maps_j=rng.normal(size=(1, 2, 4, 7, 7)).astype(np.float32),
            similarity=np.array([[0.25, step / 100]]),
            paths=np.array([str(video)]),
            frames_i=np.arange(16)[None],
            frames_j=np.arange(40, 56)[None],
        )
    (folder / "maps" / "step_00000030.npz").write_bytes(b"torn")
    (folder / "maps" / "correlation.csv").write_text("step,pair,rho\n10,0,0.5\n60,0,0.25\n")


def write_classifier(folder: Path, branch: Branch, num_frames: int = 16) -> Path:
    """As a run of rspnet.finetune leaves it: it tells ``red`` things from ``blue`` ones."""
    write_run(folder)
    options = {"width": 4}
    own = Branch("resnet18_fine", options, num_frames=num_frames).eval()
    own.load_state_dict(branch.state_dict())
    model = Classifier(own, ["red", "blue"]).eval()
    with torch.no_grad():
        model.fc.weight.zero_()
        model.fc.weight[0, 0] = model.fc.weight[1, 1] = 1.0
        model.fc.bias.copy_(torch.tensor([0.02, 0.0]))
    return save_classifier(folder / "classifier.safetensors", model, {})


@pytest.fixture(scope="session")
def planted_runs(planted_videos: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with one run, whose callback kept maps."""
    root = tmp_path_factory.mktemp("runs")
    write_maps(write_run(root / "first"), planted_videos / "left" / "clip_1.mp4")
    return root


# Of each video, how bright its red, green and blue block is.
COLOURS = {
    "walk/query": (235, 130, 235),
    "walk/red": (235, 130, 20),
    "run/blue": (20, 130, 235),
    "run/green": (150, 235, 150),
    "run/more_green": (130, 235, 150),
    "walk/some_green": (150, 235, 130),
}


def draw_colours(bright: tuple[int, int, int]) -> np.ndarray:
    """Three blocks side by side that move up and down a little."""
    frames = np.full((40, 96, 128, 3), 20, np.uint8)
    for t in range(40):
        y = 34 + round(6 * np.sin(0.3 * t))
        for channel, value in enumerate(bright):
            x = 22 + 29 * channel
            frames[t, y : y + 28, x : x + 28, channel] = value
    return frames


@pytest.fixture(scope="session")
def coloured_model(planted_branch: Branch, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """RSP compares how red with how green a video is, A-VID how blue with how green it is.

    ``walk/query`` is red and blue, so its nearest by RSP is the video that is red, by A-VID the
    one that is blue.
    """
    branch = copy.deepcopy(planted_branch)
    with torch.no_grad():
        middle = tuple(size // 2 for size in branch.encoder.conv1.kernel_size)
        branch.encoder.conv1.weight[(2, 1, *middle)] = 1.0  # green
        for module in branch.encoder.modules():
            shortcut = getattr(module, "downsample", None)
            if shortcut is not None:
                shortcut[0].weight[2, 2] = 1.0
        branch.head("rsp").weight[1, 2] = 1.0
        branch.head("avid").weight[0, 2] = 1.0
    path = tmp_path_factory.mktemp("model") / "colours.safetensors"
    return save_model(path, branch, branch)


@pytest.fixture(scope="session")
def coloured_videos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six videos of three blocks each, and one that is too short for a clip."""
    root = tmp_path_factory.mktemp("colours")
    for name, bright in COLOURS.items():
        write_video(root / f"{name}.mp4", draw_colours(bright), 25.0, preset="ultrafast")
    short = draw_colours((200, 200, 200))[:9]
    write_video(root / "short" / "nine.mp4", short, 25.0, preset="ultrafast")
    return root
