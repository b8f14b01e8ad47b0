"""A tiny model and tiny videos for pages that need no planted answer."""

import copy
from pathlib import Path

import torch

from analysis import explain_kind
from analysis.stimuli.perturbed_clips import probe_pair, video_probe
from dashboard.base.style import signed
from rspnet import VideoReader, load_model
from rspnet.data.video.encode import write_video
from rspnet.weights.checkpoint import save_model
from tests.dashboard.conftest import draw
from tests.factories import tiny_branch


def save_tiny_model(folder: Path) -> Path:
    """A model with random weights: clips of 8 frames, 32 x 32."""
    query = tiny_branch(0)
    key = copy.deepcopy(query)
    with torch.no_grad():
        for parameter in key.parameters():  # as momentum leaves it: near, but not the same
            parameter += 0.01 * torch.randn_like(parameter)
    return save_model(folder / "tiny.safetensors", query, key)


def write_tiny_videos(root: Path) -> Path:
    """Long enough for 4x; for 2x only; too short for a clip; no video."""
    for name, length in (("a_long", 40), ("b_short", 18), ("c_tiny", 5)):
        write_video(root / f"{name}.mp4", draw(length, 0), 25.0, preset="ultrafast")
    (root / "d_text.mp4").write_text("This is no video.")
    return root


def similarities(model: Path, video: Path, start: int, name: str, level: float) -> dict[str, str]:
    """As the Python API gives them."""
    query, key = load_model(model, "query"), load_model(model, "key")
    with VideoReader(video) as reader:
        probe = video_probe(query, reader, start=start)
        pair = probe_pair(query, key, probe, name, level)
    found = explain_kind("contribution", pair)
    return {head: signed(s, 4) for head, s in found.similarity.items()}
