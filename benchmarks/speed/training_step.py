"""A training step on the CPU: against the same step as one would first write it down."""

import copy
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from benchmarks.speed.records import Row, against
from rspnet.models import Branch
from rspnet.pretext.network import TwoBranch
from rspnet.pretext.rspnet import LossConfig, pretext_losses
from rspnet.training.optim import OptimConfig, create_optimiser

PACKAGES = ("torch",)
_QUEUE, _MOMENTUM = 1024, 0.95


def own_step(branch: Branch, clips: Tensor) -> Callable[[], float]:
    """The project's step: channels last, all keys in one batch, fused momentum update."""
    network = TwoBranch(copy.deepcopy(branch), _QUEUE).train()
    network = network.to(memory_format=torch.channels_last_3d)
    optimiser = create_optimiser(network.query.parameters(), OptimConfig(), 32)
    video = torch.arange(len(clips) // 3)
    parts = clips.contiguous(memory_format=torch.channels_last_3d).chunk(3)

    def step() -> float:
        embeddings = network(*parts)
        losses = pretext_losses(network, embeddings, video, LossConfig(), 2000)
        losses.total.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        optimiser.zero_grad()
        network.update_key(_MOMENTUM)
        network.enqueue(embeddings.other_speed["avid"], video)
        return losses.total.item()

    return step


def plain_step(branch: Branch, clips: Tensor) -> Callable[[], float]:
    """RSPNet's equations, written down: logistic RSP and InfoNCE, a loop for the key branch."""
    query: Any = copy.deepcopy(branch).train()
    key: Any = copy.deepcopy(branch).train()
    queue = functional.normalize(torch.randn(128, _QUEUE), dim=0)
    video_of = torch.full((_QUEUE,), -1)
    optimiser = torch.optim.AdamW(query.parameters(), 1e-3, weight_decay=0.05)
    c_i, c_j, c_k = clips.contiguous().chunk(3)
    num, config, at = len(c_i), LossConfig(), 0

    def step() -> float:
        nonlocal at
        with torch.no_grad():
            keys = key(torch.cat([c_j, c_k]))
        q = query(c_i)
        same, other = ({name: z[part] for name, z in keys.items()} for part in (
            slice(0, num), slice(num, None)))  # fmt: skip
        d = (q["rsp"] * same["rsp"]).sum(1) - (q["rsp"] * other["rsp"]).sum(1)
        rsp = functional.softplus(-d / config.rsp_temperature).mean()
        ignore = (video_of < 0) | (video_of == torch.arange(num)[:, None])
        negatives = (q["avid"] @ queue).masked_fill(ignore, -torch.inf)
        positives = [(q["avid"] * k["avid"]).sum(1, keepdim=True) for k in (same, other)]
        tau, target = config.avid_temperature, torch.zeros(num, dtype=torch.long)
        avid = sum(
            functional.cross_entropy(torch.cat([p, negatives], 1) / tau, target) for p in positives
        )
        loss = rsp + config.avid_weight * avid
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        with torch.no_grad():
            for p, k in zip(query.parameters(), key.parameters(), strict=True):
                k.mul_(_MOMENTUM).add_(p, alpha=1 - _MOMENTUM)
            for row, z in enumerate(other["avid"]):
                queue[:, at], video_of[at] = z, row
                at = (at + 1) % _QUEUE
        return float(loss.item())

    return step


def rows(
    rounds: int, batch_size: int = 2, archs: tuple[str, ...] = ("resnet18_fine", "resnet18")
) -> list[Row]:
    """Steps of ``batch_size`` samples of three clips of the encoder's own size.

    Args:
        rounds: Of each.
        batch_size: Samples of a step.
        archs: Encoders.
    """
    found: list[Row] = []
    for arch in archs:
        torch.manual_seed(0)
        branch = Branch(arch)
        clips = torch.randn(3 * batch_size, 3, branch.num_frames, branch.size, branch.size)
        steps = own_step(branch, clips), plain_step(branch, clips)
        name = f"training step, {arch}, {batch_size} samples"
        found += against(name, steps[0], {"plain formulation": steps[1]}, rounds)
    return found
