"""Test videos through a network: evenly spaced clips of each, shared out over the processes."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader
from tqdm import tqdm

from rspnet.data.datasets.labelled import LabelledVideo, VideoSet, load_video_set
from rspnet.data.labelled_clips import ActionsConfig, ClipPlan
from rspnet.data.transforms import normalise
from rspnet.data.video.reader import VideoError, VideoReader
from rspnet.models import Branch
from rspnet.models.heads import global_average_pool
from rspnet.recognition.result import Floats
from rspnet.training.engine import prepare_workers, start_worker
from rspnet.training.processes import Processes
from rspnet.training.run_folder import refuse_unreadable


def load_splits(data: ActionsConfig) -> tuple[VideoSet, VideoSet]:
    """The training and the test split.

    Raises:
        ValueError: One is not there, they differ in their classes, or share a video.
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
    for part in (train, test):
        if part.missing:
            tqdm.write(
                f"{len(part.missing)} videos of {part.name} {part.split} are missing, such as "
                f"{part.missing[0]}"
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


class _TestClips(torch.utils.data.Dataset[tuple[Tensor, str]]):
    """The clips of videos in the fixed view; an empty tensor and the reason for a bad video."""

    def __init__(
        self,
        videos: Sequence[LabelledVideo],
        known_invalid: Mapping[Path, str],
        plan: ClipPlan,
        num_clips: int,
    ) -> None:
        self.videos, self.known_invalid = videos, known_invalid
        self.plan, self.num_clips = plan, num_clips

    def __len__(self) -> int:
        return len(self.videos)

    def __getitem__(self, index: int) -> tuple[Tensor, str]:
        path = self.videos[index].path
        if path in self.known_invalid:
            return torch.empty(0), self.known_invalid[path]
        try:
            with VideoReader(path) as reader:
                return torch.from_numpy(self.plan.test_clips(reader, self.num_clips)), ""
        except VideoError as error:
            return torch.empty(0), str(error)


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
        For each good video the result (clips, ...), the good videos, and (path, reason) of the
        others; the same in every process.

    Raises:
        ValueError: More videos than ``data.max_unreadable`` can't be read.
    """
    videos = part.videos
    mine = videos[processes.rank :: processes.size]
    prepare_workers(num_workers)
    loader = DataLoader(
        _TestClips(mine, part.known_invalid, plan, data.num_clips),
        batch_size=None,
        num_workers=num_workers,
        worker_init_fn=start_worker,
        generator=torch.Generator().manual_seed(0),
    )
    found: list[tuple[Floats | None, str]] = []
    for clips, reason in tqdm(loader, desc=title, unit="video", disable=not processes.first):
        if reason:
            found.append((None, reason))
            continue
        values = function(normalise(clips.to(processes.device)))
        found.append((values.double().cpu().numpy(), ""))
    shares = processes.gather_values(found)
    rows = [shares[i % processes.size][i // processes.size] for i in range(len(videos))]
    bad = [(str(v.path), reason) for v, (_, reason) in zip(videos, rows, strict=True) if reason]
    refuse_unreadable(bad, len(videos), data.max_unreadable)
    good = [(row, v) for v, (row, _) in zip(videos, rows, strict=True) if row is not None]
    return [row for row, _ in good], [v for _, v in good], bad
