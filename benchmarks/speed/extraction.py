"""Embeddings of videos: against a plain loop over decord, one video after the other."""

import tempfile
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import torch
from torch.nn import functional

from benchmarks.speed.records import Row, against
from rspnet import load_model
from rspnet.data.sampling import clip_indices, even_starts
from rspnet.data.synthetic.videos import generate
from rspnet.data.transforms import normalise
from rspnet.models import Branch
from rspnet.retrieval.openvino import compile_forward
from rspnet.retrieval.vectors import embed_views, load_views, protocol_for

PACKAGES = ("torch", "decord", "opencv-python-headless")


@torch.no_grad()
def plain_loop(branch: Branch, paths: list[Path], num_clips: int) -> None:
    """Ten clips of each video: decode, resize, crop, one forward pass, mean."""
    from decord import VideoReader

    for path in paths:
        reader = VideoReader(str(path))
        clips = []
        for start in even_starts(len(reader), num_clips, branch.num_frames):
            indices = clip_indices(start, branch.num_frames, video_length=len(reader))
            frames = torch.from_numpy(reader.get_batch(indices).asnumpy()).permute(0, 3, 1, 2)
            height, width = frames.shape[2:]
            scale = branch.size / min(height, width)
            size = [round(height * scale), round(width * scale)]
            small = functional.interpolate(frames.float(), size, mode="bilinear", antialias=True)
            top, left = ((n - branch.size) // 2 for n in size)
            cut = small[:, :, top : top + branch.size, left : left + branch.size]
            clips.append(cut.round().clamp(0, 255).to(torch.uint8).permute(0, 2, 3, 1))
        batch = normalise(torch.stack(clips)).contiguous()
        features = branch.features(batch)
        torch.nn.functional.normalize(features.amax(dim=(2, 3, 4)).mean(dim=0), dim=0)
        branch.project(features)


def rows(rounds: int, num_videos: int = 3, num_clips: int = 10) -> list[Row]:
    """The shipped model on synthetic videos.

    Args:
        rounds: Of each.
        num_videos: Videos in a round.
        num_clips: Clips of each.
    """
    branch = load_model().eval()
    protocol = protocol_for(branch, num_clips=num_clips)
    with tempfile.TemporaryDirectory() as folder:
        generate(folder, num_videos, num_workers=1, progress=False)
        paths = sorted(Path(folder).rglob("*.mp4"))

        def own() -> None:
            views = (load_views(path, protocol) for path in paths)
            found = list(embed_views(branch, views, protocol.pooling, num_clips))
            assert np.isfinite(found[0]["backbone"]).all()

        name = f"{num_videos} videos of {num_clips} clips, {branch.arch}"
        peers = {"plain loop over decord": lambda: plain_loop(branch, paths, num_clips)}
        if find_spec("openvino") is None:
            return against(name, own, peers, rounds)
        forward = compile_forward(branch, protocol.pooling)

        def compiled() -> None:
            views = (load_views(path, protocol) for path in paths)
            list(embed_views(branch, views, protocol.pooling, num_clips, forward))

        return against(name, own, peers, rounds) + against(
            f"{name}, --backend openvino", compiled, peers | {"--backend torch": own}, rounds
        )
