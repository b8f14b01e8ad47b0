"""What a pre-training takes, said before it is begun: ``python -m rspnet.cost``.

    python -m rspnet.cost --config rspnet/configs/pretrain/resnet18_k400.yaml --num_videos 240000

Nothing but shapes is computed: a step of the training runs on PyTorch's meta device, which counts
its floating point operations and shows that the configuration can be trained. No video is read but
with ``--plan true``, for which a few samples are loaded to see how long that takes.
"""

import math
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median

import cv2
import numpy as np
import torch
from torch.utils.flop_counter import FlopCounterMode

from rspnet.commands import run_cli
from rspnet.data.pretrain import DataConfig, PretrainDataset, cache_folder, training_videos
from rspnet.data.sources import FileSource, FrameCache, scan_files
from rspnet.data.stream import SampleKey
from rspnet.data.transforms import Frames
from rspnet.models.heads import EMBEDDING_DIM
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
        plan: Also say how many CPU cores feed a device, from the time that this machine takes to
            load samples, and what is sent in a step of more devices.
        samples_per_second: What a device trains, for the plan. Nothing: what ``tflops`` come to.
        networks: Networks of the plan, in GB/s that a device sends and receives: 1.25 is Ethernet
            of 10 Gbit/s, 50 InfiniBand of 400 Gbit/s for each device, 450 NVLink.
    """

    num_videos: int = 240_000
    num_devices: int = 1
    tflops: float = 10.0
    plan: bool = False
    samples_per_second: float | None = None
    networks: tuple[float, ...] = (1.25, 12.5, 50.0, 450.0)

    def __post_init__(self) -> None:
        super().__post_init__()
        if min(self.num_videos, self.num_devices) < 1 or self.tflops <= 0:
            raise ValueError(
                "num_videos, num_devices and tflops are positive, got "
                f"{self.num_videos}, {self.num_devices} and {self.tflops}"
            )
        rates = (*self.networks, self.samples_per_second or 1.0)
        if not self.networks or min(rates) <= 0 or self.samples_per_second == 0:
            raise ValueError(
                "networks and samples_per_second are positive, got "
                f"{self.networks} and {self.samples_per_second}"
            )
        if self.plan and METHODS[self.method].clips_per_sample != 3:
            raise ValueError(f"the plan is for the method rspnet, got {self.method!r}")


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
    data, method = replace(config.data, augment_on="cpu"), METHODS[config.method]
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


def seconds_to_load(data: DataConfig, seed: int = 0, num: int = 24) -> dict[str, float]:
    """Seconds of one core for a sample, with views made on the CPU and on the device.

    Args:
        data: Videos, of which a few are read, clips and views. Nothing in ``root``: generated ones.
        seed: Of the draws.
        num: Samples; the median is given, of seconds of the processor.

    Raises:
        ValueError: None of the videos looked at can be read and is long enough.
    """
    if data.root is None and data.name is None:
        data = replace(data, num_generated=4)
    some = training_videos(data)[:num]
    if data.cache_short_side is None:
        scan = scan_files(some, data.frames_needed, 0)
    else:
        cache = FrameCache(cache_folder(data) / "frames", data.cache_short_side)
        scan = cache.scan(some, data.frames_needed, 0)
    if not scan.usable:
        raise ValueError(f"none of {len(some)} videos can be read and is long enough for the clips")
    threads, found = cv2.getNumThreads(), {}
    cv2.setNumThreads(1)
    try:
        for where in ("cpu", "device"):
            settings = replace(data, augment_on=where)
            samples, times = PretrainDataset(scan.usable, settings, seed), []
            for i in range(num + 1):
                begun = time.process_time()
                _ = samples[SampleKey(i, i % len(scan.usable), i % 2, 1 - i % 2)]
                times.append(time.process_time() - begun)
            found[where] = median(times[1:])
    finally:
        cv2.setNumThreads(threads)
    return found


def bytes_sent(config: CostConfig, cost: Cost, num_devices: int) -> dict[str, float]:
    """What a device sends in a step, and receives, in bytes, by operation.

    With P devices, b samples of each and M trained parameters of 4 bytes: the gradients go round in
    a ring, 2 (P - 1) / P x 4 M. The batch shuffle sends the clips of both keys, T x H x W x 3 bytes
    each, to the device that is to have them: (P - 1) / P x 2 b clips. Their embeddings come back,
    (P - 1) / P x 2 b x 2 heads x 128 x 4, and every device takes the new keys of all into a queue
    of its own, (P - 1) x b x (128 x 4 + 8).

    Args:
        config: The training, for one device.
        cost: Of it.
        num_devices: P.
    """
    data, others, part = config.data, num_devices - 1, (num_devices - 1) / num_devices
    per_device = config.batch_size / config.num_devices
    clip = data.num_frames * data.size**2 * 3
    return {
        "gradients": 2 * part * 4 * cost.num_parameters,
        "batch shuffle": part * 2 * per_device * clip,
        "embeddings": part * 2 * per_device * 2 * EMBEDDING_DIM * 4,
        "queue": others * per_device * (EMBEDDING_DIM * 4 + 8),
    }


def describe_plan(config: CostConfig, cost: Cost, loading: Mapping[str, float]) -> str:
    """Cores for a device, and steps of 8, 64 and 512 devices on the given networks.

    Args:
        config: The training.
        cost: Of it.
        loading: What :func:`seconds_to_load` measured.
    """
    rate = config.samples_per_second or config.tflops * 1e12 / cost.sample
    per_device = config.batch_size / config.num_devices
    step = per_device / rate
    lines = [f"A device trains {rate:,.1f} samples/s. To load them takes, on this machine's cores:"]
    lines += [
        f"  data.augment_on {where:<8}{1000 * seconds:7.1f} ms a sample: "
        f"{max(1, math.ceil(rate * seconds)):,} cores a device (num_workers)"
        for where, seconds in loading.items()
    ]
    lines += [
        "",
        f"With {per_device:g} samples a device a step computes for {1000 * step:,.1f} ms. Sent and",
        "received by each device in a step, in MB; and the share of the time in which it computes,",
        "if nothing is sent meanwhile and no message has a delay, for each network (GB/s):",
        "",
    ]
    names, found = [f"{network:g}" for network in config.networks], []
    for num in (8, 64, 512):
        sent = bytes_sent(config, cost, num)
        shares = [step / (step + sum(sent.values()) / (net * 1e9)) for net in config.networks]
        most = max(sent, key=lambda name: sent[name])
        cells = [f"{1e-6 * value:14,.1f}" for value in sent.values()]
        cells += [f"{share:8.0%}" for share in shares]
        found.append(f"{num:<8}" + "".join(cells) + f"  {most}")
    header = "".join(f"{name:>14}" for name in sent) + "".join(f"{name:>8}" for name in names)
    return "\n".join([*lines, f"{'devices':<8}{header}  most is", *found])


def _run(config: CostConfig) -> None:
    cost = cost_of(config)
    print(describe(config, cost))
    if config.plan:
        print(f"\n{describe_plan(config, cost, seconds_to_load(config.data, config.seed))}")


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
            "python -m rspnet.cost --data.root VIDEOS --plan true --samples_per_second 800",
        ),
    )


if __name__ == "__main__":
    sys.exit(main())
