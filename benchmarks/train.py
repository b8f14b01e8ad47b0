"""Pre-training: clips a second of a step on this machine, and of its parts.

    python -m benchmarks.train [--steps 6] [--size 112] [--batch_size 16]

The peer of the encoder is torchvision's ``r3d_18``, forward and backward on the same clips; the
peer of the augmentation is torchvision's ``ColorJitter`` on the same frames.
"""

import argparse
import sys
from collections.abc import Callable

import numpy as np
import torch

from benchmarks.harness import describe_machine, measure, print_row
from rspnet.data.augment import AugmentConfig, jitter_colours
from rspnet.data.transforms import normalise
from rspnet.models import Branch, create_encoder
from rspnet.pretext.network import TwoBranch
from rspnet.pretext.rspnet import LossConfig, pretext_losses


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
    print(describe_machine("torch", "torchvision", "numpy"))
    rng = np.random.default_rng(0)
    shape = (3 * options.batch_size, 16, options.size, options.size, 3)
    frames = rng.integers(0, 256, shape, dtype=np.uint8)
    clips = normalise(frames)
    few, peer = clips[:8], "torchvision r3d_18, forward and backward"
    works = {
        f"{name}, forward and backward": encoder_step(create_encoder(name), few)
        for name in ("resnet18_fine", "resnet18")
    }
    works[peer] = encoder_step(r3d_18().to(memory_format=torch.channels_last_3d), few)
    config, own, theirs = (
        AugmentConfig(),
        "colour jitter, one clip at a time",
        "torchvision ColorJitter",
    )
    jitter = v2.ColorJitter(0.4, 0.4, 0.4, 0.4)
    as_tensor = torch.from_numpy(frames[0]).permute(0, 3, 1, 2)
    step = two_branch_step(clips, options.size)
    whole = measure({"step": step}, options.steps)["step"].seconds
    print_row("", "clips/s", "to the peer")
    print_row("full step, resnet18_fine, 3 clips a sample", f"{len(clips) / whole:.1f}")
    colours = {
        own: lambda: jitter_colours(frames[0], config, rng),
        theirs: lambda: jitter(as_tensor),
    }
    for todo, num, rounds, last in ((works, len(few), 2, peer), (colours, 1, 20, theirs)):
        times = measure(todo, rounds)
        for name, found in times.items():
            ratio = times[last].seconds / found.seconds
            print_row(name, f"{num / found.seconds:.1f}", f"{ratio:.2f}x")
    return 0


if __name__ == "__main__":
    sys.exit(main())
