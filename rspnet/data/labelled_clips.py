"""Labelled clips for action recognition: training views, in an order that a seed fixes.

As in :mod:`rspnet.data.stream`, everything about a sample follows from (seed, position).
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from rspnet.data.augment import AugmentConfig, augment_clip
from rspnet.data.datasets.labelled import DatasetConfig, VideoSet
from rspnet.data.sampling import clip_indices, clip_span, even_starts, pace_of
from rspnet.data.stream import SampleDataset, SampleKey
from rspnet.data.transforms import Frames, eval_clips
from rspnet.data.video.reader import VideoReader


def _light() -> AugmentConfig:
    return AugmentConfig(min_area=0.25, gray=0, brightness=0, contrast=0, saturation=0, hue=0)


@dataclass(frozen=True, kw_only=True)
class ActionsConfig(DatasetConfig):
    """Videos with labels, and the clips that are taken from them.

    Attributes:
        split: The split that is trained on.
        test_split: The split that is tested on.
        num_frames: Frames in a clip. Nothing: as the model was made for.
        size: Height and width of a clip in pixels. Nothing: as the model was made for.
        fps: Frames per second of a clip. Nothing: each file's own.
        sampling: ``clip`` takes frames one after the other (a short video is played in a loop);
            ``cover`` takes frames evenly from the whole video, as the release does for
            Something-Something-V2.
        num_clips: Clips of a test video; their logits are averaged.
        max_unreadable: Largest share of unreadable videos; more are an error.
        augment: Views of training. Default: crops of 0.25 to 1 of the area, flips, true colours.
    """

    test_split: str = "test"
    num_frames: int | None = None
    size: int | None = None
    fps: float | None = None
    sampling: Literal["clip", "cover"] = "clip"
    num_clips: int = 10
    max_unreadable: float = 0.05
    augment: AugmentConfig = field(default_factory=_light)

    def __post_init__(self) -> None:
        for name in ("num_frames", "size", "fps", "num_clips"):
            value = getattr(self, name)
            if value is not None and value <= 0:
                raise ValueError(f"{name} is positive, got {value}")


@dataclass(frozen=True, kw_only=True)
class ClipPlan:
    """How clips are taken from a video.

    Attributes:
        num_frames: Frames in a clip.
        size: Height and width in pixels.
        fps: Frames per second of a clip; nothing follows the file.
        sampling: ``clip`` or ``cover``.
    """

    num_frames: int
    size: int
    fps: float | None = None
    sampling: Literal["clip", "cover"] = "clip"

    def draw(self, length: int, video_fps: float, rng: np.random.Generator) -> list[int]:
        """Frame indices of a training clip."""
        if self.sampling == "cover":
            edges = np.arange(self.num_frames) + rng.random(self.num_frames)
            return self._cover(edges, length)
        pace = pace_of(video_fps, self.fps)
        last = max(0, length - clip_span(self.num_frames, 1, pace))
        start = int(rng.integers(0, last + 1))
        return clip_indices(start, self.num_frames, 1, video_length=length, pace=pace)

    def even(self, length: int, video_fps: float, num_clips: int) -> list[list[int]]:
        """Frame indices of the clips of a test video, evenly spaced."""
        if self.sampling == "cover":
            shifts = (np.arange(num_clips) + 0.5) / num_clips
            return [self._cover(np.arange(self.num_frames) + s, length) for s in shifts]
        pace = pace_of(video_fps, self.fps)
        return [
            clip_indices(start, self.num_frames, 1, video_length=length, pace=pace)
            for start in even_starts(length, num_clips, self.num_frames, 1, pace)
        ]

    def _cover(self, places: NDArray[np.float64], length: int) -> list[int]:
        indices = np.floor(places * length / self.num_frames).astype(int)
        return [int(i) for i in np.clip(indices, 0, length - 1)]

    def test_clips(self, reader: VideoReader, num_clips: int) -> Frames:
        """Clips of a test video in the fixed view, (num_clips, T, size, size, 3)."""
        clips = self.even(len(reader), reader.fps, num_clips)
        frames, places = eval_clips(reader, clips, self.size)
        return frames[places]


@dataclass(frozen=True)
class LabelledBatch:
    """Clips (B, T, H, W, 3) uint8 with their classes (B,), and the videos that failed."""

    clips: Tensor
    labels: Tensor
    failures: tuple[tuple[int, str], ...]


@dataclass(frozen=True)
class LabelledClip:
    """One sample of a :class:`LabelledBatch`."""

    clip: Tensor
    label: int
    failures: tuple[tuple[int, str], ...] = ()


def collate_labelled(samples: Sequence[LabelledClip]) -> LabelledBatch:
    """Stack samples."""
    return LabelledBatch(
        torch.stack([s.clip for s in samples]),
        torch.tensor([s.label for s in samples]),
        tuple(f for s in samples for f in s.failures),
    )


class ActionClips(SampleDataset[LabelledClip]):
    """Training clips of a labelled set by :class:`~rspnet.data.stream.SampleKey`.

    A video that is known to be invalid is not opened, but counts as one that can't be read.

    Args:
        videos: The training split.
        plan: Clips.
        augment: Views.
        seed: Fixes frames and augmentation.
    """

    def __init__(self, videos: VideoSet, plan: ClipPlan, augment: AugmentConfig, seed: int) -> None:
        self.videos = videos.videos
        self.known_invalid = videos.known_invalid
        self.labels = {name: i for i, name in enumerate(videos.classes)}
        self.plan = plan
        self.augment = augment
        self.seed = seed

    def load(self, video: int, key: SampleKey) -> LabelledClip:
        """A view of a clip of a video."""
        path, label = self.videos[video].path, self.videos[video].label
        if path in self.known_invalid:
            raise ValueError(self.known_invalid[path])
        rng = np.random.default_rng([self.seed, 4, key.position])
        with VideoReader(path) as reader:
            indices = self.plan.draw(len(reader), reader.fps, rng)
            frames = reader.get_frames(indices)
        view = augment_clip(frames, self.plan.size, self.augment, rng)
        return LabelledClip(torch.from_numpy(view), self.labels[label])
