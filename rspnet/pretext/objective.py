"""The training objective L = w_m * L_m + lambda(step) * L_a, and what to watch while it falls."""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from rspnet.pretext.losses import RSPForm, avid_logits, avid_loss, rsp_loss, rsp_margin
from rspnet.pretext.network import Embeddings, TwoBranch

RELEASE_LOGIT_MARGIN = 2.0
PAPER_MARGIN = 0.15


@dataclass(frozen=True, kw_only=True)
class LossConfig:
    """Losses, queue and momentum.

    Attributes:
        rsp_form: ``hinge`` (paper), ``hinge_logits`` (release) or ``logistic``.
        rsp_margin: gamma in the units of the form. Nothing: 0.15 for ``hinge``, 2.0 for
            ``hinge_logits``.
        rsp_temperature: tau of the forms that divide by it.
        rsp_weight: Weight of the RSP loss.
        avid_temperature: tau of the A-VID loss.
        avid_weight: lambda, the weight of the A-VID loss after its warm-up (paper: 1).
        avid_start: Steps before A-VID's weight begins to rise from 0.
        avid_warmup: Steps over which it rises to lambda, linearly (paper: 0). In a short training
            RSP is found first, or not at all.
        queue_length: Keys held as negatives (paper: 16,384).
        mask_same_video: Don't count queue entries of a query's own video as negatives. Matters
            when the queue is longer than the data set.
        momentum: m of the key branch's moving average (paper: 0.999).
    """

    rsp_form: RSPForm = "logistic"
    rsp_margin: float | None = None
    rsp_temperature: float = 0.07
    rsp_weight: float = 1.0
    avid_temperature: float = 0.07
    avid_weight: float = 0.3
    avid_start: int = 0
    avid_warmup: int = 1000
    queue_length: int = 1024
    mask_same_video: bool = True
    momentum: float = 0.95

    def __post_init__(self) -> None:
        if not 0 <= self.momentum <= 1:
            raise ValueError(f"momentum is between 0 and 1, got {self.momentum}")
        if min(self.rsp_weight, self.avid_weight, self.avid_start, self.avid_warmup) < 0:
            raise ValueError(
                "weights and warm-up steps are not negative, got "
                f"rsp_weight={self.rsp_weight}, avid_weight={self.avid_weight}, "
                f"avid_start={self.avid_start}, avid_warmup={self.avid_warmup}"
            )

    @property
    def margin(self) -> float:
        """gamma, with the default of the form."""
        if self.rsp_margin is not None:
            return self.rsp_margin
        return RELEASE_LOGIT_MARGIN if self.rsp_form == "hinge_logits" else PAPER_MARGIN


def avid_weight_at(step: int, config: LossConfig) -> float:
    """lambda at a step: 0 until ``avid_start``, then rising over ``avid_warmup`` steps."""
    if step < config.avid_start:
        return 0.0
    if config.avid_warmup == 0:
        return config.avid_weight
    return config.avid_weight * min(1.0, (step - config.avid_start + 1) / config.avid_warmup)


@dataclass(frozen=True)
class Losses:
    """Losses of one batch.

    Attributes:
        total: What to minimise, a scalar with a graph.
        scalars: What to log, by name.
    """

    total: Tensor
    scalars: dict[str, float | Tensor]


def embedding_spread(embeddings: Tensor) -> Tensor:
    """1 - |mean of the normalised embeddings|: near 0 where they have collapsed to one point.

    Shape:
        (B, D) -> scalar.
    """
    spread: Tensor = 1.0 - torch.linalg.vector_norm(embeddings.mean(dim=0))
    return spread


def pretext_losses(
    network: TwoBranch, embeddings: Embeddings, video: Tensor, config: LossConfig, step: int
) -> Losses:
    """Both losses of a batch, against the network's queue as it stands.

    Args:
        network: Holds the queue.
        embeddings: Of this batch.
        video: Videos of the batch, (B,).
        config: Forms, weights, temperatures.
        step: For the warm-up of lambda.
    """
    q, same, other = embeddings.query, embeddings.same_speed, embeddings.other_speed
    rsp = rsp_loss(
        q["rsp"],
        same["rsp"],
        other["rsp"],
        form=config.rsp_form,
        margin=config.margin,
        temperature=config.rsp_temperature,
    )
    ignore = network.empty_slots().expand(len(video), -1)
    if config.mask_same_video:
        ignore = ignore | network.from_same_video(video)
    queue = network.queue.clone()
    keys = [same["avid"], other["avid"]]
    avid = avid_loss(q["avid"], keys, queue, config.avid_temperature, ignore)
    weight = avid_weight_at(step, config)
    total = config.rsp_weight * rsp
    if weight > 0:
        total = total + weight * avid
    with torch.no_grad():
        margin = rsp_margin(q["rsp"], same["rsp"], other["rsp"])
        logits = avid_logits(q["avid"], same["avid"], queue, config.avid_temperature, ignore)
        scalars: dict[str, Any] = {
            "loss": total.detach(),
            "rsp_loss": rsp.detach(),
            "avid_loss": avid.detach(),
            "rsp_accuracy": (margin > 0).float().mean(),
            "avid_top1": (logits.argmax(dim=1) == 0).float().mean(),
            "rsp_spread": embedding_spread(q["rsp"]),
            "avid_spread": embedding_spread(q["avid"]),
            "avid_weight": weight,
        }
    return Losses(total, scalars)
