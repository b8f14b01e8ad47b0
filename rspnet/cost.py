"""What a pre-training takes, said before it is begun: ``python -m rspnet.cost``.

    python -m rspnet.cost --config rspnet/configs/pretrain/resnet18_k400.yaml --num_videos 240000

No video is read and nothing but shapes is computed: a step of the training runs on PyTorch's meta
device, which counts its floating point operations and shows that the configuration can be trained.
"""

import math
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch.utils.flop_counter import FlopCounterMode

from rspnet.commands import run_cli
from rspnet.data.sources import FileSource
from rspnet.data.stream import SampleKey
from rspnet.data.transforms import Frames
from rspnet.pretext.method import METHODS, Step, method_settings
from rspnet.training.config import TrainConfig
from rspnet.training.network import create_network

_CLIPS = 2  # of the counted step: BatchNorm trains on no fewer where a cell is all there is


@dataclass(frozen=True, kw_only=True)
class CostConfig(TrainConfig):
    """A pre-training, and what it would run on.

    Attributes:
        num_videos: Videos that are long enough. Nothing is read of ``data.root``.
        num_devices: GPUs, or machines.
        tflops: What each sustains in training, in 10^12 floating point operations a second: for
            3D convolutions a tenth to a half of what its maker states.
    """

    num_videos: int = 240_000
    num_devices: int = 1
    tflops: float = 10.0

    def __post_init__(self) -> None:
        super().__post_init__()
        if min(self.num_videos, self.num_devices) < 1 or self.tflops <= 0:
            raise ValueError(
                "num_videos, num_devices and tflops are positive, got "
                f"{self.num_videos}, {self.num_devices} and {self.tflops}"
            )


@dataclass(frozen=True, kw_only=True)
class Cost:
    """What a pre-training takes.

    Attributes:
        num_parameters: Of the query branch: encoder and heads.
        steps_per_epoch: Optimiser steps in which every video is seen once.
        num_steps: Optimiser steps in all.
        num_samples: Samples in all, three clips each.
        forward: Floating point operations of one clip's way through a branch.
        sample: Those of a sample: c_i forward and backward, c_j and c_k forward. A multiplication
            and an addition count as two.
        total: Those of the training.
        seconds: Its time on the devices that were named, data and communication not counted.
    """

    num_parameters: int
    steps_per_epoch: float
    num_steps: int
    num_samples: int
    forward: float
    sample: float
    total: float
    seconds: float


def cost_of(config: CostConfig) -> Cost:
    """Count a training's steps and operations.

    Raises:
        ValueError: The configuration can't be trained: a clip is too small for the encoder, say.
    """
    if config.init_from is not None:
        raise ValueError("init_from does not change the cost: leave it out")
    data, method = config.data, METHODS[config.method]
    settings = method_settings(config.method, config.method_options, config.loss)
    samples = method.samples([_BlankVideo(Path("blank"), 100_000, 25.0)], data, 0, settings)
    batch = method.collate([samples[SampleKey(i, 0, 0, 1)] for i in range(_CLIPS)])
    with torch.device("meta"):
        network = create_network(config).train()
        clips = torch.empty((_CLIPS, 3, data.num_frames, data.size, data.size))

    def learn() -> None:
        number = config.loss.avid_start + config.loss.avid_warmup
        step = Step(number=number, trained=network.trained, device=torch.device("meta"))
        network.losses(batch, step).total.backward()  # type: ignore[no-untyped-call]

    try:
        with torch.no_grad():
            forward = _count(lambda: network.query(clips))
        of_step = _count(learn)
    except (RuntimeError, ValueError) as error:
        raise ValueError(
            f"{config.model.arch} can't be trained on clips of {data.num_frames} x "
            f"{data.size} x {data.size}: {error}"
        ) from error
    per_epoch = config.num_videos / config.batch_size
    steps = config.max_steps if config.epochs is None else math.ceil(config.epochs * per_epoch)
    sample = of_step / _CLIPS
    total = sample * config.batch_size * steps
    return Cost(
        num_parameters=sum(p.numel() for p in network.query.parameters()),
        steps_per_epoch=per_epoch,
        num_steps=steps,
        num_samples=steps * config.batch_size,
        forward=forward / _CLIPS,
        sample=sample,
        total=total,
        seconds=total / (config.tflops * 1e12 * config.num_devices),
    )


class _BlankVideo(FileSource):
    """A source of black frames: only their shape matters."""

    def get_frames(self, indices: Sequence[int]) -> Frames:
        """Black frames (N, 128, 171, 3)."""
        return np.zeros((len(indices), 128, 171, 3), np.uint8)


def _count(what: Callable[[], object]) -> int:
    with FlopCounterMode(display=False) as counter:
        what()
    return int(counter.get_total_flops())


def describe(config: CostConfig, cost: Cost) -> str:
    """The cost in a few lines."""
    data = config.data
    rows = (
        (
            "network",
            f"{config.model.arch}, {cost.num_parameters / 1e6:.2f} M parameters with heads",
        ),
        (
            "clips",
            f"{data.num_frames} x {data.size} x {data.size}, "
            f"{METHODS[config.method].clips_per_sample} a sample",
        ),
        ("steps", f"{cost.num_steps:,} of {config.batch_size} samples"),
        ("an epoch", f"{cost.steps_per_epoch:,.1f} steps, {config.num_videos:,} videos"),
        ("samples", f"{cost.num_samples:,}"),
        ("a clip", f"{cost.forward / 1e9:.2f} GFLOP forward"),
        ("a sample", f"{cost.sample / 1e9:.2f} GFLOP"),
        ("in all", f"{cost.total / 1e18:.3g} EFLOP"),
        (
            "time",
            f"{cost.seconds / 3600:,.1f} h on {config.num_devices} device"
            f"{'s' * (config.num_devices > 1)} that sustain{'s' * (config.num_devices == 1)} "
            f"{config.tflops:g} TFLOP/s; data and communication not counted",
        ),
    )
    return "\n".join(f"{name:<10}{text}" for name, text in rows)


def _run(config: CostConfig) -> None:
    print(describe(config, cost_of(config)))


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line. Returns the exit status."""
    return run_cli(
        CostConfig,
        _run,
        arguments,
        prog="python -m rspnet.cost",
        description=(
            "Estimate what a pre-training takes. The settings are those of python -m rspnet.train."
        ),
        examples=(
            "python -m rspnet.cost --config rspnet/configs/pretrain/resnet18_k400.yaml "
            "--num_videos 240000 --num_devices 8",
        ),
    )


if __name__ == "__main__":
    sys.exit(main())
