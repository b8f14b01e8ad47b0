"""What a pretext method is: one file in ``rspnet/pretext/`` that registers a class.

``python -m rspnet.train --method NAME`` finds videos, loads batches, optimises, resumes, logs and
saves; a method says which clips it needs, what its network is and what its loss.
"""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext, suppress
from dataclasses import dataclass, field, fields
from typing import Any, ClassVar, TypeVar

import torch
from torch import Tensor, nn
from torch.utils.data import Dataset

from rspnet.commands import parse_config
from rspnet.data.pretrain import DataConfig
from rspnet.data.sources import Source
from rspnet.models import Branch
from rspnet.registry import Registry, did_you_mean

M = TypeVar("M", bound=type["PretextMethod"])


@dataclass(frozen=True)
class Step:
    """What a run offers its method for one micro-batch. The defaults are those of one process.

    Attributes:
        number: Optimiser steps done so far.
        trained: ``method.trained`` as it is to be called: gradients are averaged over processes.
        device: Where the network is.
        autocast: Makes the context in which the network computes in the run's precision.
        shuffle: Exchanges clips (N, ...) between processes, so that statistics of BatchNorm do not
            tell which clips belong together.
        unshuffle: The embeddings (N, D) of this process's own clips, after ``shuffle``.
        gather: Concatenates a tensor of all processes.
    """

    number: int
    trained: nn.Module
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))
    autocast: Callable[[], AbstractContextManager[Any]] = nullcontext
    shuffle: Callable[[Tensor], Tensor] = lambda clips: clips
    unshuffle: Callable[[Tensor], Tensor] = lambda embeddings: embeddings
    gather: Callable[[Tensor], Tensor] = lambda tensor: tensor


@dataclass(frozen=True)
class Losses:
    """Losses of one batch.

    Attributes:
        total: What to minimise, a scalar with a graph.
        scalars: What to log, by name; one of them is ``loss``.
    """

    total: Tensor
    scalars: dict[str, float | Tensor]


@dataclass(frozen=True, kw_only=True)
class NoSettings:
    """Settings of a method that has none."""


class PretextMethod(nn.Module):
    """A pretext task with its network. Subclasses take a branch and their settings.

    All parameters and buffers are kept in checkpoints. Whatever is drawn at random should follow
    from a sample's key or come from PyTorch's generator, so that resumed runs are exact.

    Attributes:
        settings_class: A dataclass of the method's settings, from ``--method_options``.
        clips_per_sample: Clips that the network takes for each sample; a method in which that
            depends on its settings sets it when it is made.
        columns: Names of :attr:`Losses.scalars` in the order of ``metrics.csv``.
        query: The branch that is trained, and that ``model.safetensors`` holds.
    """

    settings_class: ClassVar[type[Any]] = NoSettings
    clips_per_sample: int = 1
    columns: ClassVar[Sequence[str]] = ("loss",)
    query: Branch

    def __init__(self, branch: Branch, settings: Any = None) -> None:
        super().__init__()
        self.query = branch
        self.settings = settings

    @classmethod
    def samples(
        cls, videos: Sequence[Source], data: DataConfig, seed: int, settings: Any = None
    ) -> Dataset[Any]:
        """Samples by :class:`~rspnet.data.stream.SampleKey`: the views that the method needs."""
        raise NotImplementedError

    @classmethod
    def collate(cls, samples: list[Any]) -> Any:
        """A batch; its ``failures`` are (video, reason) of those that could not be read."""
        raise NotImplementedError

    @classmethod
    def frames_needed(cls, data: DataConfig, video_fps: float, settings: Any = None) -> int:
        """Frames that a video of this rate needs. Shorter ones are skipped."""
        return data.frames_needed(video_fps)

    @classmethod
    def trained_heads(cls, settings: Any) -> tuple[str, ...]:
        """Which of the branch's heads, ``rsp`` and ``avid``, mean something after training."""
        return ()

    @property
    def trained(self) -> nn.Module:
        """The module that holds all trained parameters and is called in :meth:`losses`."""
        return self.query

    @property
    def may_have_unused(self) -> bool:
        """Whether some trained parameters get no gradient in some steps."""
        return False

    def branches(self) -> tuple[Branch, Branch]:
        """What a model file holds as ``query`` and ``key``; without a key branch, one twice."""
        return self.query, self.query

    def kept_head(self) -> tuple[dict[str, Any], nn.Module] | None:
        """What a model file holds beside the branches, with what it takes to build it again."""
        return None

    def prepare(
        self, batches: Iterable[Any], heads: Sequence[str], average: Callable[[Tensor], Tensor]
    ) -> None:
        """Use the first batches before the first step.

        Args:
            batches: This process's micro-batches.
            heads: New heads, whose bias the configuration wants to be set.
            average: Takes the mean of a tensor over all processes.
        """

    def losses(self, batch: Any, step: Step) -> Losses:
        """Losses of a micro-batch."""
        raise NotImplementedError

    def after_step(self) -> None:
        """Called after each step of the optimiser: momentum updates, queues."""

    def summary(self, means: Mapping[str, float]) -> str:
        """What the progress bar shows of the logged means."""
        return f"loss {means['loss']:.3f}"


METHODS: Registry[type[PretextMethod]] = Registry("pretext method", "rspnet.pretext")


def register_method(name: str) -> Callable[[M], M]:
    """Register a :class:`PretextMethod` under the name that ``--method`` takes.

    Raises:
        ValueError: The name is taken.
    """

    def register(method: M) -> M:
        METHODS.add(name, method)
        return method

    return register


def list_methods() -> list[str]:
    """Names of the registered pretext methods, sorted.

    Example:
        >>> from rspnet.pretext import list_methods
        >>> "rspnet" in list_methods()
        True
    """
    return list(METHODS)


def method_settings(name: str, options: Mapping[str, Any], loss: Any) -> Any:
    """The settings of a method, from the configuration of a run.

    Args:
        name: The method.
        options: ``method_options`` of the configuration.
        loss: ``loss`` of the configuration: the settings of methods of that class (RSPNet).

    Raises:
        ValueError: There is no such method, it has no such setting, or not this value of it.
    """
    settings_class = METHODS[name].settings_class
    if isinstance(loss, settings_class):
        if options:
            raise ValueError(
                f"the settings of method {name!r} are given as --loss.NAME, got method_options "
                f"{dict(options)}"
            )
        return loss
    known = [entry.name for entry in fields(settings_class)]
    for option in options:
        if option not in known:
            raise ValueError(
                f"method {name!r} has no setting {option!r}: expected one of "
                f"{', '.join(known) or 'none'}.{did_you_mean(option, known)}"
            )
    with suppress(TypeError):  # what it says itself of a value is said best
        settings_class(**options)
    words = [
        f"--{option}={value if isinstance(value, str) else json.dumps(value)}"
        for option, value in options.items()
    ]
    try:
        return parse_config(settings_class, words)
    except ValueError as error:
        reason = str(error).removeprefix("command line: ")
        raise ValueError(f"settings of method {name!r}: {reason}") from error
