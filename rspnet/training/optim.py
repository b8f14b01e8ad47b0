"""Optimisers and learning-rate schedules, for pre-training and fine-tuning."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import nn


@dataclass(frozen=True, kw_only=True)
class OptimConfig:
    """Optimiser and schedule.

    Attributes:
        name: ``sgd`` (paper) or ``adamw``.
        lr: Learning rate after the warm-up (paper: 0.1 with SGD, for a batch of 64).
        lr_batch: The global batch size that ``lr`` is meant for: other sizes scale it linearly.
            0 takes ``lr`` as it is.
        weight_decay: Weight decay (paper: 1e-4).
        momentum: Momentum of SGD.
        warmup_steps: Steps over which the learning rate rises from 0.
        schedule: ``cosine`` (paper), ``step`` (times ``decay`` at each of ``milestones``) or
            ``constant``.
        per: Whether the schedule moves every ``step`` or every ``epoch`` (paper).
        final_lr: Share of ``lr`` that the cosine ends at.
        milestones: Epochs at which the ``step`` schedule falls.
        decay: Factor of the ``step`` schedule.
        clip_norm: Largest norm of the gradient; 0 for no limit.
    """

    name: Literal["sgd", "adamw"] = "adamw"
    lr: float = 1e-3
    lr_batch: int = 0
    weight_decay: float = 0.05
    momentum: float = 0.9
    warmup_steps: int = 100
    schedule: Literal["cosine", "step", "constant"] = "cosine"
    per: Literal["step", "epoch"] = "step"
    final_lr: float = 1e-3
    milestones: tuple[int, ...] = ()
    decay: float = 0.1
    clip_norm: float = 5.0

    def __post_init__(self) -> None:
        if self.lr <= 0:
            raise ValueError(f"lr is positive, got {self.lr}")
        if self.lr_batch < 0 or self.warmup_steps < 0 or self.clip_norm < 0:
            raise ValueError(
                "lr_batch, warmup_steps and clip_norm are not negative, got "
                f"{self.lr_batch}, {self.warmup_steps} and {self.clip_norm}"
            )
        if list(self.milestones) != sorted(self.milestones):
            raise ValueError(f"milestones are epochs in rising order, got {self.milestones}")

    def base_lr(self, batch_size: int) -> float:
        """Learning rate after the warm-up for a global batch of this size."""
        return self.lr * batch_size / self.lr_batch if self.lr_batch else self.lr


def create_optimiser(
    parameters: Iterable[nn.Parameter], config: OptimConfig, batch_size: int
) -> torch.optim.Optimizer:
    """SGD or AdamW over those parameters that are trained.

    Args:
        parameters: Of the network.
        config: Which, and its settings.
        batch_size: Global batch size, see ``OptimConfig.lr_batch``.
    """
    trained = [p for p in parameters if p.requires_grad]
    lr = config.base_lr(batch_size)
    # One kernel for all parameters. On a CPU its last digits would differ from those of old runs.
    fused = True if trained and all(p.is_cuda for p in trained) else None
    if config.name == "sgd":
        return torch.optim.SGD(
            trained, lr, config.momentum, weight_decay=config.weight_decay, fused=fused
        )
    return torch.optim.AdamW(trained, lr, weight_decay=config.weight_decay, fused=fused)


def load_optimiser(optimiser: torch.optim.Optimizer, state: Mapping[str, Any]) -> None:
    """Give an optimiser a state that may be of another device: it keeps its own kernels.

    Args:
        optimiser: Of :func:`create_optimiser`.
        state: What ``state_dict`` gave; it stays as it is.

    Raises:
        ValueError: It is of other parameters.
    """
    fused = optimiser.defaults["fused"]
    groups = [{**group, "fused": fused} for group in state["param_groups"]]
    optimiser.load_state_dict({**state, "param_groups": groups})


def lr_factor(
    step: int, max_steps: int, config: OptimConfig, steps_per_epoch: float = 1.0
) -> float:
    """Share of the learning rate at a step: a linear warm-up, then the schedule.

    Args:
        step: Optimiser steps done.
        max_steps: Steps of the whole run.
        config: The schedule.
        steps_per_epoch: Steps in which every video is seen once.
    """
    if step < config.warmup_steps:
        return (step + 1) / config.warmup_steps
    if config.schedule == "constant":
        return 1.0
    epoch = math.floor(step / steps_per_epoch + 1e-9)
    if config.schedule == "step":
        return float(config.decay ** sum(epoch >= m for m in config.milestones))
    if config.per == "epoch":
        progress = epoch / max(1.0, max_steps / steps_per_epoch)
    else:
        progress = (step - config.warmup_steps) / max(1, max_steps - config.warmup_steps)
    cosine = 0.5 * (1 + math.cos(math.pi * min(1.0, progress)))
    return config.final_lr + (1 - config.final_lr) * cosine


def step_optimiser(
    optimiser: torch.optim.Optimizer, scaler: torch.amp.GradScaler, lr: float, clip_norm: float
) -> None:
    """Step with the gradients that are there, and clear them.

    Args:
        optimiser: Has the parameters.
        scaler: Of the gradients, which scales nothing but in half precision.
        lr: Learning rate.
        clip_norm: Largest norm of the gradient; 0 for no limit.
    """
    for group in optimiser.param_groups:
        group["lr"] = lr
    if clip_norm > 0:
        scaler.unscale_(optimiser)
        trained = [p for group in optimiser.param_groups for p in group["params"]]
        nn.utils.clip_grad_norm_(trained, clip_norm)
    scaler.step(optimiser)
    scaler.update()
    optimiser.zero_grad(set_to_none=True)
