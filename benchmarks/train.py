"""Pre-training: clips a second of a step on this machine, and of its parts.

    python -m benchmarks.train [--steps 6] [--size 112] [--batch_size 16]

The peer of the encoder is torchvision's ``r3d_18``, forward and backward on the same clips; the
peer of the augmentation is torchvision's ``ColorJitter`` on the same frames.
"""

import argparse
import os
import platform
import statistics
import sys
import time
from collections.abc import Callable
from importlib.metadata import version

import numpy as np
import torch

from rspnet.data.augment import AugmentConfig, jitter_colours
from rspnet.data.transforms import normalise
from rspnet.models import Branch, create_encoder
from rspnet.pretext.network import TwoBranch
from rspnet.pretext.rspnet import LossConfig, pretext_losses


def seconds(work: Callable[[], object], steps: int) -> float:
    """Median seconds of a call, after one that does not count."""
    work()
    times = []
    for _ in range(steps):
        begin = time.perf_counter()
        work()
        times.append(time.perf_counter() - begin)
    return statistics.median(times)


def two_branch_step(clips: torch.Tensor, size: int) -> Callable[[], object]:
    """A full step: three clips a sample, both losses, optimiser, momentum, queue."""
    batch = len(clips) // 3
    network = TwoBranch(Branch("resnet18_fine", size=size), 1024).train()
    network = network.to(memory_format=torch.channels_last_3d)
    optimiser = torch.optim.AdamW(network.query.parameters(), 1e-4)
    video = torch.arange(batch)
    query, same, other = (clips[i * batch : (i + 1) * batch] for i in range(3))

    def step() -> None:
        embeddings = network(query, same, other)
        losses = pretext_losses(network, embeddings, video, LossConfig(), 0)
        optimiser.zero_grad(set_to_none=True)
        losses.total.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        network.update_key(0.99)
        network.enqueue(embeddings.other_speed["avid"], video)

    return step


def encoder_step(encoder: torch.nn.Module, clips: torch.Tensor) -> Callable[[], object]:
    """Forward and backward of an encoder alone."""
    encoder.train()

    def step() -> None:
        encoder.zero_grad(set_to_none=True)
        encoder(clips).mean().backward()

    return step


def main() -> int:
    from torchvision.models.video import r3d_18
    from torchvision.transforms import v2

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=6)
    parser.add_argument("--size", type=int, default=112)
    parser.add_argument("--batch_size", type=int, default=8)
    options = parser.parse_args()
    cpu = platform.processor() or platform.machine()
    print(
        f"Python {platform.python_version()}, {platform.system()}, {cpu}, {os.cpu_count()} CPUs, "
        f"{torch.get_num_threads()} threads"
    )
    print(", ".join(f"{p} {version(p)}" for p in ("torch", "torchvision", "numpy")))
    rng = np.random.default_rng(0)
    shape = (3 * options.batch_size, 16, options.size, options.size, 3)
    frames = rng.integers(0, 256, shape, dtype=np.uint8)
    clips = normalise(frames)
    whole = seconds(two_branch_step(clips, options.size), options.steps)
    print(f"\n{'':44}{'clips/s':>10}{'to the peer':>14}")
    print(f"{'full step, resnet18_fine, 3 clips a sample':44}{len(clips) / whole:10.1f}")
    few = clips[:8]
    names = ("resnet18_fine", "resnet18")
    rates = {n: len(few) / seconds(encoder_step(create_encoder(n), few), 2) for n in names}
    theirs_too = r3d_18().to(memory_format=torch.channels_last_3d)
    peer = len(few) / seconds(encoder_step(theirs_too, few), 2)
    for name, rate in rates.items():
        print(f"{f'{name}, forward and backward':44}{rate:10.1f}{rate / peer:13.2f}x")
    print(f"{'torchvision r3d_18, forward and backward':44}{peer:10.1f}{1:13.2f}x")
    config = AugmentConfig()
    jitter = v2.ColorJitter(0.4, 0.4, 0.4, 0.4)
    as_tensor = torch.from_numpy(frames[0]).permute(0, 3, 1, 2)
    ours = 1 / seconds(lambda: jitter_colours(frames[0], config, rng), 20)
    theirs = 1 / seconds(lambda: jitter(as_tensor), 20)
    print(f"{'colour jitter, one clip at a time':44}{ours:10.1f}{ours / theirs:13.2f}x")
    print(f"{'torchvision ColorJitter':44}{theirs:10.1f}{1:13.2f}x")
    return 0


if __name__ == "__main__":
    sys.exit(main())
