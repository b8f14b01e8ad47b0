"""Which frames a clip takes: start, number of frames, playback speed."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

T = TypeVar("T")


@dataclass(frozen=True)
class ClipSpec:
    """A clip of a video.

    Attributes:
        start: Index of its first frame.
        num_frames: Frames in the clip.
        speed: Playback speed; every ``speed``-th frame is taken.
        pace: Frames of the video from one frame of the clip to the next at speed 1, see
            :func:`pace_of`.
    """

    start: int
    num_frames: int
    speed: int
    pace: float = 1.0

    @property
    def indices(self) -> list[int]:
        """Frame indices into the video."""
        return clip_indices(self.start, self.num_frames, self.speed, pace=self.pace)


def pace_of(video_fps: float, fps: float | None, stride: int = 1) -> float:
    """Frames of the video from one frame of a clip to the next, at playback speed 1.

    Args:
        video_fps: The video's frames per second.
        fps: Frames per second that clips are to have; nothing follows the video's own.
        stride: Take every ``stride``-th frame of that.

    Raises:
        ValueError: A rate or the stride is not positive.

    Example:
        >>> pace_of(video_fps=30.0, fps=20.0)
        1.5
    """
    if fps is None:
        return float(stride)
    if fps <= 0 or video_fps <= 0 or stride < 1:
        raise ValueError(
            f"rates and strides are positive, got {video_fps} and {fps} fps, stride {stride}"
        )
    return stride * video_fps / fps


def clip_span(num_frames: int, speed: int, pace: float = 1.0) -> int:
    """Frames of the video that a clip reaches over, first and last included.

    Example:
        >>> clip_span(num_frames=16, speed=2)
        31
    """
    return math.floor((num_frames - 1) * speed * pace + 0.5) + 1


def clip_indices(
    start: int,
    num_frames: int,
    speed: int = 1,
    video_length: int | None = None,
    pace: float = 1.0,
) -> list[int]:
    """Frame indices of a clip: start, start + speed, start + 2 * speed, ...

    Args:
        start: First frame.
        num_frames: Frames in the clip.
        speed: Playback speed, 1 for the video's own.
        video_length: If given, a video too short for the clip is played in a loop.
        pace: Frames of the video per frame of the clip at speed 1. Where it is no whole number,
            the nearest frame is taken (of two equally near, the later).

    Raises:
        ValueError: A number is out of range.

    Example:
        >>> clip_indices(start=3, num_frames=4, speed=2)
        [3, 5, 7, 9]
        >>> clip_indices(start=3, num_frames=4, speed=2, video_length=5)
        [3, 0, 2, 4]
    """
    if num_frames < 1 or speed < 1 or start < 0 or pace <= 0:
        raise ValueError(
            "a clip has num_frames >= 1, speed >= 1, start >= 0 and pace > 0, "
            f"got num_frames={num_frames}, speed={speed}, start={start}, pace={pace}"
        )
    indices = [start + math.floor(speed * pace * t + 0.5) for t in range(num_frames)]
    if video_length is None:
        return indices
    if video_length < 1:
        raise ValueError(f"a video has at least one frame, got video_length={video_length}")
    return [index % video_length for index in indices]


def even_starts(
    video_length: int, num_clips: int, num_frames: int, speed: int = 1, pace: float = 1.0
) -> list[int]:
    """Starts of clips evenly spaced over a video, first and last clip touching its ends.

    One clip sits in the middle. A video shorter than a clip gives start 0 for each.

    Raises:
        ValueError: ``num_clips`` is not positive.

    Example:
        >>> even_starts(video_length=26, num_clips=3, num_frames=16)
        [0, 5, 10]
    """
    if num_clips < 1:
        raise ValueError(f"num_clips is positive, got {num_clips}")
    last = max(0, video_length - clip_span(num_frames, speed, pace))
    if num_clips == 1:
        return [last // 2]
    return [round(last * i / (num_clips - 1)) for i in range(num_clips)]


def evenly_spaced(items: Sequence[T], num: int) -> list[T]:
    """Some items, evenly spaced from the first to the last; all where there are no more.

    Example:
        >>> evenly_spaced("abcdefg", 3)
        ['a', 'd', 'g']
        >>> evenly_spaced("ab", 3)
        ['a', 'b']
    """
    if num >= len(items):
        return list(items)
    return [items[i] for i in np.linspace(0, len(items) - 1, num).round().astype(int)]


def share_frames(clips: Sequence[Sequence[int]]) -> tuple[list[int], NDArray[np.int64]]:
    """The frames that clips need, each once, so that where clips overlap nothing is decoded twice.

    Args:
        clips: Frame indices of clips of one length.

    Returns:
        Frame indices in rising order, and for each clip where its frames stand there,
        (num_clips, num_frames).
    """
    wanted, places = np.unique(np.asarray(clips, np.int64), return_inverse=True)
    return wanted.tolist(), places.reshape(len(clips), -1)


@dataclass(frozen=True)
class Triplet:
    """The three clips of a sample: c_i and c_j at one speed, c_k at another."""

    query: ClipSpec
    same_speed: ClipSpec
    other_speed: ClipSpec


def sample_triplet(
    video_length: int,
    num_frames: int,
    speed: int,
    other_speed: int,
    rng: np.random.Generator,
    pace: float = 1.0,
) -> Triplet:
    """Draw c_i, c_j (at ``speed``) and c_k (at ``other_speed``) from one video.

    All three starts come from the same uniform distribution, over those starts that leave room
    for the faster of the two speeds. So c_j and c_k have the same distribution of distances to
    c_i, and where a clip begins says nothing about its speed.

    Raises:
        ValueError: The video is too short, or the speeds are equal.

    Example:
        >>> import numpy as np
        >>> triplet = sample_triplet(90, 16, 1, 2, np.random.default_rng(0))
        >>> triplet.query.speed, triplet.same_speed.speed, triplet.other_speed.speed
        (1, 1, 2)
        >>> len(triplet.query.indices)
        16
    """
    if speed == other_speed:
        raise ValueError(f"c_k has another speed than c_i, got {speed} for both")
    span = clip_span(num_frames, max(speed, other_speed), pace)
    if video_length < span:
        raise ValueError(
            f"a clip of {num_frames} frames at speed {max(speed, other_speed)} needs {span} "
            f"frames, the video has {video_length}"
        )
    starts = rng.integers(0, video_length - span + 1, size=3)
    return Triplet(
        ClipSpec(int(starts[0]), num_frames, speed, pace),
        ClipSpec(int(starts[1]), num_frames, speed, pace),
        ClipSpec(int(starts[2]), num_frames, other_speed, pace),
    )
