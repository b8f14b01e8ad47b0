"""Test videos through a network: evenly spaced clips of each, shared out over the processes."""

from contextlib import closing
from dataclasses import replace
from functools import partial
from pathlib import Path

import torch
from torch import Tensor, nn
from tqdm import tqdm

from rspnet.data.datasets.labelled import LabelledVideo, VideoSet, load_video_set
from rspnet.data.labelled_clips import ActionsConfig, ClipPlan
from rspnet.data.transforms import normalise
from rspnet.data.video.reader import VideoReader
from rspnet.files import printable
from rspnet.models import Branch, evaluation_mode
from rspnet.models.heads import global_average_pool
from rspnet.recognition.result import Floats
from rspnet.training.loading import load_each
from rspnet.training.processes import Processes
from rspnet.training.run_folder import refuse_unreadable


def load_splits(data: ActionsConfig) -> tuple[VideoSet, VideoSet]:
    """The training and the test split.

    Raises:
        ValueError: One is not there, they differ in their classes or have a single one, or share
            a video.
    """
    train, test = (load_video_set(replace(data, split=s)) for s in (data.split, data.test_split))
    if train.classes != test.classes:
        raise ValueError(
            f"{data.split} and {data.test_split} differ in their classes: "
            f"{len(train.classes)} and {len(test.classes)}"
        )
    both = {v.path for v in train.videos} & {v.path for v in test.videos}
    if both:
        raise ValueError(
            f"{len(both)} videos are in {data.split} and in {data.test_split}, such as "
            f"{min(both)}: a test on them means nothing. Name two splits (data.split, "
            "data.test_split), or give the root the folders train and test"
        )
    if len(train.classes) < 2:
        raise ValueError(
            f"{data.name} has the single class {printable(train.classes[0])!r}: whatever the "
            "model, 100% of the videos would be recognised. Two or more classes are needed"
        )
    return train, test


class PooledFeatures(nn.Module):
    """Globally averaged features of clips: (B, 3, T, H, W) -> (B, C)."""

    def __init__(self, branch: Branch) -> None:
        super().__init__()
        self.branch = branch

    def forward(self, clips: Tensor) -> Tensor:
        """Features of clips."""
        return global_average_pool(self.branch.features(clips))


def _test_clips(path: Path, plan: ClipPlan, num_clips: int) -> Tensor:
    with VideoReader(path) as reader:
        return torch.from_numpy(plan.test_clips(reader, num_clips))


@torch.inference_mode()
def each_video(
    function: nn.Module,
    part: VideoSet,
    data: ActionsConfig,
    plan: ClipPlan,
    processes: Processes,
    num_workers: int,
    title: str,
) -> tuple[list[Floats], list[LabelledVideo], list[tuple[str, str]]]:
    """Apply a network to the evenly spaced clips of each video of a split, shared over processes.

    A forward pass has the clips of one video, so that nothing depends on the videos beside it.

    Returns:
        For each readable video the result (clips, ...), these videos, and (path, reason) of
        the others; the same in every process.

    Raises:
        ValueError: More videos than ``data.max_unreadable`` can't be read.
    """
    videos = part.videos
    mine = videos[processes.rank :: processes.size]
    load = partial(_test_clips, plan=plan, num_clips=data.num_clips)
    loaded = load_each([v.path for v in mine], part.known_invalid, load, num_workers)
    found: list[tuple[Floats | None, str]] = []
    bar = tqdm(loaded, desc=title, total=len(mine), unit="video", disable=not processes.first)
    with closing(loaded), evaluation_mode(function):
        for clips in bar:
            if isinstance(clips, str):
                found.append((None, clips))
                continue
            values = function(normalise(clips.to(processes.device)))
            found.append((values.double().cpu().numpy(), ""))
    shares = processes.gather_values(found)
    rows = [shares[i % processes.size][i // processes.size] for i in range(len(videos))]
    unreadable = [
        (str(v.path), reason) for v, (_, reason) in zip(videos, rows, strict=True) if reason
    ]
    refuse_unreadable(unreadable, len(videos), data.max_unreadable)
    kept = [(row, v) for v, (row, _) in zip(videos, rows, strict=True) if row is not None]
    return [row for row, _ in kept], [v for _, v in kept], unreadable
