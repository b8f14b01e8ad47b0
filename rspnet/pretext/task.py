"""Pretext tasks whose answer is one of a few classes: at which speed, in which order.

Such a method draws clips of a video together with the answer (:meth:`TaskMethod.draw`), and reads
the answer from the encoder's features with a :class:`TaskHead`. The head is kept in the model file
beside the branches, so that :func:`load_task` gives what answered, and its class activation maps
say where (Eq. 1, supplementary C).
"""

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from rspnet.data.augment import augment_clip
from rspnet.data.pretrain import DataConfig
from rspnet.data.sampling import share_frames
from rspnet.data.sources import Source
from rspnet.data.stream import SampleDataset, SampleKey
from rspnet.data.transforms import Frames, normalise
from rspnet.models import Branch
from rspnet.models.heads import global_average_pool
from rspnet.pretext.method import METHODS, Losses, PretextMethod, Step, method_settings
from rspnet.weights.checkpoint import load_model, resolve_model
from rspnet.weights.storage import build, read_tensors


class TaskHead(nn.Module):
    """Reads the answer to a pretext task from features.

    It is piecewise linear in the features of each clip, so that gradient times feature gives every
    cell's exact share of a logit.

    Attributes:
        classes: Names of the answers.
        num_clips: Clips that one answer is about.
    """

    classes: tuple[str, ...]
    num_clips: int = 1

    def forward(self, features: Sequence[Tensor]) -> Tensor:
        """Logits.

        Args:
            features: Of each clip, (B, C, T', H', W').

        Shape:
            -> (B, num_classes).
        """
        raise NotImplementedError


class LinearTask(TaskHead):
    """v = w x + b, with x the globally averaged features of one clip (Eq. 1).

    Example:
        >>> import torch
        >>> LinearTask(8, ["1x", "2x"])([torch.zeros(3, 8, 2, 4, 4)]).shape
        torch.Size([3, 2])
    """

    def __init__(self, num_features: int, classes: Sequence[str]) -> None:
        super().__init__()
        self.classes = tuple(classes)
        self.fc = nn.Linear(num_features, len(self.classes))

    def forward(self, features: Sequence[Tensor]) -> Tensor:
        """Logits of one clip's features, (B, num_classes)."""
        logits: Tensor = self.fc(global_average_pool(features[0]))
        return logits


Answer = int | tuple[int, ...]


@dataclass(frozen=True)
class Drawn:
    """Clips of a video with the answer.

    Attributes:
        clips: Frame indices of each clip into the video.
        answer: Index of the right class; of several where the head reads each clip by itself
            (``num_clips`` at a time), such as both versions of a clip in one batch.
    """

    clips: Sequence[Sequence[int]]
    answer: Answer


@dataclass(frozen=True)
class TaskSample:
    """Augmented clips, each (T, H, W, 3) uint8, and the answer.

    Attributes:
        clips: In the order in which the head takes them.
        answer: Index of the right class, or of several, see :class:`Drawn`.
        video: Index of the video that they are from.
        failures: (video, reason) of those that could not be read in its place.
    """

    clips: tuple[Tensor, ...]
    answer: Answer
    video: int
    failures: tuple[tuple[int, str], ...] = ()


@dataclass(frozen=True)
class TaskBatch:
    """A batch of samples.

    Attributes:
        clips: For each clip of a sample (B, T, H, W, 3) uint8.
        answer: (B,); where samples have A answers (A * B,), the first of each sample to begin with.
        video: (B,).
        failures: Of all samples.
    """

    clips: tuple[Tensor, ...]
    answer: Tensor
    video: Tensor
    failures: tuple[tuple[int, str], ...]


class TaskDataset(SampleDataset[TaskSample]):
    """Samples of a :class:`TaskMethod` by :class:`~rspnet.data.stream.SampleKey`.

    Args:
        method: Draws clips and makes their views.
        videos: Where frames come from.
        data: Clips and augmentation.
        seed: Fixes frames, answers and augmentation.
        settings: Of the method.
    """

    def __init__(
        self,
        method: type["TaskMethod"],
        videos: Sequence[Source],
        data: DataConfig,
        seed: int,
        settings: Any,
    ) -> None:
        self.method = method
        self.videos = list(videos)
        self.data = data
        self.seed = seed
        self.settings = settings

    def load(self, video: int, key: SampleKey) -> TaskSample:
        """Clips of a video and the answer."""
        source = self.videos[video]
        rng = np.random.default_rng([self.seed, 2, key.position])
        drawn = self.method.draw(source, self.data, self.settings, rng)
        wanted, places = share_frames(drawn.clips)
        frames = source.get_frames(wanted)
        clips, answer = self.method.views(
            [frames[place] for place in places], drawn.answer, self.data, self.settings, rng
        )
        return TaskSample(tuple(map(torch.from_numpy, clips)), answer, video)


class TaskMethod(PretextMethod):
    """A pretext task that a :class:`TaskHead` answers, trained by cross-entropy.

    Subclasses say how clips are drawn and which head reads them; :meth:`views` and
    :meth:`losses` may be replaced where a method has other ones. The branch's projection heads are
    not trained.

    Args:
        branch: Gives the encoder.
        settings: Of the method.
    """

    columns: ClassVar[Sequence[str]] = ("loss", "accuracy")

    def __init__(self, branch: Branch, settings: Any) -> None:
        super().__init__(branch, settings)
        branch.projections.requires_grad_(False)  # else parameters without a gradient
        self.task = self.head(branch.num_features, settings)

    @classmethod
    @abstractmethod
    def head(cls, num_features: int, settings: Any) -> TaskHead:
        """A new head."""

    @classmethod
    @abstractmethod
    def draw(
        cls, source: Source, data: DataConfig, settings: Any, rng: np.random.Generator
    ) -> Drawn:
        """Clips of a video and the answer. All clips of a sample have one length."""

    @classmethod
    def views(
        cls,
        clips: Sequence[Frames],
        answer: Any,
        data: DataConfig,
        settings: Any,
        rng: np.random.Generator,
    ) -> tuple[list[Frames], Any]:
        """Augmented views of the clips, (T, size, size, 3) uint8 each, and the answer."""
        return [augment_clip(clip, data.size, data.augment, rng) for clip in clips], answer

    @classmethod
    def samples(
        cls, videos: Sequence[Source], data: DataConfig, seed: int, settings: Any = None
    ) -> TaskDataset:
        """Clips with answers."""
        settings = cls.settings_class() if settings is None else settings
        return TaskDataset(cls, videos, data, seed, settings)

    @classmethod
    def collate(cls, samples: list[TaskSample]) -> TaskBatch:
        """Stack samples."""
        return TaskBatch(
            tuple(torch.stack(clips) for clips in zip(*(s.clips for s in samples), strict=True)),
            torch.tensor([s.answer for s in samples]).reshape(len(samples), -1).T.flatten(),
            torch.tensor([s.video for s in samples]),
            tuple(f for s in samples for f in s.failures),
        )

    @property
    def trained(self) -> nn.Module:
        """Encoder and head."""
        return self

    def forward(self, clips: Sequence[Tensor]) -> Any:
        """Logits of normalised clips, each (B, 3, T, H, W); one pass of the encoder for all."""
        return self.logits(self.query.features(torch.cat(list(clips))).chunk(len(clips)))

    def logits(self, features: Sequence[Tensor]) -> Tensor:
        """Logits from the features of a sample's clips, in the order of a batch's answers."""
        num = self.task.num_clips
        groups = [features[first : first + num] for first in range(0, len(features), num)]
        return torch.cat([self.task(group) for group in groups])

    def losses(self, batch: TaskBatch, step: Step) -> Losses:
        """Cross-entropy, and the share of right answers."""
        clips = [normalise(clip.to(step.device, non_blocking=True)) for clip in batch.clips]
        answer = batch.answer.to(step.device)
        with step.autocast():
            logits = step.trained(clips)
        loss = functional.cross_entropy(logits.float(), answer)
        accuracy = (logits.detach().argmax(dim=1) == answer).float().mean()
        return Losses(loss, {"loss": loss.detach(), "accuracy": accuracy})

    def summary(self, means: Mapping[str, float]) -> str:
        """Loss and accuracy, beside chance."""
        return (
            f"loss {means['loss']:.3f}  accuracy {means['accuracy']:.2f} "
            f"(chance {1 / len(self.task.classes):.2f})  {means['clips_per_second']:.0f} clips/s"
        )

    def kept_head(self) -> tuple[dict[str, Any], nn.Module]:
        """The head, and what :func:`load_task` needs to build it again, as plain JSON values."""
        method = next(name for name in METHODS if METHODS[name] is type(self))
        return {"method": method, "settings": asdict(self.settings)}, self.task


@dataclass(frozen=True)
class PretextTask:
    """A model with the head that answers its pretext task.

    Attributes:
        method: Name of the method.
        settings: Its settings.
        branch: Encoder (its projection heads are not trained).
        head: Reads the answer from the features of ``head.num_clips`` clips.
    """

    method: str
    settings: Any
    branch: Branch
    head: TaskHead

    @torch.inference_mode()
    def logits(self, clips: Sequence[Tensor]) -> Tensor:
        """Logits of normalised clips.

        Args:
            clips: ``head.num_clips`` of them, each (B, 3, T, H, W).

        Shape:
            -> (B, num_classes).

        Raises:
            ValueError: There are more or fewer clips.
        """
        if len(clips) != self.head.num_clips:
            raise ValueError(
                f"{self.method} answers about {self.head.num_clips} clips, got {len(clips)}"
            )
        logits: Tensor = self.head([self.branch.features(clip) for clip in clips])
        return logits


def load_task(path_or_name: str | Path, device: str | torch.device = "cpu") -> PretextTask:
    """Read a model with the head of its pretext task, in evaluation mode.

    Raises:
        ValueError: There is no such model, it is damaged, or its method has no such head.

    Example:
        >>> import tempfile
        >>> from rspnet import Branch, save_model
        >>> from rspnet.pretext.task import load_task
        >>> branch = Branch("resnet18_fine", {"width": 4})
        >>> path = save_model(f"{tempfile.mkdtemp()}/tiny.safetensors", branch, branch)
        >>> load_task(path)  # doctest: +ELLIPSIS
        Traceback (most recent call last):
            ...
        ValueError: ...tiny.safetensors has no head of a pretext task: take a model of one of...
    """
    path = resolve_model(path_or_name)
    branch = load_model(path, device=device)
    answering = [name for name in METHODS if issubclass(METHODS[name], TaskMethod)]
    missing = (
        f"{path} has no head of a pretext task: take a model of one of {', '.join(answering)} "
        "(python -m rspnet.train --method NAME)"
    )
    if path.suffix != ".safetensors":
        raise ValueError(missing)
    header, tensors = read_tensors(path, "rspnet", "an RSPNet model", "task.")
    if "task" not in header:
        raise ValueError(missing)
    spec = header["task"]
    if not isinstance(spec, Mapping) or set(spec) != {"method", "settings"}:
        raise ValueError(f"{path}: 'task' in its header is a method and its settings, got {spec!r}")
    if spec["method"] not in answering or not isinstance(spec["settings"], Mapping):
        raise ValueError(
            f"{path}: 'task' in its header names one of {', '.join(answering)}, got {spec!r}"
        )
    method = METHODS[spec["method"]]
    assert issubclass(method, TaskMethod)
    settings = method_settings(spec["method"], spec["settings"], None)
    head = build(lambda: method.head(branch.num_features, settings), tensors, path)
    return PretextTask(spec["method"], settings, branch, head.to(device).eval())
