"""The method SpeedNet: does a clip play at its normal speed, or is it sped up?"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from rspnet.data.augment import augment_clip
from rspnet.data.pretrain import DataConfig
from rspnet.data.sampling import clip_indices, clip_span, pace_of
from rspnet.data.sources import Source
from rspnet.data.transforms import Frames
from rspnet.models import Branch
from rspnet.models.branch import evaluation_mode
from rspnet.pretext.method import register_method
from rspnet.pretext.task import Drawn, TaskHead, TaskMethod


@dataclass(frozen=True, kw_only=True)
class SpeedNetConfig:
    """Settings of SpeedNet. The defaults are the paper's.

    Attributes:
        normal: Smallest and largest skip of a clip at normal speed.
        sped_up: Smallest and largest skip of a clip that is sped up.
        min_scale: Smallest size of the network's input, as a share of ``data.size`` (paper: 64
            pixels of 224).
        max_scale: Largest size (paper: 336 pixels of 224).

    Raises:
        ValueError: A setting is out of range.
    """

    normal: tuple[float, float] = (1.0, 1.2)
    sped_up: tuple[float, float] = (1.7, 2.2)
    min_scale: float = 64 / 224
    max_scale: float = 336 / 224

    def __post_init__(self) -> None:
        skips = [1, *self.normal, *self.sped_up]
        if len(skips) != 5 or skips != sorted(skips) or skips[2] == skips[3]:
            raise ValueError(
                "normal and sped_up are a smallest and a largest skip each, at least 1, those of "
                f"sped_up above those of normal, got {self.normal} and {self.sped_up}"
            )
        if not 0 < self.min_scale <= self.max_scale:
            raise ValueError(
                f"scales obey 0 < min_scale <= max_scale, got {self.min_scale} and {self.max_scale}"
            )


def skip_frames(num_frames: int, skip: float, rng: np.random.Generator) -> list[int]:
    """Choose frames such that each is skipped with the probability 1 - 1 / skip.

    So the step from one frame to the next varies, and no period of the file's compression tells
    the speed. First and last frame are those of an even step: how far a clip reaches is fixed.

    Args:
        num_frames: Frames to choose.
        skip: Mean step from one to the next, at least 1.
        rng: All randomness comes from here.

    Returns:
        Places in rising order, from 0 to ``clip_span(num_frames, 1, skip) - 1``.

    Example:
        >>> skip_frames(4, 1.0, np.random.default_rng(0))
        [0, 1, 2, 3]
        >>> skip_frames(4, 2.0, np.random.default_rng(1))
        [0, 2, 3, 6]
    """
    last = clip_span(num_frames, 1, skip) - 1
    if num_frames < 3:
        return [0, last][:num_frames]
    inner = rng.choice(last - 1, num_frames - 2, replace=False) + 1
    return [0, *sorted(inner.tolist()), last]


class MaxPoolTask(TaskHead):
    """The logit of "sped up": features are max-pooled over space, averaged over time, weighted.

    s = w mean_t(max_hw F) + b. The logits of the two classes are -s / 2 and s / 2, whose
    cross-entropy is the binary cross-entropy of s. Each channel and time has its maximum in one
    cell (cells that tie share it), so that gradient times feature gives each cell's exact share.

    Args:
        num_features: Channels of the features.
        classes: The two answers.

    Example:
        >>> import torch
        >>> logits = MaxPoolTask(8, ["1x", "2x"])([torch.rand(3, 8, 2, 4, 4)])
        >>> logits.shape, bool(logits.sum().abs() < 1e-6)
        (torch.Size([3, 2]), True)
    """

    def __init__(self, num_features: int, classes: Sequence[str]) -> None:
        super().__init__()
        self.classes = tuple(classes)
        self.fc = nn.Linear(num_features, 1)

    def forward(self, features: Sequence[Tensor]) -> Tensor:
        """Logits of one clip's features, (B, 2)."""
        s = self.fc(features[0].amax(dim=(3, 4)).mean(dim=2))
        return torch.cat([-s, s], dim=1) / 2


def resized(clips: Tensor, size: int) -> Tensor:
    """Clips (B, 3, T, H, W) with frames of ``size`` x ``size``: averaged, or interpolated."""
    if size == clips.shape[-1]:
        return clips
    shape = (clips.shape[2], size, size)
    if size < clips.shape[-1]:
        return functional.interpolate(clips, shape, mode="area")
    return functional.interpolate(clips, shape, mode="trilinear")


@register_method("speednet")
class SpeedNet(TaskMethod):
    """SpeedNet (Benaim et al., CVPR 2020): binary cross-entropy of "normal" and "sped up".

    Its precautions, so that the answer is not read from an artefact:

    * same-batch training: both versions of a clip, from the same first frame and in the same
      augmented view, are in one batch;
    * temporal augmentation: the skip is drawn from a range, and which frames are skipped is random
      (:func:`skip_frames`);
    * spatial augmentation: each batch is resized to a random size before the network, which
      blurs what compression leaves and changes how far things move; the head pools the maximum
      over space.

    Chance is 0.5. The paper's S3D-G has no stride in time; here an encoder is taken as it is.

    Args:
        branch: Gives the encoder.
        settings: Skips and sizes.

    Raises:
        ValueError: The smallest size is too small for the encoder.

    Example:
        >>> from rspnet import Branch
        >>> SpeedNet(Branch("resnet18_fine", {"width": 4}), SpeedNetConfig()).task.classes
        ('normal', 'sped up')
    """

    settings_class: ClassVar[type[Any]] = SpeedNetConfig
    clips_per_sample = 2

    def __init__(self, branch: Branch, settings: SpeedNetConfig) -> None:
        super().__init__(branch, settings)
        self.sizes = tuple(
            max(1, round(scale * branch.size)) for scale in (settings.min_scale, settings.max_scale)
        )
        smallest = self.sizes[0]
        try:
            with torch.no_grad(), evaluation_mode(branch):
                branch.features(torch.zeros(1, 3, branch.num_frames, smallest, smallest))
        except (RuntimeError, ValueError) as error:
            raise ValueError(
                f"{branch.arch} takes no clips of {smallest} x {smallest} pixels: raise min_scale, "
                f"which makes these of {branch.size} x {branch.size} ({error})"
            ) from error

    @classmethod
    def frames_needed(cls, data: DataConfig, video_fps: float, settings: Any = None) -> int:
        """Those of a clip at the largest skip."""
        settings = SpeedNetConfig() if settings is None else settings
        span = clip_span(data.num_frames, 1, settings.sped_up[1])
        return clip_span(span, 1, pace_of(video_fps, data.fps, data.stride))

    @classmethod
    def head(cls, num_features: int, settings: SpeedNetConfig) -> TaskHead:
        """Max over space, mean over time, one logit."""
        return MaxPoolTask(num_features, ("normal", "sped up"))

    @classmethod
    def draw(
        cls, source: Source, data: DataConfig, settings: SpeedNetConfig, rng: np.random.Generator
    ) -> Drawn:
        """Both versions of a clip, from one first frame."""
        pace = pace_of(source.fps, data.fps, data.stride)
        last = source.num_frames - cls.frames_needed(data, source.fps, settings)
        start = int(rng.integers(0, last + 1))
        clips = []
        for skips in (settings.normal, settings.sped_up):
            places = skip_frames(data.num_frames, rng.uniform(*skips), rng)
            indices = clip_indices(start, places[-1] + 1, pace=pace)
            clips.append([indices[place] for place in places])
        return Drawn(clips, (0, 1))

    @classmethod
    def views(
        cls,
        clips: Sequence[Frames],
        answer: Any,
        data: DataConfig,
        settings: SpeedNetConfig,
        rng: np.random.Generator,
    ) -> tuple[list[Frames], Any]:
        """One augmentation for both versions."""
        seed = int(rng.integers(2**63))
        return [
            augment_clip(clip, data.size, data.augment, np.random.default_rng(seed))
            for clip in clips
        ], answer

    def forward(self, clips: Sequence[Tensor]) -> Any:
        """Logits of normalised clips, at a random size while training."""
        size = clips[0].shape[-1]
        # On the meta device a step is only counted: sizes average about the full one.
        if self.training and clips[0].device.type != "meta":
            size = int(torch.randint(self.sizes[0], self.sizes[1] + 1, ()))
        return super().forward([resized(clip, size) for clip in clips])
