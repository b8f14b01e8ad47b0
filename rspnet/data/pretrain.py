"""Samples of pre-training: three clips of one video, in an order that a seed fixes.

Everything about a sample follows from (seed, position): which video, which speed, which frames,
which augmentation. So the stream does not depend on the number of loader workers, and a run that
is resumed at step n sees just what it would have seen.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import permutations
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset, Sampler

from rspnet.data.augment import AugmentConfig, augment_clip
from rspnet.data.datasets.labelled import DatasetConfig, load_video_set
from rspnet.data.datasets.registry import DATASETS
from rspnet.data.sampling import ClipSpec, clip_span, pace_of, sample_triplet, share_frames
from rspnet.data.sources import Source, expand_roots
from rspnet.files import default_cache_folder
from rspnet.registry import documents


@documents(datasets=DATASETS)
@dataclass(frozen=True, kw_only=True)
class DataConfig:
    """Videos and clips of pre-training.

    Attributes:
        root: Folders of videos, single videos, or .txt lists of paths. Nothing: generated videos.
            With ``name``, the folder of that data set.
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
        augment: Augmentation.
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
    augment: AugmentConfig = field(default_factory=AugmentConfig)

    def __post_init__(self) -> None:
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
        shares = ("shared_crops", "shared_zooms", "shared_keys", "shared_colours")
        for name in ("max_unreadable", *shares):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name} is between 0 and 1, got {getattr(self, name)}")

    def frames_needed(self, video_fps: float) -> int:
        """Frames that a video of this rate needs, for a clip at the fastest speed."""
        pace = pace_of(video_fps, self.fps, self.stride)
        return clip_span(self.num_frames, max(self.speeds), pace)


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
    return expand_roots([data.root] if isinstance(data.root, str) else data.root)


def cache_folder(data: DataConfig) -> Path:
    """Where generated videos and decoded frames are kept."""
    return Path(data.cache_folder) if data.cache_folder else default_cache_folder()


@dataclass(frozen=True)
class SampleKey:
    """Names one sample.

    Attributes:
        position: Its place in the endless stream of samples, counted from 0.
        video: Index of its video.
        speed: Which of ``DataConfig.speeds`` c_i and c_j have.
        other: Which one c_k has.
    """

    position: int
    video: int
    speed: int
    other: int


class SampleStream(Sampler[list[SampleKey]]):
    """Batches of sample keys. Epochs follow one another without dropping or padding.

    Half of every batch's queries have either speed; where a batch is odd, the half that gets one
    more alternates. Of more than two speeds every ordered pair comes equally often.

    Args:
        num_videos: Videos in the data set.
        batch_size: Samples in a step, of all processes together.
        seed: Fixes the order.
        first_step: Step to begin at.
        num_steps: Step to end before.
        accumulate: Micro-batches that a step is given in.
        rank: Number of this process. Each takes its own part of every micro-batch, and the parts
            in the order of the ranks are what a process alone would have.
        num_processes: Processes of the run.
        num_speeds: Playback speeds to take two of.

    Raises:
        ValueError: A number is not positive, there are not two speeds, or ``batch_size`` can't be
            split evenly.
    """

    def __init__(
        self,
        num_videos: int,
        batch_size: int,
        seed: int,
        first_step: int,
        num_steps: int,
        *,
        accumulate: int = 1,
        rank: int = 0,
        num_processes: int = 1,
        num_speeds: int = 2,
    ) -> None:
        if num_speeds < 2:
            raise ValueError(f"a sample has two speeds, got num_speeds={num_speeds}")
        if num_videos < 1 or batch_size < 1:
            raise ValueError(
                f"num_videos and batch_size are positive, got {num_videos} and {batch_size}"
            )
        if batch_size % (accumulate * num_processes):
            raise ValueError(
                f"batch_size is a multiple of accumulate x processes, got {batch_size} for "
                f"{accumulate} x {num_processes}"
            )
        self.num_videos = num_videos
        self.batch_size = batch_size
        self.seed = seed
        self.first_step = first_step
        self.num_steps = num_steps
        self.accumulate = accumulate
        self.rank = rank
        self.num_processes = num_processes
        self.speeds = list(permutations(range(num_speeds), 2))

    def __len__(self) -> int:
        return self.accumulate * max(0, self.num_steps - self.first_step)

    def _order(self, epoch: int) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
        rng = np.random.default_rng([self.seed, 1, epoch])
        return rng.permutation(self.num_videos)

    def __iter__(self) -> Iterator[list[SampleKey]]:
        epoch, order = -1, np.empty(0, np.int64)
        part = self.batch_size // self.accumulate
        mine = part // self.num_processes
        for step in range(self.first_step, self.num_steps):
            keys = []
            for i in range(self.batch_size):
                position = step * self.batch_size + i
                if position // self.num_videos != epoch:
                    epoch = position // self.num_videos
                    order = self._order(epoch)
                video = int(order[position % self.num_videos])
                keys.append(SampleKey(position, video, *self.speeds[position % len(self.speeds)]))
            for first in range(self.rank * mine, self.batch_size, part):
                yield keys[first : first + mine]


@dataclass(frozen=True)
class Sample:
    """Three augmented clips of one video, each (T, H, W, 3) uint8.

    Attributes:
        video: Index of the video that they are from.
        failures: (video, reason) of those that could not be read in its place.
    """

    clips: tuple[Tensor, Tensor, Tensor]
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


class PretrainDataset(Dataset[Sample]):
    """Triplets of clips by :class:`SampleKey`.

    A video that can't be read gives its place to the next one in the list and is reported with
    the sample.

    Args:
        videos: Where frames come from; each at least ``config.frames_needed`` long.
        config: Clips, speeds, augmentation.
        seed: Fixes frames and augmentation.
    """

    def __init__(self, videos: Sequence[Source], config: DataConfig, seed: int) -> None:
        self.videos = list(videos)
        self.config = config
        self.seed = seed

    def __len__(self) -> int:
        return len(self.videos)

    def __getitem__(self, key: SampleKey) -> Sample:
        failures: list[tuple[int, str]] = []
        for offset in range(len(self.videos)):
            video = (key.video + offset) % len(self.videos)
            try:
                clips = self._load(video, key)
            except ValueError as error:
                failures.append((video, str(error)))
                continue
            return Sample(clips, video, tuple(failures))
        raise ValueError(f"none of {len(self.videos)} videos can be read: {failures[0][1]}")

    def _load(self, video: int, key: SampleKey) -> tuple[Tensor, Tensor, Tensor]:
        source, config = self.videos[video], self.config
        rng = np.random.default_rng([self.seed, 2, key.position])
        speed, other = config.speeds[key.speed], config.speeds[key.other]
        pace = pace_of(source.fps, config.fps, config.stride)
        triplet = sample_triplet(source.num_frames, config.num_frames, speed, other, rng, pace)
        specs = (triplet.query, triplet.same_speed, triplet.other_speed)
        frames = self._frames(source, specs)
        crops, colours = rng.integers(2**63, size=(2, 3))
        for seeds, share in ((crops, config.shared_crops), (colours, config.shared_colours)):
            if rng.random() < share:
                seeds[:] = seeds[0]
        # Drawn last, so that settings without it give the samples that they always gave.
        zoom = int(rng.integers(2**63)) if rng.random() < config.shared_zooms else None
        if rng.random() < config.shared_keys:
            crops[2], colours[2] = crops[1], colours[1]
        views = [
            augment_clip(
                clip,
                config.size,
                config.augment,
                np.random.default_rng(crop),
                np.random.default_rng(colour),
                None if zoom is None else np.random.default_rng(zoom),
            )
            for clip, crop, colour in zip(frames, crops, colours, strict=True)
        ]
        query, same, opposite = (torch.from_numpy(view) for view in views)
        return query, same, opposite

    @staticmethod
    def _frames(
        source: Source, specs: Sequence[ClipSpec]
    ) -> list[np.ndarray[tuple[int, ...], np.dtype[np.uint8]]]:
        wanted, places = share_frames([spec.indices for spec in specs])
        frames = source.get_frames(wanted)
        return [frames[place] for place in places]
