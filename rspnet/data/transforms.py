"""From frames to clips, the same way each time. Random views are in :mod:`rspnet.data.augment`."""

from collections.abc import Sequence
from typing import Protocol

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from rspnet.data.sampling import clip_indices, share_frames
from rspnet.models.branch import IMAGENET_MEAN, IMAGENET_STD

Frames = NDArray[np.uint8]

_PIECE_FRAMES = 64  # decoded at once at most, and no more than so many bytes:
_PIECE_BYTES = 128 * 2**20  # one frame of 8K, 21 of 1080p


class FrameReader(Protocol):
    """A source of frames, such as :class:`rspnet.VideoReader`."""

    def __len__(self) -> int:
        """Number of frames."""

    def get_frames(self, indices: Sequence[int]) -> Frames:
        """Frames (N, H, W, 3) uint8 under these indices."""


def normalise(frames: Frames | Tensor) -> Tensor:
    """Scale uint8 frames to [0, 1] and normalise with ImageNet's mean and standard deviation.

    Shape:
        (..., T, H, W, 3) uint8 -> (..., 3, T, H, W) float32. Channels stay last in memory
        (``torch.channels_last_3d``), which convolutions on a CPU like best.

    Raises:
        ValueError: Other shape or type.

    Example:
        >>> import numpy as np
        >>> normalise(np.zeros((16, 112, 112, 3), np.uint8)).shape
        torch.Size([3, 16, 112, 112])
    """
    if not isinstance(frames, Tensor):
        frames = torch.from_numpy(np.ascontiguousarray(frames))
    if frames.dtype != torch.uint8 or frames.ndim < 4 or frames.shape[-1] != 3:
        raise ValueError(
            "frames are uint8 with the shape (..., T, H, W, 3), "
            f"got {frames.dtype} {tuple(frames.shape)}"
        )
    mean = torch.tensor(IMAGENET_MEAN, device=frames.device)
    std = torch.tensor(IMAGENET_STD, device=frames.device)
    return ((frames.float() / 255.0 - mean) / std).movedim(-1, -4)


def frames_of(clip: Tensor) -> Frames:
    """The inverse of :func:`normalise`.

    Shape:
        (..., 3, T, H, W) normalised -> (..., T, H, W, 3) uint8.

    Example:
        >>> import numpy as np
        >>> frames = np.arange(96, dtype=np.uint8).reshape(2, 4, 4, 3)
        >>> bool((frames_of(normalise(frames)) == frames).all())
        True
    """
    mean = torch.tensor(IMAGENET_MEAN, device=clip.device)
    std = torch.tensor(IMAGENET_STD, device=clip.device)
    grey = (clip.detach().movedim(-4, -1) * std + mean) * 255.0
    return grey.round().clamp(0, 255).to(torch.uint8).cpu().numpy()


def resize_short_side(frames: Frames, size: int) -> Frames:
    """Resize frames so that their shorter side has ``size`` pixels.

    Area averaging where it shrinks, bilinear where it grows.

    Shape:
        (T, H, W, 3) uint8 -> (T, H', W', 3) uint8.

    Example:
        >>> import numpy as np
        >>> resize_short_side(np.zeros((2, 120, 160, 3), np.uint8), 60).shape
        (2, 60, 80, 3)
    """
    height, width = frames.shape[1:3]
    scale = size / min(height, width)
    if scale == 1:
        return frames
    new_height, new_width = max(size, round(height * scale)), max(size, round(width * scale))
    if height <= width:
        new_height = size
    else:
        new_width = size
    method = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    resized = [cv2.resize(f, (new_width, new_height), interpolation=method) for f in frames]
    return np.stack(resized).astype(np.uint8, copy=False)


def centre_crop(frames: Frames, size: int) -> Frames:
    """Cut the middle ``size`` x ``size`` pixels out of each frame.

    Shape:
        (T, H, W, 3) uint8 -> (T, size, size, 3) uint8.

    Raises:
        ValueError: The frames are smaller than that.

    Example:
        >>> import numpy as np
        >>> centre_crop(np.zeros((2, 120, 160, 3), np.uint8), 112).shape
        (2, 112, 112, 3)
    """
    height, width = frames.shape[1:3]
    if min(height, width) < size:
        raise ValueError(f"frames of {height} x {width} pixels hold no crop of {size} x {size}")
    top, left = (height - size) // 2, (width - size) // 2
    return np.ascontiguousarray(frames[:, top : top + size, left : left + size])


def eval_frames(frames: Frames, size: int) -> Frames:
    """The deterministic view of evaluation: short side to ``size``, then the centre crop.

    Shape:
        (T, H, W, 3) uint8 -> (T, size, size, 3) uint8.

    Example:
        >>> import numpy as np
        >>> eval_frames(np.zeros((2, 240, 320, 3), np.uint8), 112).shape
        (2, 112, 112, 3)
    """
    return centre_crop(resize_short_side(frames, size), size)


def eval_clips(
    reader: FrameReader, clips: Sequence[Sequence[int]], size: int
) -> tuple[Frames, NDArray[np.int64]]:
    """Frames of clips in the deterministic view, each once.

    They are decoded in pieces, each brought to ``size`` before the next: at the size of the file
    all of them could fill the memory. A piece has at most 64 frames and 128 MiB, or is one frame.

    Args:
        reader: The video.
        clips: Frame indices of clips of one length.
        size: Height and width in pixels.

    Returns:
        Frames (N, size, size, 3), and which of them each clip consists of, (num_clips, T).
    """
    wanted, places = share_frames(clips)
    found: list[Frames] = []
    begin, piece = 0, 1  # the first frame says how large they are
    while begin < len(wanted):
        decoded = reader.get_frames(wanted[begin : begin + piece])
        begin += piece
        piece = max(1, min(_PIECE_FRAMES, _PIECE_BYTES // decoded[0].nbytes))
        found.append(eval_frames(decoded, size))
        del decoded  # or it stands in memory beside the next
    return np.concatenate(found), places


def load_clip(
    reader: FrameReader,
    start: int,
    num_frames: int,
    speed: int = 1,
    size: int = 112,
) -> tuple[Tensor, Frames]:
    """Decode a clip in the deterministic view of evaluation.

    A video that ends before the clip does is played in a loop.

    Args:
        reader: A :class:`rspnet.VideoReader`, or anything with ``len()`` and ``get_frames``.
        start: First frame, inside the video.
        num_frames: Frames in the clip.
        speed: Playback speed.
        size: Height and width in pixels.

    Returns:
        The normalised clip (3, T, size, size) float32, and the frames that it was made
        from, (T, size, size, 3) uint8.

    Raises:
        ValueError: ``start`` lies outside the video or a number is out of range.

    Example:
        >>> import tempfile
        >>> from rspnet import VideoReader
        >>> from rspnet.data.synthetic.videos import generate
        >>> folder = generate(tempfile.mkdtemp(), 1, num_workers=1, progress=False)
        >>> with VideoReader(next(folder.rglob("*.mp4"))) as reader:
        ...     clip, frames = load_clip(reader, start=0, num_frames=16, speed=2)
        >>> clip.shape, frames.shape
        (torch.Size([3, 16, 112, 112]), (16, 112, 112, 3))
    """
    length = len(reader)
    if not 0 <= start < length:
        raise ValueError(f"start is in 0..{length - 1} for this video, got {start}")
    indices = clip_indices(start, num_frames, speed, video_length=length)
    frames = eval_frames(reader.get_frames(indices), size)
    return normalise(frames), frames
