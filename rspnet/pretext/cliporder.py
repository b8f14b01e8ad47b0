"""The method ClipOrder (VCOP): in which order were these clips of a video?"""

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from rspnet.data.pretrain import DataConfig
from rspnet.data.sources import Source
from rspnet.names import MAX_FRAMES, check_whole
from rspnet.pretext.method import register_method
from rspnet.pretext.order import PairwiseHead, all_orders, later, row_of_clips, row_span
from rspnet.pretext.task import Drawn, TaskMethod

NUM_CLIPS = 3
ORDERS = all_orders(NUM_CLIPS)


@dataclass(frozen=True, kw_only=True)
class ClipOrderSettings:
    """Settings of ClipOrder.

    Attributes:
        interval: Frames between two clips, at the clips' frame rate (its authors: 8). Without
            them the last frame of a clip would all but tell the first of the next.

    Raises:
        ValueError: It is no whole number, or negative.

    Example:
        >>> ClipOrderSettings(interval=-1)
        Traceback (most recent call last):
            ...
        ValueError: interval is a whole number from 0 to 4,096, got -1
    """

    interval: int = 8

    def __post_init__(self) -> None:
        check_whole("interval", self.interval, MAX_FRAMES, 0)


@register_method("cliporder")
class ClipOrder(TaskMethod):
    """Video clip order prediction.

    Xu et al., "Self-supervised spatiotemporal learning via video clip order prediction", CVPR 2019.
    Three clips that follow one another are shown in one of their 6 orders, all equally often, and
    the order is predicted from features of each pair of clips; chance is 1/6. Each clip has a view
    of its own, the same for all of its frames. Class ``3-1-2`` shows the third clip first.

    One thing differs from its authors' code: that keeps the model of the lowest loss on held-out
    videos, here a run ends after as many steps as it is told.

    Example:
        >>> from rspnet.data.pretrain import DataConfig
        >>> ClipOrder.frames_needed(DataConfig(num_frames=16), 25.0)
        64
    """

    settings_class: ClassVar[type[Any]] = ClipOrderSettings
    clips_per_sample = NUM_CLIPS

    @classmethod
    def head(cls, num_features: int, settings: ClipOrderSettings) -> PairwiseHead:
        """A layer of 512 for each pair, then dropout of one half and a linear layer."""
        return PairwiseHead(num_features, ORDERS)

    @classmethod
    def frames_needed(
        cls, data: DataConfig, video_fps: float, settings: ClipOrderSettings | None = None
    ) -> int:
        """Frames of three clips and what lies between them."""
        settings = settings or ClipOrderSettings()
        return row_span(NUM_CLIPS, settings.interval, video_fps, data)

    @classmethod
    def draw(
        cls, source: Source, data: DataConfig, settings: ClipOrderSettings, rng: np.random.Generator
    ) -> Drawn:
        """Three clips from a random frame on, in a random order."""
        row = row_of_clips(NUM_CLIPS, settings.interval, source.fps, data)
        room = source.num_frames - cls.frames_needed(data, source.fps, settings)
        start, answer = int(rng.integers(room + 1)), int(rng.integers(len(ORDERS)))
        clips = later(row, start)
        return Drawn([clips[place] for place in ORDERS[answer]], answer)
