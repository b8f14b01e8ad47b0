"""The method VCP: what was done to the clip that fills the blank between two others?"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor, nn

from rspnet.data.augment import augment_clip
from rspnet.data.pretrain import DataConfig
from rspnet.data.sampling import clip_span, pace_of
from rspnet.data.sources import Source
from rspnet.data.transforms import Frames
from rspnet.models.heads import global_average_pool
from rspnet.names import MAX_FRAMES, check_whole
from rspnet.pretext.method import register_method
from rspnet.pretext.order import later, row_of_clips, row_span
from rspnet.pretext.task import Drawn, TaskHead, TaskMethod

NUM_CLIPS, BLANK = 3, 1
PARTS = 4  # of a clip, whose order adjacent shuffling changes
OPERATIONS = (
    "original",
    "spatial rotation",
    "spatial permutation",
    "temporal remote shuffling",
    "temporal adjacent shuffling",
)
REMOTE = OPERATIONS.index("temporal remote shuffling")


@dataclass(frozen=True, kw_only=True)
class VCPSettings:
    """Settings of VCP.

    Attributes:
        interval: Frames between two clips, at the clips' frame rate.
        remote: Frames at least between the clips and a remote one, at that rate.

    Raises:
        ValueError: One is no whole number, or negative.

    Example:
        >>> VCPSettings(remote=0.5)
        Traceback (most recent call last):
            ...
        ValueError: remote is a whole number from 0 to 4,096, got 0.5
    """

    interval: int = 8
    remote: int = 16

    def __post_init__(self) -> None:
        check_whole("interval", self.interval, MAX_FRAMES, 0)
        check_whole("remote", self.remote, MAX_FRAMES, 0)


def permute_tiles(frames: Frames, order: Sequence[int]) -> Frames:
    """Put the four quarters of each frame into another order; of odd sizes the last row stays.

    Args:
        frames: (T, H, W, C).
        order: For the places top left, top right, bottom left, bottom right: which quarter.

    Example:
        >>> import numpy as np
        >>> frames = np.array([[[0, 1], [2, 3]]], np.uint8)[..., None]
        >>> permute_tiles(frames, (3, 2, 1, 0))[0, ..., 0].tolist()
        [[3, 2], [1, 0]]
    """
    height, width = (length // 2 for length in frames.shape[1:3])
    tiles = [np.s_[:, y : y + height, x : x + width] for y in (0, height) for x in (0, width)]
    permuted = frames.copy()
    for place, tile in zip(tiles, order, strict=True):
        permuted[place] = frames[tiles[tile]]
    return permuted


def swap_parts(frames: Frames, first: int, second: int) -> Frames:
    """Cut a clip into four parts in time and let two of them change places.

    Example:
        >>> import numpy as np
        >>> swap_parts(np.arange(8), 0, 2).tolist()
        [4, 5, 2, 3, 0, 1, 6, 7]
    """
    parts = np.array_split(frames, PARTS)
    parts[first], parts[second] = parts[second], parts[first]
    return np.concatenate(parts)


def operate(frames: Frames, operation: int, rng: np.random.Generator) -> Frames:
    """What an operation makes of a clip of square frames; a remote clip was drawn as one.

    Args:
        frames: (T, H, W, 3).
        operation: Index into the classes.
        rng: Draws the angle, the order of the tiles or the two parts, each of them equally often.
    """
    name = OPERATIONS[operation]
    if name == "spatial rotation":
        return np.rot90(frames, int(rng.integers(1, 4)), (1, 2))
    if name == "spatial permutation":
        order = rng.permutation(4)
        while (order == np.arange(4)).all():
            order = rng.permutation(4)
        return permute_tiles(frames, order.tolist())
    if name == "temporal adjacent shuffling":
        first, second = rng.choice(PARTS, 2, replace=False)
        return swap_parts(frames, int(first), int(second))
    return frames


class ConcatTask(TaskHead):
    """A linear layer on the pooled features of all clips, side by side.

    Args:
        num_features: C of the encoder.
        classes: Names of the answers.
        num_clips: Clips.

    Example:
        >>> import torch
        >>> ConcatTask(8, OPERATIONS, 3)([torch.zeros(2, 8, 1, 4, 4)] * 3).shape
        torch.Size([2, 5])
    """

    def __init__(self, num_features: int, classes: Sequence[str], num_clips: int) -> None:
        super().__init__()
        self.classes = tuple(classes)
        self.num_clips = num_clips
        self.fc = nn.Linear(num_clips * num_features, len(self.classes))

    def forward(self, features: Sequence[Tensor]) -> Tensor:
        """Logits, (B, num_classes)."""
        logits: Tensor = self.fc(torch.cat(list(map(global_average_pool, features)), dim=1))
        return logits


@register_method("vcp")
class VCP(TaskMethod):
    """Video cloze procedure.

    Luo et al., "Video cloze procedure for self-supervised spatio-temporal learning", AAAI 2020.
    Three clips follow one another. The middle one is taken out, and what fills the blank was made
    by one of five operations, which is to be named; chance is 1/5. The operations are none, a
    rotation by 90, 180 or 270 degrees, another order of the four quarters of the frames (spatial
    permutation), a clip from elsewhere in the video (temporal remote shuffling), and two of the
    clip's four parts in time that change places (temporal adjacent shuffling).

    Details follow a public reimplementation (github.com/BestJuly/VCP), as no code of the authors'
    was found: the blank is the middle clip, a remote clip lies 16 frames or more from the three,
    and one linear layer reads the concatenated features. There a video without room for a remote
    clip has but four classes; here it is skipped, and the three begin only where there is room, so
    that neither their place nor the video's length tell the class.

    Example:
        >>> from rspnet.data.pretrain import DataConfig
        >>> VCP.frames_needed(DataConfig(num_frames=16), 25.0)
        96
    """

    settings_class: ClassVar[type[Any]] = VCPSettings
    clips_per_sample = NUM_CLIPS

    @classmethod
    def head(cls, num_features: int, settings: VCPSettings) -> ConcatTask:
        """A linear layer on all features."""
        return ConcatTask(num_features, OPERATIONS, NUM_CLIPS)

    @classmethod
    def _spans(cls, data: DataConfig, fps: float, settings: VCPSettings) -> tuple[int, int]:
        """Frames of the three clips, and of a remote one with what must lie between."""
        pace = pace_of(fps, data.fps, data.stride)
        away = clip_span(data.num_frames, 1, pace) + round(settings.remote * pace)
        return row_span(NUM_CLIPS, settings.interval, fps, data), away

    @classmethod
    def frames_needed(
        cls, data: DataConfig, video_fps: float, settings: VCPSettings | None = None
    ) -> int:
        """Frames of three clips and a remote one.

        Raises:
            ValueError: Clips are too short to be cut into four parts.
        """
        if data.num_frames < PARTS:
            raise ValueError(
                f"vcp cuts a clip into {PARTS} parts: num_frames is at least {PARTS}, got "
                f"{data.num_frames}"
            )
        return sum(cls._spans(data, video_fps, settings or VCPSettings()))

    @classmethod
    def draw(
        cls, source: Source, data: DataConfig, settings: VCPSettings, rng: np.random.Generator
    ) -> Drawn:
        """Three clips, of which the middle one may be a remote one, and the operation."""
        span, away = cls._spans(data, source.fps, settings)
        last = source.num_frames - span
        starts = [start for start in range(last + 1) if start >= away or last - start >= away]
        start, answer = int(rng.choice(starts)), int(rng.integers(len(OPERATIONS)))
        row = row_of_clips(NUM_CLIPS, settings.interval, source.fps, data)
        clips = later(row, start)
        if answer == REMOTE:
            gap = away - clip_span(data.num_frames, 1, pace_of(source.fps, data.fps, data.stride))
            places = [*range(start - away + 1)]
            places += range(start + span + gap, source.num_frames - (away - gap) + 1)
            (clips[BLANK],) = later(row[:1], int(rng.choice(places)))
        return Drawn(clips, answer)

    @classmethod
    def views(
        cls,
        clips: Sequence[Frames],
        answer: int,
        data: DataConfig,
        settings: VCPSettings,
        rng: np.random.Generator,
    ) -> tuple[list[Frames], int]:
        """A view of each clip, the middle one changed by the operation."""
        views = [augment_clip(clip, data.size, data.augment, rng) for clip in clips]
        views[BLANK] = np.ascontiguousarray(operate(views[BLANK], answer, rng))
        return views, answer
