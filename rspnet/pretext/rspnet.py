"""The method RSPNet: L = w_m * L_m + lambda(step) * L_a on triplets of clips (Eq. 4)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor
from torch.utils.data import Dataset

from rspnet.data.pretrain import Batch, DataConfig, PretrainDataset, Sample, collate
from rspnet.data.sources import Source
from rspnet.data.transforms import normalise
from rspnet.names import HEADS
from rspnet.pretext.losses import RSPForm, avid_logits, avid_loss, rsp_loss, rsp_margin
from rspnet.pretext.method import Losses, Step, register_method
from rspnet.pretext.network import Embeddings, MomentumMethod, TwoBranch

RELEASE_LOGIT_MARGIN = 2.0
PAPER_MARGIN = 0.15
COLLAPSED = 0.01  # spread of the embeddings below which they are all but one point


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
        avid_differences: Share of samples whose second positive of A-VID, c_k, is given as the
            differences of its frames (Tao et al. 2020, IIC: residual clips as a second view). RSP
            takes c_k as it is. Costs as many more keys.
        avid_backgrounds: Share of samples whose second positive of A-VID, c_k, is given half
            covered by a still frame of another video (after Wang et al. 2021, BE, who take it from
            the same video), so that the background no longer tells the video. RSP takes c_k as it
            is. Costs as many more keys.
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
    avid_differences: float = 0.0
    avid_backgrounds: float = 0.0

    def __post_init__(self) -> None:
        if not 0 <= self.momentum <= 1:
            raise ValueError(f"momentum is between 0 and 1, got {self.momentum}")
        shares = self.avid_differences, self.avid_backgrounds
        if min(shares) < 0 or sum(shares) > 1:
            raise ValueError(
                "avid_differences and avid_backgrounds are between 0 and 1, and no more than 1 "
                f"together, got {shares[0]} and {shares[1]}"
            )
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


def embedding_spread(embeddings: Tensor) -> Tensor:
    """1 - |mean of the normalised embeddings|: near 0 where they have collapsed to one point.

    Shape:
        (B, D) -> scalar.
    """
    spread: Tensor = 1.0 - torch.linalg.vector_norm(embeddings.mean(dim=0))
    return spread


def frame_differences(clips: Tensor) -> Tensor:
    """Each frame's difference to the next as a picture: half of it, about grey (128).

    The last frame has none and is grey, so that the length stays.

    Shape:
        (B, T, H, W, 3) uint8 -> the same.

    Example:
        >>> clip = torch.tensor([10, 20, 18], dtype=torch.uint8).view(1, 3, 1, 1, 1)
        >>> frame_differences(clip).flatten()
        tensor([133, 127, 128], dtype=torch.uint8)
    """
    difference = clips[:, 1:].short() - clips[:, :-1].short()
    pictures = torch.full_like(clips, 128)
    pictures[:, :-1] = (128 + difference // 2).clamp(0, 255).to(torch.uint8)
    return pictures


def before_other_backgrounds(clips: Tensor, others: Tensor) -> Tensor:
    """Each clip and a still picture of another, half and half.

    Args:
        clips: (B, T, H, W, 3) uint8.
        others: Clips whose middle frame is mixed in, of the same shape.

    Shape:
        (B, T, H, W, 3) uint8 -> the same.

    Example:
        >>> clips = torch.tensor([10, 20, 30], dtype=torch.uint8).view(1, 3, 1, 1, 1)
        >>> before_other_backgrounds(clips, clips + 100).flatten()
        tensor([65, 70, 75], dtype=torch.uint8)
    """
    still = others[:, others.shape[1] // 2, None].short()
    return ((clips.short() + still) // 2).to(torch.uint8)


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


@register_method("rspnet")
class RSPNet(MomentumMethod):
    """Relative speed perception and appearance-focused video instance discrimination (AAAI 2021).

    Args:
        branch: The branch that is trained; its copy becomes the key branch.
        settings: Losses, queue and momentum.
    """

    settings_class: ClassVar[type[Any]] = LossConfig
    clips_per_sample = 3
    columns: ClassVar[Sequence[str]] = (
        "loss",
        "rsp_loss",
        "avid_loss",
        "rsp_accuracy",
        "avid_top1",
        "rsp_spread",
        "avid_spread",
        "avid_weight",
    )

    @classmethod
    def samples(
        cls, videos: Sequence[Source], data: DataConfig, seed: int, settings: Any = None
    ) -> Dataset[Sample]:
        """Triplets c_i, c_j and c_k."""
        return PretrainDataset(videos, data, seed)

    @classmethod
    def collate(cls, samples: list[Sample]) -> Batch:
        """Stack triplets."""
        return collate(samples)

    @classmethod
    def trained_heads(cls, settings: Any) -> tuple[str, ...]:
        """Both."""
        return HEADS

    @property
    def may_have_unused(self) -> bool:
        """A head whose loss has no weight gets no gradient."""
        c: LossConfig = self.settings
        return c.avid_start > 0 or min(c.avid_weight, c.rsp_weight) == 0

    def clips_to_centre(self, batch: Batch) -> Sequence[Tensor]:
        """Those of both speeds."""
        return batch.query, batch.other_speed

    def losses(self, batch: Batch, step: Step) -> Losses:
        """Both losses of a micro-batch, against the queue as it stands."""
        query, same, other = (
            clips.to(step.device, non_blocking=True)
            for clips in (batch.query, batch.same_speed, batch.other_speed)
        )
        num, c = len(query), self.settings
        # Of the first samples, then of the next: their order is random.
        differences, backgrounds = round(c.avid_differences * num), round(c.avid_backgrounds * num)
        changed = min(differences + backgrounds, num)
        extra = []
        if differences:
            extra.append(frame_differences(other[:differences]))
        if changed > differences:
            mixed = slice(differences, changed)
            extra.append(before_other_backgrounds(other[mixed], other.roll(1, dims=0)[mixed]))
        keys = normalise(step.shuffle(torch.cat([same, other, *extra])))
        with step.autocast():
            query_embeddings = step.trained(normalise(query))
            key_embeddings = self.embed_keys(keys)
        own = {name: step.unshuffle(z) for name, z in key_embeddings.items()}
        seen = {name: z[: 2 * num] for name, z in own.items()}
        unchanged = own["avid"][num + changed : 2 * num]
        seen["avid"] = torch.cat([own["avid"][:num], own["avid"][2 * num :], unchanged])
        embeddings = Embeddings.of(query_embeddings, seen)
        video = batch.video.to(step.device)
        newest = embeddings.other_speed["avid"]
        self.new_keys.append((step.gather(newest), step.gather(video)))
        return pretext_losses(self, embeddings, video, self.settings, step.number)

    def summary(self, means: Mapping[str, float]) -> str:
        """Both losses, how often both tasks are solved, and speed."""
        collapsed = min(means["rsp_spread"], means["avid_spread"]) < COLLAPSED
        return (
            f"RSP {means['rsp_loss']:.3f} (order {means['rsp_accuracy']:.2f})  "
            f"A-VID {means['avid_loss']:.2f} (top-1 {means['avid_top1']:.2f})  "
            f"{means['clips_per_second']:.0f} clips/s"
            + ("  EMBEDDINGS COLLAPSED TO A POINT" if collapsed else "")
        )
