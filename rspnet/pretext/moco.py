"""The method MoCo: appearance-focused video instance discrimination (A-VID) alone."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor
from torch.utils.data import Dataset

from rspnet.data.pretrain import DataConfig, PretrainDataset, Sample
from rspnet.data.sampling import ClipSpec, Triplet
from rspnet.data.sources import Source
from rspnet.data.stream import SampleKey
from rspnet.data.transforms import normalise
from rspnet.models import Branch
from rspnet.pretext.losses import avid_logits, avid_loss
from rspnet.pretext.method import Losses, Step, register_method
from rspnet.pretext.network import MomentumMethod
from rspnet.pretext.rspnet import COLLAPSED, embedding_spread


@dataclass(frozen=True, kw_only=True)
class MoCoConfig:
    """Settings of A-VID alone: RSPNet's of these names, with the same defaults.

    Attributes:
        temperature: tau of the InfoNCE (paper: 0.07).
        queue_length: Keys held as negatives (paper: 16,384).
        mask_same_video: Don't count queue entries of a query's own video as negatives.
        momentum: m of the key branch's moving average (paper: 0.999).

    Raises:
        ValueError: A setting is out of range.
    """

    temperature: float = 0.07
    queue_length: int = 1024
    mask_same_video: bool = True
    momentum: float = 0.95

    def __post_init__(self) -> None:
        if not 0 <= self.momentum <= 1:
            raise ValueError(f"momentum is between 0 and 1, got {self.momentum}")
        if self.temperature <= 0 or self.queue_length < 1:
            raise ValueError(
                "temperature and queue_length are positive, got "
                f"temperature={self.temperature}, queue_length={self.queue_length}"
            )


@dataclass(frozen=True)
class PairBatch:
    """A batch of pairs: clips (B, T, H, W, 3) uint8, videos (B,)."""

    query: Tensor
    key: Tensor
    video: Tensor
    failures: tuple[tuple[int, str], ...]


class PairDataset(PretrainDataset):
    """c_i with a positive of the same video: by turns one of its speed, and one of another."""

    def taken(self, triplet: Triplet, key: SampleKey) -> Sequence[ClipSpec]:
        """c_i, and c_j or c_k."""
        pairs = len(self.config.speeds) * (len(self.config.speeds) - 1)
        turn = key.position // pairs % 2  # the speeds have turned once when this does
        return triplet.query, (triplet.same_speed, triplet.other_speed)[turn]


@register_method("moco")
class MoCo(MomentumMethod):
    """Instance discrimination with a momentum branch and a queue (He et al., CVPR 2020).

    L = -log(exp(z_i . z_j / tau) / (exp(z_i . z_j / tau) + sum_n exp(z_i . q_n / tau))) with z the
    embeddings of the head g_a: RSPNet's A-VID (Eq. 3) without RSP, whose head is not trained. Two
    clips of a video are a pair; as in RSPNet the positive has c_i's speed in half of the samples,
    and another in the other half.

    Args:
        branch: The branch that is trained; its copy becomes the key branch.
        settings: Temperature, queue and momentum.

    Example:
        >>> from rspnet import Branch
        >>> network = MoCo(Branch("resnet18_fine", {"width": 4}), MoCoConfig(queue_length=8))
        >>> network.queue.shape
        torch.Size([128, 8])
    """

    settings_class: ClassVar[type[Any]] = MoCoConfig
    clips_per_sample = 2
    columns: ClassVar[Sequence[str]] = ("loss", "avid_top1", "avid_spread")

    def __init__(self, branch: Branch, settings: MoCoConfig) -> None:
        branch.projections["rsp"].requires_grad_(False)
        super().__init__(branch, settings)

    @classmethod
    def samples(
        cls, videos: Sequence[Source], data: DataConfig, seed: int, settings: Any = None
    ) -> Dataset[Sample]:
        """Pairs of clips."""
        return PairDataset(videos, data, seed)

    @classmethod
    def collate(cls, samples: list[Sample]) -> PairBatch:
        """Stack pairs."""
        query, key = (torch.stack([s.clips[i] for s in samples]) for i in range(2))
        video = torch.tensor([s.video for s in samples])
        return PairBatch(query, key, video, tuple(f for s in samples for f in s.failures))

    @classmethod
    def trained_heads(cls, settings: Any) -> tuple[str, ...]:
        """A-VID's."""
        return ("avid",)

    def clips_to_centre(self, batch: PairBatch) -> Sequence[Tensor]:
        """All."""
        return batch.query, batch.key

    def losses(self, batch: PairBatch, step: Step) -> Losses:
        """InfoNCE of a micro-batch, against the queue as it stands."""
        query = normalise(batch.query.to(step.device, non_blocking=True))
        keys = normalise(step.shuffle(batch.key.to(step.device, non_blocking=True)))
        video = batch.video.to(step.device)
        with step.autocast():
            z = step.trained(query)["avid"]
            key = self.embed_keys(keys)["avid"]
        z, key = z.float(), step.unshuffle(key).float()
        ignore = self.empty_slots().expand(len(video), -1)
        if self.settings.mask_same_video:
            ignore = ignore | self.from_same_video(video)
        temperature = self.settings.temperature
        queue = self.queue.clone()
        loss = avid_loss(z, [key], queue, temperature, ignore)
        self.new_keys.append((step.gather(key), step.gather(video)))
        with torch.no_grad():
            logits = avid_logits(z, key, queue, temperature, ignore)
            scalars: dict[str, float | Tensor] = {
                "loss": loss.detach(),
                "avid_top1": (logits.argmax(dim=1) == 0).float().mean(),
                "avid_spread": embedding_spread(z),
            }
        return Losses(loss, scalars)

    def summary(self, means: Mapping[str, float]) -> str:
        """The loss, how often the positive is found among all keys, and chance."""
        return (
            f"A-VID {means['loss']:.2f} (top-1 {means['avid_top1']:.2f}, chance "
            f"{1 / (1 + self.queue.shape[1]):.4f})  {means['clips_per_second']:.0f} clips/s"
            + ("  EMBEDDINGS COLLAPSED TO A POINT" if means["avid_spread"] < COLLAPSED else "")
        )
