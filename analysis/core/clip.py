"""Clips to explain: which frames of which video, at which speed, and how they look."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from rspnet.data.sampling import clip_indices
from rspnet.data.transforms import FrameReader, eval_frames, frames_of, normalise
from rspnet.data.video.reader import VideoReader
from rspnet.files import printable
from rspnet.text import Brief

Frames = NDArray[np.uint8]
Masks = NDArray[np.bool_]


@dataclass(frozen=True)
class ClipInfo:
    """Which frames a clip was made of.

    Attributes:
        video: Its file or name.
        frame_indices: Frames of the video, one a frame of the clip.
        speed: Playback speed; 0.5 shows every frame twice.

    Example:
        >>> from analysis import ClipInfo
        >>> info = ClipInfo("videos/a.mp4", (0, 2, 4, 6), speed=2)
        >>> info.frame_indices[-1], str(info)
        (6, 'a.mp4 frames 0-6 at 2x')
    """

    video: str = ""
    frame_indices: tuple[int, ...] = ()
    speed: float = 1

    def __str__(self) -> str:
        name = re.split(r"[/\\]", self.video)[-1] or "a clip"
        own = self.frame_indices
        frames = f" frames {own[0]}-{own[-1]}" if own else ""
        return f"{printable(name)}{frames} at {self.speed:g}x"


@dataclass(frozen=True, repr=False)
class View(Brief):
    """A clip in the deterministic view of evaluation: short side to ``size``, centre crop.

    Attributes:
        frames: (T, size, size, 3) uint8: what the maps are drawn on.
        info: Where it is from.

    Example:
        >>> import numpy as np
        >>> from analysis import ClipInfo, View
        >>> view = View(np.zeros((8, 32, 32, 3), np.uint8), ClipInfo("a.mp4"))
        >>> view.clip.shape
        torch.Size([3, 8, 32, 32])
        >>> white = view.with_frames(np.full_like(view.frames, 255))
        >>> white.info.video
        'a.mp4'
    """

    frames: Frames
    info: ClipInfo

    @property
    def clip(self) -> Tensor:
        """Normalised for a :class:`~rspnet.models.Branch`, (3, T, size, size) float32."""
        return normalise(self.frames)

    def with_frames(self, frames: Frames) -> "View":
        """The same place and time with other pixels, such as grey ones.

        Raises:
            ValueError: The shape or type differs.
        """
        if frames.shape != self.frames.shape or frames.dtype != np.uint8:
            raise ValueError(
                f"frames are uint8 {self.frames.shape}, got {frames.dtype} {frames.shape}"
            )
        return replace(self, frames=frames)


def as_view(clip: Tensor | View, info: ClipInfo) -> View:
    """A clip with the frames that it was normalised from.

    Example:
        >>> import torch
        >>> from analysis import ClipInfo, example_views
        >>> (view,) = example_views(1)
        >>> bool((as_view(view.clip, ClipInfo()).frames == view.frames).all())
        True
    """
    return clip if isinstance(clip, View) else View(frames_of(clip), info)


@dataclass(frozen=True)
class StoredFrames:
    """Frames in memory as a source of clips.

    Attributes:
        frames: (N, H, W, 3).
    """

    frames: Frames

    def __len__(self) -> int:
        return len(self.frames)

    def get_frames(self, indices: Sequence[int]) -> Frames:
        """Frames under these indices, (N, H, W, 3)."""
        return self.frames[list(indices)]


def speed_indices(start: int, num_frames: int, speed: float, video_length: int) -> list[int]:
    """Frames of a clip at any playback speed, the nearest frame where it falls between two.

    Raises:
        ValueError: The clip does not lie inside the video, or a number is out of range.
    """
    indices = clip_indices(start, num_frames, pace=speed)
    if indices[-1] >= video_length:
        raise ValueError(
            f"{num_frames} frames at {speed:g}x from frame {start} on need a video of "
            f"{indices[-1] + 1} frames, this one has {video_length}: take an earlier start, a "
            "lower speed or a longer video"
        )
    return indices


def load_view(
    video: str | Path | FrameReader,
    num_frames: int,
    size: int,
    *,
    start: int = 0,
    speed: float = 1,
    name: str = "",
) -> View:
    """Decode a clip.

    Args:
        video: A file, or a reader that is open already.
        num_frames: Frames in the clip, usually ``branch.num_frames``.
        size: Height and width in pixels, usually ``branch.size``. A larger one gives a finer grid.
        start: First frame.
        speed: Playback speed, fractional ones by the nearest frame.
        name: The video's name, if not its path.

    Shape:
        -> frames (num_frames, size, size, 3) uint8.

    Raises:
        ValueError: The video can't be read, or the clip does not lie inside it.

    Example:
        >>> import tempfile
        >>> from analysis import load_view
        >>> from rspnet.data.synthetic.videos import generate
        >>> folder = generate(tempfile.mkdtemp(), 1, num_workers=1, progress=False)
        >>> view = load_view(next(folder.rglob("*.mp4")), num_frames=8, size=32, speed=2)
        >>> view.frames.shape, view.info.frame_indices
        ((8, 32, 32, 3), (0, 2, 4, 6, 8, 10, 12, 14))
    """
    if isinstance(video, str | Path):
        with VideoReader(video) as reader:
            return load_view(
                reader, num_frames, size, start=start, speed=speed, name=name or str(video)
            )
    indices = speed_indices(start, num_frames, speed, len(video))
    frames = eval_frames(video.get_frames(indices), size)
    return View(frames, ClipInfo(name, tuple(indices), speed))


def view_masks(masks_NHW: Masks, indices: Sequence[int], size: int) -> Masks:
    """Masks of a video's frames in the view of :func:`load_view`, (T, size, size).

    A pixel belongs to the mask if more than half of what it shows does.

    Raises:
        ValueError: The masks are not (N, H, W) booleans.
    """
    if masks_NHW.ndim != 3 or masks_NHW.dtype != np.bool_:
        raise ValueError(f"masks are booleans (N, H, W), got {masks_NHW.dtype} {masks_NHW.shape}")
    gray = masks_NHW[list(indices)].astype(np.uint8)[..., None].repeat(3, axis=-1) * 255
    return np.asarray(eval_frames(gray, size)[..., 0] > 127)


def static_clip(view: View) -> View:
    """The clip stopped at its middle frame: the same appearance, no movement."""
    middle = view.frames[len(view.frames) // 2]
    return view.with_frames(np.broadcast_to(middle, view.frames.shape).copy())
