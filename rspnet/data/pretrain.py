"""Samples of pre-training: three clips of one video, by the keys of :mod:`rspnet.data.stream`."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from rspnet.data.augment import AugmentConfig, apply_view, draw_view
from rspnet.data.datasets.labelled import DatasetConfig, load_video_set
from rspnet.data.datasets.registry import DATASETS
from rspnet.data.device_views import Crop
from rspnet.data.listing import expand_roots
from rspnet.data.sampling import (
    ClipSpec,
    Triplet,
    clip_span,
    pace_of,
    sample_triplet,
    share_frames,
)
from rspnet.data.sources import Source
from rspnet.data.stores.pointers import root_path
from rspnet.data.stream import SampleDataset, SampleKey
from rspnet.files import default_cache_folder, user_path
from rspnet.registry import documents


@documents(datasets=DATASETS)
@dataclass(frozen=True, kw_only=True)
class DataConfig:
    """Videos and clips of pre-training.

    Attributes:
        root: Folders of videos, single videos, or .txt lists of paths (a label may follow each);
            tar shards (``'SHARDS/*.tar'``) and URLs (``s3://bucket/videos``), of which
            ``python -m rspnet.data.manifest`` has been written. Nothing: generated videos. With
            ``name``, the folder of that data set.
        name: A labelled data set, whose labels are ignored: one of {datasets}. Nothing: all
            videos in ``root``.
        annotations: The data set's official lists, with ``name``.
        split: The data set's split, with ``name``.
        fold: The data set's fold, with ``name``.
        num_generated: Generated videos, when there is no ``root``.
        generated_seed: Their seed.
        manifest: What ``python -m rspnet.data.manifest`` wrote: files in it need not be opened to
            count their frames. Nothing: ``manifest.parquet`` in a root, if there is one.
        num_frames: Frames in a clip.
        size: Height and width of a clip in pixels.
        fps: Frames per second of a clip at 1x, taken as the nearest of the video's frames.
            Nothing: every file's own (paper).
        stride: Take every ``stride``-th frame, at either speed.
        speeds: The playback speeds (paper: 1x and 2x); s takes every s-th frame. Of more than two a
            sample has two, and a video must be long enough for the fastest.
        cache_short_side: Decode every video once, to frames of this short side in pixels, into a
            memory-mapped file. Nothing: decode the frames of each clip when they are needed.
        cache_folder: Where generated videos and decoded frames are kept. Nothing:
            ``$RSPNET_CACHE`` or ``.cache``.
        max_unreadable: Largest share of unreadable videos; more stop the run.
        shared_crops: Share of samples whose three clips have one crop and flip. A crop's zoom
            changes the pixels that a thing moves in a frame, which is what speed is read from:
            short trainings find RSP only where the zoom is shared. The paper shares none.
        shared_zooms: Share of samples whose three clips have crops of one height and width, each
            at a place of its own and flipped or not by itself: speed can be compared, and A-VID
            is not the search for the same pixels.
        shared_keys: Share of samples whose c_j and c_k have one crop, flip and jitter, c_i another:
            only the speed tells the two keys apart, and A-VID has to find c_i by its appearance.
        shared_colours: Share of samples whose three clips have one jitter of the colours.
        frozen_keys: Share of samples whose c_k is its middle frame throughout (speed 0): RSP has to
            put it away from either speed, and A-VID to match it, by appearance alone.
        augment: Augmentation.
        augment_on: Where views are resized, flipped and coloured: by loader processes on the
            ``cpu``, or all of a batch on the run's ``device``, with the same draws. For the methods
            rspnet and moco.
    """

    root: str | list[str] | None = None
    name: str | None = None
    annotations: str | None = None
    split: str = "train"
    fold: int = 1
    num_generated: int = 400
    generated_seed: int = 0
    manifest: str | None = None
    num_frames: int = 16
    size: int = 112
    fps: float | None = None
    stride: int = 1
    speeds: tuple[int, ...] = (1, 2)
    cache_short_side: int | None = None
    cache_folder: str | None = None
    max_unreadable: float = 0.05
    shared_crops: float = 1.0
    shared_zooms: float = 0.0
    shared_keys: float = 0.0
    shared_colours: float = 0.0
    frozen_keys: float = 0.0
    augment: AugmentConfig = field(default_factory=AugmentConfig)
    augment_on: Literal["cpu", "device"] = "cpu"

    def __post_init__(self) -> None:
        roots = self.root if isinstance(self.root, list) else [self.root]
        if not roots or not all(root is None or root.strip() for root in roots):
            raise ValueError(
                "root is a folder of videos, a video, a .txt list, or several of these, got "
                f"{self.root!r}: is a variable unset? Leave it out for generated videos"
            )
        if self.name is not None:
            DATASETS[self.name]  # refuses an unknown name
            if isinstance(self.root, list):
                raise ValueError(f"data set {self.name!r} has a single root, got {self.root}")
        elif self.annotations is not None:
            raise ValueError(
                f"annotations belong to a labelled data set, got {self.annotations}: give its name"
            )
        distinct = len(set(self.speeds)) == len(self.speeds)
        if len(self.speeds) < 2 or min(self.speeds) < 1 or not distinct:
            raise ValueError(
                f"speeds are two or more different positive integers, got {self.speeds}"
            )
        if min(self.num_frames, self.size, self.stride) < 1 or (self.fps or 1.0) <= 0:
            raise ValueError(
                "num_frames, size, stride and fps are positive, got "
                f"num_frames={self.num_frames}, size={self.size}, stride={self.stride}, "
                f"fps={self.fps}"
            )
        shares = ("shared_crops", "shared_zooms", "shared_keys", "shared_colours", "frozen_keys")
        for name in ("max_unreadable", *shares):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name} is between 0 and 1, got {getattr(self, name)}")

    def frames_needed(self, video_fps: float) -> int:
        """Frames that a video of this rate needs, for a clip at the fastest speed."""
        pace = pace_of(video_fps, self.fps, self.stride)
        return clip_span(self.num_frames, max(self.speeds), pace)


def roots_of(data: DataConfig) -> list[str]:
    """What ``root`` names."""
    return [data.root] if isinstance(data.root, str) else data.root or []


def training_videos(data: DataConfig) -> list[Path]:
    """Files that are trained on; videos are generated where none are named.

    Raises:
        ValueError: Something named does not exist or holds no video.
    """
    if data.name is not None:
        assert not isinstance(data.root, list)
        videos = load_video_set(
            DatasetConfig(
                name=data.name,
                root=data.root,
                annotations=data.annotations,
                split=data.split,
                fold=data.fold,
            )
        )
        return [video.path for video in videos.videos]
    if data.root is None:
        from rspnet.data.synthetic.videos import generate

        name = f"synthetic_{data.generated_seed}_{data.num_generated}"
        folder = cache_folder(data) / name
        return expand_roots([generate(folder, data.num_generated, data.generated_seed)])
    return expand_roots(list(map(root_path, roots_of(data))))


def cache_folder(data: DataConfig) -> Path:
    """Where generated videos and decoded frames are kept."""
    return user_path(data.cache_folder) if data.cache_folder else default_cache_folder()


@dataclass(frozen=True)
class Sample:
    """Three augmented clips of one video, or a pair, each (T, H, W, 3) uint8.

    Attributes:
        clips: In the order c_i, c_j, c_k; crops where the device makes the views.
        video: Index of the video that they are from.
        failures: (video, reason) of those that could not be read in its place.
    """

    clips: tuple[Any, ...]
    video: int
    failures: tuple[tuple[int, str], ...] = ()


@dataclass(frozen=True)
class Batch:
    """A batch of samples: clips (B, T, H, W, 3) uint8, videos (B,)."""

    query: Tensor
    same_speed: Tensor
    other_speed: Tensor
    video: Tensor
    failures: tuple[tuple[int, str], ...]


def collate(samples: Sequence[Sample]) -> Batch:
    """Stack samples."""
    query, same, other = (torch.stack([s.clips[i] for s in samples]) for i in range(3))
    video = torch.tensor([s.video for s in samples])
    return Batch(query, same, other, video, tuple(f for s in samples for f in s.failures))


class PretrainDataset(SampleDataset[Sample]):
    """Triplets of clips by :class:`SampleKey`.

    Args:
        videos: Where frames come from; each at least ``config.frames_needed`` long.
        config: Clips, speeds, augmentation.
        seed: Fixes frames and augmentation.
    """

    def __init__(self, videos: Sequence[Source], config: DataConfig, seed: int) -> None:
        self.videos = list(videos)
        self.config = config
        self.seed = seed

    def load(self, video: int, key: SampleKey) -> Sample:
        """A triplet of a video."""
        source, config = self.videos[video], self.config
        rng = np.random.default_rng([self.seed, 2, key.position])
        speed, other = config.speeds[key.speed], config.speeds[key.other]
        pace = pace_of(source.fps, config.fps, config.stride)
        triplet = sample_triplet(source.num_frames, config.num_frames, speed, other, rng, pace)
        specs = self.taken(triplet, key)
        wanted, places = share_frames([spec.indices for spec in specs])
        frames = source.get_frames(wanted)
        crops, colours = rng.integers(2**63, size=(2, 3))
        for seeds, share in ((crops, config.shared_crops), (colours, config.shared_colours)):
            if rng.random() < share:
                seeds[:] = seeds[0]
        # Drawn last, so that settings without it give the samples that they always gave.
        zoom = int(rng.integers(2**63)) if rng.random() < config.shared_zooms else None
        if rng.random() < config.shared_keys:
            crops[2], colours[2] = crops[1], colours[1]
        views = [
            draw_view(
                frames.shape[1:3],
                config.size,
                config.augment,
                np.random.default_rng(crop),
                np.random.default_rng(colour),
                None if zoom is None else np.random.default_rng(zoom),
            )
            for _, crop, colour in zip(specs, crops, colours, strict=False)  # a pair: two
        ]
        frozen = bool(config.frozen_keys) and rng.random() < config.frozen_keys
        frozen = frozen and specs[-1] is triplet.other_speed
        middle = config.num_frames // 2
        if config.augment_on == "device":
            cut = [Crop.cut(frames[place], view) for place, view in zip(places, views, strict=True)]
            if frozen:
                cut[-1] = replace(cut[-1], still=middle)
            return Sample(tuple(cut), video)
        clips = [apply_view(frames[place], view) for place, view in zip(places, views, strict=True)]
        if frozen:
            clips[-1] = np.repeat(clips[-1][[middle]], config.num_frames, axis=0)
        return Sample(tuple(map(torch.from_numpy, clips)), video)

    def taken(self, triplet: Triplet, key: SampleKey) -> Sequence[ClipSpec]:
        """Which clips of the triplet a sample has, in its order; c_k comes last."""
        return triplet.query, triplet.same_speed, triplet.other_speed
