"""The method OPN: in which order were these frames of a video?"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, ClassVar

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from rspnet.data.augment import resized_crop
from rspnet.data.pretrain import DataConfig
from rspnet.data.sampling import clip_indices, clip_span, evenly_spaced, pace_of
from rspnet.data.sources import Source
from rspnet.data.transforms import Frames, resize_short_side
from rspnet.models.heads import global_average_pool
from rspnet.names import MAX_FRAMES, check_whole
from rspnet.pretext.method import register_method
from rspnet.pretext.order import PairwiseHead, all_orders
from rspnet.pretext.task import Drawn, TaskMethod

Floats = NDArray[np.float32]
Box = tuple[int, int, int, int]

NUM_FRAMES = 4
ORDERS = all_orders(NUM_FRAMES, reversible=True)
FLOW_SIDE = 60  # pixels of the short side of frames that optical flow is computed on
STILL = 1e-3  # pixels of motion that every frame is credited with: none is impossible
REGION = 100 / 80  # side of the region that patches are cut from, in sides of a patch
JITTER = 5 / 80  # how far a patch is moved at most, in its sides


@dataclass(frozen=True, kw_only=True)
class OPNSettings:
    """Settings of OPN.

    Attributes:
        window: Frames of a video that a sample is taken from, at the clips' frame rate.
        candidates: How many of them, evenly spaced, the four are drawn from.
        patch: Side of a patch as a share of a frame's shorter side (paper: 80 of 240 pixels).

    Raises:
        ValueError: A setting is out of range.

    Example:
        >>> OPNSettings(window=8)
        Traceback (most recent call last):
            ...
        ValueError: candidates is a whole number from 4 to 8, got 16
    """

    window: int = 60
    candidates: int = 16
    patch: float = 1 / 3

    def __post_init__(self) -> None:
        check_whole("window", self.window, MAX_FRAMES, NUM_FRAMES)
        check_whole("candidates", self.candidates, self.window, NUM_FRAMES)
        if not 0 < self.patch <= 1:
            raise ValueError(f"patch is a share of a frame's shorter side, got {self.patch}")


def flow_magnitudes(frames: Frames) -> Floats:
    """Length of the optical flow (Farneback, 2003) from each frame to the next.

    Frames are made smaller first, to 60 pixels of their shorter side.

    Shape:
        (N, H, W, 3) uint8 -> (N - 1, H', W'), in pixels of the smaller frames.
    """
    small = resize_short_side(frames, min(FLOW_SIDE, *frames.shape[1:3]))
    grey = [cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY) for frame in small]
    flows = [
        cv2.calcOpticalFlowFarneback(a, b, np.empty(0), 0.5, 3, 15, 3, 5, 1.2, 0)
        for a, b in pairwise(grey)
    ]
    return np.asarray(np.linalg.norm(np.stack(flows), axis=-1), np.float32)


def draw_by_motion(magnitudes: Floats, num: int, rng: np.random.Generator) -> list[int]:
    """Draw different frames, each with a probability that grows as its motion does.

    The motion of a frame is the mean length of the flow to the next one; the last frame has that
    of the flow to it.

    Args:
        magnitudes: Of N frames, (N - 1, H, W).
        num: Frames to draw.
        rng: All randomness comes from here.

    Returns:
        Their numbers in rising order.
    """
    motion = magnitudes.mean(axis=(1, 2), dtype=np.float64)
    weights = np.append(motion, motion[-1]) + STILL
    chosen = rng.choice(len(weights), num, replace=False, p=weights / weights.sum())
    return sorted(chosen.tolist())


def place_of_motion(magnitude: Floats, side: int) -> tuple[int, int]:
    """Top and left of the square with the most motion; of several the first.

    Example:
        >>> import numpy as np
        >>> magnitude = np.zeros((4, 6), np.float32)
        >>> magnitude[2, 4] = 1
        >>> place_of_motion(magnitude, 2)
        (1, 3)
    """
    sums = cv2.integral(magnitude)
    total = sums[side:, side:] - sums[:-side, side:] - sums[side:, :-side] + sums[:-side, :-side]
    top, left = np.unravel_index(int(total.round(6).argmax()), total.shape)
    return int(top), int(left)


def patch_boxes(frames: Frames, patch: float, num: int, rng: np.random.Generator) -> list[Box]:
    """Where patches are cut: near one place where most moves, each moved a little by itself.

    Args:
        frames: In the order of time, (N, H, W, 3).
        patch: Side as a share of the shorter side.
        num: Patches.
        rng: All randomness comes from here.

    Returns:
        (top, left, height, width) of each.
    """
    height, width = frames.shape[1:3]
    side = max(1, round(patch * min(height, width)))
    region = min(height, width, round(REGION * side))
    magnitude = flow_magnitudes(frames).sum(axis=0)
    scale = magnitude.shape[0] / height, magnitude.shape[1] / width
    place = place_of_motion(magnitude, max(1, round(region * min(scale))))
    corner = [
        min(round(at / s), length - region)
        for at, s, length in zip(place, scale, (height, width), strict=True)
    ]
    room, jitter = region - side, round(JITTER * side)
    start = rng.integers(room + 1, size=2)
    moves = rng.integers(-jitter, jitter + 1, size=(num, 2))
    offsets = np.clip(start + moves, 0, room)
    return [(corner[0] + y, corner[1] + x, side, side) for y, x in offsets.tolist()]


def split_channel(frames: Frames, channel: int) -> Frames:
    """One colour channel in place of all three: (T, H, W, 3) -> the same."""
    return np.repeat(frames[..., channel : channel + 1], 3, axis=-1)


class OPNHead(PairwiseHead):
    """A layer (fc6) for each frame before the pairwise one (fc7), both with BatchNorm and dropout.

    Example:
        >>> import torch
        >>> head = OPNHead(8).eval()
        >>> head([torch.zeros(2, 8, 1, 4, 4)] * 4).shape
        torch.Size([2, 12])
    """

    def __init__(self, num_features: int, hidden: int = 1024) -> None:
        super().__init__(hidden, ORDERS, batch_norm=True)
        self.frame = nn.Sequential(
            nn.Linear(num_features, hidden), nn.BatchNorm1d(hidden), nn.ReLU(), nn.Dropout(0.5)
        )

    def forward(self, features: Sequence[Tensor]) -> Tensor:
        """Logits of four frames, (B, 12)."""
        x: Tensor = self.frame(torch.cat(list(map(global_average_pool, features))))
        return super().forward(x.chunk(len(features)))


@register_method("opn")
class OPN(TaskMethod):
    """Order prediction network: sorting sequences of frames.

    Lee et al., "Unsupervised representation learning by sorting sequences", ICCV 2017. Four frames
    are drawn, the likelier the more they move. Of each a patch is cut where most moves; it is moved
    a little (spatial jittering) and one of its colour channels takes the place of all three
    (channel splitting), by a draw for each frame, so that neither edges nor colours tell the order.
    They are shown in one of 24 orders, of which one and its reverse are one class, as much that
    happens looks alike backwards; chance is 1/12. Class ``2-1-4-3`` is also ``3-4-1-2``.

    Clips are single frames (``data.num_frames`` is 1), and the encoder is CaffeNet or any that
    takes them. Of ``data.augment`` the flip is used alone, the same for all four.

    Like the authors' code (github.com/HsinYingLee/OPN): patches of 80 pixels in a region of 100,
    of frames 240 pixels high, jitter of 5, fc6 of 1024 units, fc7 of 512 for each pair. Other than
    there: frames and region, which its authors' code reads from a list, are drawn anew for each
    sample, from a window whose length is ours; global average pooling takes the place of pool5 and
    its flattening, so that any encoder and size fit; one BatchNorm with one scale serves all pairs.

    Example:
        >>> from rspnet.data.pretrain import DataConfig
        >>> OPN.frames_needed(DataConfig(num_frames=1), 25.0)
        60
    """

    settings_class: ClassVar[type[Any]] = OPNSettings
    clips_per_sample = NUM_FRAMES

    @classmethod
    def head(cls, num_features: int, settings: OPNSettings) -> OPNHead:
        """fc6, fc7 and fc8."""
        return OPNHead(num_features)

    @classmethod
    def frames_needed(
        cls, data: DataConfig, video_fps: float, settings: OPNSettings | None = None
    ) -> int:
        """Frames of the window.

        Raises:
            ValueError: Clips are not single frames.
        """
        if data.num_frames != 1:
            raise ValueError(f"opn sorts single frames: num_frames is 1, got {data.num_frames}")
        settings = settings or OPNSettings()
        pace = pace_of(video_fps, data.fps, data.stride)
        return max(NUM_FRAMES, clip_span(settings.window, 1, pace))

    @classmethod
    def draw(
        cls, source: Source, data: DataConfig, settings: OPNSettings, rng: np.random.Generator
    ) -> Drawn:
        """Four frames by their motion, in a random order, forward or backward."""
        room = source.num_frames - cls.frames_needed(data, source.fps, settings)
        pace = pace_of(source.fps, data.fps, data.stride)
        window = clip_indices(int(rng.integers(room + 1)), settings.window, pace=pace)
        candidates = evenly_spaced(sorted(set(window)), settings.candidates)
        magnitudes = flow_magnitudes(source.get_frames(candidates))
        frames = [candidates[i] for i in draw_by_motion(magnitudes, NUM_FRAMES, rng)]
        answer = int(rng.integers(len(ORDERS)))
        shown = ORDERS[answer][:: 1 if rng.integers(2) else -1]
        return Drawn([[frames[place]] for place in shown], answer)

    @classmethod
    def views(
        cls,
        clips: Sequence[Frames],
        answer: int,
        data: DataConfig,
        settings: OPNSettings,
        rng: np.random.Generator,
    ) -> tuple[list[Frames], int]:
        """A patch of each frame, jittered, of one colour channel."""
        in_time = np.concatenate([clips[ORDERS[answer].index(i)] for i in range(NUM_FRAMES)])
        boxes = patch_boxes(in_time, settings.patch, NUM_FRAMES, rng)
        flip = -1 if rng.random() < data.augment.flip else 1
        views = []
        for clip, box in zip(clips, boxes, strict=True):
            patch = resized_crop(clip, box, data.size)[:, :, ::flip]
            views.append(split_channel(patch, int(rng.integers(3))))
        return views, answer
