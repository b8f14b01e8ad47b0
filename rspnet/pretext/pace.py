"""The method Pace: at which of several paces does a clip play?"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Literal, get_args

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from rspnet.data.augment import augment_clip, jitter_colours
from rspnet.data.pretrain import DataConfig
from rspnet.data.sampling import ClipSpec, clip_span, pace_of
from rspnet.data.sources import Source
from rspnet.data.transforms import Frames, normalise
from rspnet.models import Branch
from rspnet.pretext.method import Losses, Step, register_method
from rspnet.pretext.task import Drawn, LinearTask, TaskBatch, TaskHead, TaskMethod

Contrast = Literal["none", "context", "pace"]
_HEADS: dict[str, tuple[str, ...]] = {"none": (), "context": ("avid",), "pace": ("rsp",)}


@dataclass(frozen=True, kw_only=True)
class PaceConfig:
    """Settings of pace prediction. The defaults are the paper's where it has them.

    Attributes:
        max_pace: Paces are 1 to this (paper: 4); pace p takes every p-th frame.
        contrast: ``none``, or what clips have in common that are drawn together: ``context`` (two
            clips of one video at different paces) or ``pace`` (clips of any videos at one pace).
        classification_weight: Weight of the classification (paper: 1).
        contrast_weight: Weight of the contrastive loss (paper: 0.1).
        temperature: tau of the contrastive loss. The paper has none: it takes dot products of
            features, here they are cosines of embeddings, as in RSPNet.
        frame_jitter: Probability that the colours of a frame are jittered, each frame by itself
            (released code: 0.8), so that no two frames can be compared pixel by pixel. 0 jitters
            all frames of a clip alike, as RSPNet's views.

    Raises:
        ValueError: A setting is out of range.
    """

    max_pace: int = 4
    contrast: Contrast = "none"
    classification_weight: float = 1.0
    contrast_weight: float = 0.1
    temperature: float = 0.07
    frame_jitter: float = 0.8

    def __post_init__(self) -> None:
        if self.max_pace < 2:
            raise ValueError(f"max_pace is at least 2, got {self.max_pace}")
        if self.contrast not in get_args(Contrast):
            raise ValueError(
                f"contrast is one of {', '.join(get_args(Contrast))}, got {self.contrast!r}"
            )
        if min(self.classification_weight, self.contrast_weight) < 0 or self.temperature <= 0:
            raise ValueError(
                "weights are not negative and temperature is positive, got "
                f"classification_weight={self.classification_weight}, "
                f"contrast_weight={self.contrast_weight}, temperature={self.temperature}"
            )
        if not 0 <= self.frame_jitter <= 1:
            raise ValueError(f"frame_jitter is between 0 and 1, got {self.frame_jitter}")


def contrast_loss(embeddings: Tensor, group: Tensor, temperature: float = 0.07) -> Tensor:
    """InfoNCE in which clips of one group are positives of each other (Sec. 3.3 of Pace).

    For an anchor i, with s the cosine over the temperature: the mean over its positives p of
    -log(exp(s_ip) / sum over all a != i of exp(s_ia)); then the mean over the anchors that have a
    positive. With two clips a group it is SimCLR's loss.

    Args:
        embeddings: Of a batch, (N, D).
        group: The group of each, (N,): its video ("same context"), or its pace ("same pace").
        temperature: tau.

    Shape:
        (N, D), (N,) -> scalar; 0 where no clip has a positive.

    Raises:
        ValueError: Shapes do not fit or the temperature is not positive.

    Example:
        >>> import torch
        >>> z = torch.tensor([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0], [0.0, 1.0]])
        >>> round(contrast_loss(z, torch.tensor([0, 0, 1, 1]), temperature=1.0).item(), 4)
        0.5514
    """
    if embeddings.ndim != 2 or group.shape != embeddings.shape[:1]:
        raise ValueError(
            "embeddings are (N, D) and groups (N,), "
            f"got {tuple(embeddings.shape)} and {tuple(group.shape)}"
        )
    if temperature <= 0:
        raise ValueError(f"temperature is positive, got {temperature}")
    z = functional.normalize(embeddings, dim=1)
    itself = torch.eye(len(z), dtype=torch.bool, device=z.device)
    log_share = (z @ z.T / temperature).masked_fill(itself, float("-inf")).log_softmax(dim=1)
    positive = (group[:, None] == group[None, :]) & ~itself
    num = positive.sum(dim=1)
    mean = -log_share.where(positive, log_share.new_zeros(())).sum(dim=1) / num.clamp(min=1)
    return mean.sum() / (num > 0).sum().clamp(min=1)


@register_method("pace")
class Pace(TaskMethod):
    """Video pace prediction (Wang, Jiao, Liu, ECCV 2020).

    v = w x + b over the paces 1x, 2x, ..., with x the globally averaged features, trained by
    cross-entropy; L = lambda_cls * L_cls + lambda_ctr * L_ctr where there is a contrastive loss.
    That one reads the embeddings of a head of the branch: g_a for "same context" and g_m for "same
    pace", which is what A-VID and RSP bring together. Both compare the clips of one process's
    micro-batch. Chance is 1 / max_pace.

    A clip begins anywhere that leaves room for the fastest pace, so that where it begins says
    nothing of its pace; the released code begins anywhere and plays short videos in a loop.

    Args:
        branch: Gives the encoder, and the head of a contrastive loss.
        settings: Paces and contrast.

    Example:
        >>> from rspnet import Branch
        >>> Pace(Branch("resnet18_fine", {"width": 4}), PaceConfig()).task.classes
        ('1x', '2x', '3x', '4x')
    """

    settings_class: ClassVar[type[Any]] = PaceConfig
    columns: ClassVar[Sequence[str]] = ("loss", "accuracy", "contrast_loss")

    def __init__(self, branch: Branch, settings: PaceConfig) -> None:
        super().__init__(branch, settings)
        self.clips_per_sample = 2 if settings.contrast == "context" else 1
        for name in self.trained_heads(settings):
            branch.head(name).requires_grad_(True)

    @classmethod
    def trained_heads(cls, settings: PaceConfig) -> tuple[str, ...]:
        """The head that a contrastive loss reads."""
        return _HEADS[settings.contrast]

    @classmethod
    def frames_needed(cls, data: DataConfig, video_fps: float, settings: Any = None) -> int:
        """Those of a clip at the fastest pace."""
        settings = PaceConfig() if settings is None else settings
        pace = pace_of(video_fps, data.fps, data.stride)
        return clip_span(data.num_frames, settings.max_pace, pace)

    @classmethod
    def head(cls, num_features: int, settings: PaceConfig) -> TaskHead:
        """One logit a pace."""
        return LinearTask(num_features, [f"{pace + 1}x" for pace in range(settings.max_pace)])

    @classmethod
    def draw(
        cls, source: Source, data: DataConfig, settings: PaceConfig, rng: np.random.Generator
    ) -> Drawn:
        """A clip, or for "same context" two of different paces."""
        pace = pace_of(source.fps, data.fps, data.stride)
        num = 2 if settings.contrast == "context" else 1
        paces = rng.permutation(settings.max_pace)[:num] + 1
        last = source.num_frames - cls.frames_needed(data, source.fps, settings)
        starts = rng.integers(0, last + 1, size=num)
        clips = [
            ClipSpec(int(start), data.num_frames, int(speed), pace).indices
            for start, speed in zip(starts, paces, strict=True)
        ]
        return Drawn(clips, tuple(int(speed) - 1 for speed in paces))

    @classmethod
    def views(
        cls,
        clips: Sequence[Frames],
        answer: Any,
        data: DataConfig,
        settings: PaceConfig,
        rng: np.random.Generator,
    ) -> tuple[list[Frames], Any]:
        """A crop and flip for each clip, and colours for each of its frames."""
        if settings.frame_jitter == 0:
            return super().views(clips, answer, data, settings, rng)
        as_they_are = replace(data.augment, gray=0, brightness=0, contrast=0, saturation=0, hue=0)
        views = [augment_clip(clip, data.size, as_they_are, rng) for clip in clips]
        for view in views:
            for t in range(len(view)):
                if rng.random() < settings.frame_jitter:
                    view[t] = jitter_colours(view[t : t + 1], data.augment, rng)[0]
        return views, answer

    def forward(self, clips: Sequence[Tensor]) -> tuple[Tensor, dict[str, Tensor]]:
        """Logits of normalised clips, each (B, 3, T, H, W), and the embeddings of all."""
        features = self.query.features(torch.cat(list(clips)))
        embeddings = self.query.project(features) if self.settings.contrast != "none" else {}
        return self.logits(features.chunk(len(clips))), embeddings

    def losses(self, batch: TaskBatch, step: Step) -> Losses:
        """Cross-entropy and the contrastive loss, and the share of right answers."""
        settings: PaceConfig = self.settings
        clips = [normalise(clip.to(step.device, non_blocking=True)) for clip in batch.clips]
        answer, video = batch.answer.to(step.device), batch.video.to(step.device)
        with step.autocast():
            logits, embeddings = step.trained(clips)
        classification = functional.cross_entropy(logits.float(), answer)
        total, contrast = settings.classification_weight * classification, logits.new_zeros(())
        for head in self.trained_heads(settings):
            group = answer if settings.contrast == "pace" else video.repeat(len(clips))
            contrast = contrast_loss(embeddings[head].float(), group, settings.temperature)
            total = total + settings.contrast_weight * contrast
        return Losses(
            total,
            {
                "loss": total.detach(),
                "accuracy": (logits.detach().argmax(dim=1) == answer).float().mean(),
                "contrast_loss": contrast.detach(),
            },
        )
