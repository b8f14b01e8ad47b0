"""The two-branch network: query branch, momentum branch and queue (MoCo, He et al. 2020)."""

import copy
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from rspnet.data.transforms import normalise
from rspnet.models import EMBEDDING_DIM, Branch, global_average_pool
from rspnet.names import HEADS
from rspnet.pretext.method import PretextMethod


@dataclass(frozen=True)
class Embeddings:
    """L2-normalised embeddings of one batch, each a dict of ``rsp`` and ``avid``, (B, 128)."""

    query: dict[str, Tensor]
    same_speed: dict[str, Tensor]
    other_speed: dict[str, Tensor]

    @classmethod
    def of(cls, query: dict[str, Tensor], keys: dict[str, Tensor]) -> "Embeddings":
        """From those of c_i, (B, 128), and of c_j and c_k one after the other, (2 B, 128)."""
        num = len(next(iter(query.values())))
        return cls(
            query={name: z.float() for name, z in query.items()},
            same_speed={name: z[:num].float() for name, z in keys.items()},
            other_speed={name: z[num:].float() for name, z in keys.items()},
        )


class TwoBranch(nn.Module):
    """RSPNet in pre-training.

    c_i goes through the query branch, c_j and c_k through the key branch, which is an
    exponential moving average of the query branch and gets no gradient.

    Args:
        query: The branch that is trained; its copy becomes the key branch.
        queue_length: K, the number of g_a keys held as negatives.

    Shape:
        queue: (128, K), columns L2-normalised. queue_video: (K,), the video of each column,
        -1 for the random columns that fill a new queue.

    Raises:
        ValueError: ``queue_length`` is not positive.
    """

    queue: Tensor
    queue_video: Tensor
    queue_position: Tensor

    def __init__(self, query: Branch, queue_length: int) -> None:
        super().__init__()
        if queue_length < 1:
            raise ValueError(f"queue_length is positive, got {queue_length}")
        self.query = query
        self.key = copy.deepcopy(query)
        self.key.requires_grad_(False)
        self.train(self.training)
        queue = functional.normalize(torch.randn(EMBEDDING_DIM, queue_length), dim=0)
        self.register_buffer("queue", queue)
        self.register_buffer("queue_video", torch.full((queue_length,), -1, dtype=torch.long))
        self.register_buffer("queue_position", torch.zeros((), dtype=torch.long))
        # The same number for the host: to read the buffer would wait for a GPU at every step.
        self._position = 0
        self.register_load_state_dict_post_hook(  # type: ignore[no-untyped-call]
            TwoBranch._read_position
        )

    def _read_position(self, _incompatible: object) -> None:
        self._position = int(self.queue_position)

    def train(self, mode: bool = True) -> "TwoBranch":
        """Set training mode; the key branch never drops units or paths.

        Keys are targets: chance in them is noise in the target (as in DINO, Caron et al. 2021,
        whose teacher has no stochastic depth). Its BatchNorm does train.
        """
        super().train(mode)
        dropping: tuple[type[nn.Module], ...] = (nn.Dropout, nn.Dropout3d)
        if operators := sys.modules.get("torchvision.ops"):
            # Only who has imported torchvision has a module of its, and the import takes seconds.
            dropping += (operators.StochasticDepth,)
        for module in self.key.modules():
            if isinstance(module, dropping):
                module.eval()
        return self

    @torch.no_grad()
    def centre_heads(
        self,
        clips: Iterable[Tensor],
        average: Callable[[Tensor], Tensor] = lambda mean: mean,
        names: Sequence[str] = HEADS,
    ) -> None:
        """Shift the heads' bias so that the embeddings of these clips have mean zero.

        The pooled features of a new network are positive and nearly the same for every clip, so
        all cosines start near 1 and differ by thousandths. Centred, they start spread out.

        Args:
            clips: Batches (B, 3, T, H, W).
            average: Takes the mean over all processes of a run.
            names: Which heads.
        """
        x = torch.cat([global_average_pool(self.query.features(batch)) for batch in clips])
        for name in names:
            head = self.query.head(name)
            last = head if isinstance(head, nn.Linear) else list(head.children())[-1]
            assert isinstance(last, nn.Linear)
            last.bias.sub_(average(head(x).mean(dim=0)))
            self.key.head(name).load_state_dict(head.state_dict())
        if set(names) == set(HEADS):  # a new network: statistics of BatchNorm as well
            self.key.load_state_dict(self.query.state_dict())

    @torch.no_grad()
    def update_key(self, momentum: float) -> None:
        """key <- momentum * key + (1 - momentum) * query, for the parameters.

        The key branch's BatchNorm statistics are its own: it sees its own batches.
        """
        key: list[Tensor] = list(self.key.parameters())
        query = [parameter.detach() for parameter in self.query.parameters()]
        torch._foreach_lerp_(key, query, 1.0 - momentum)

    @torch.no_grad()
    def embed_keys(self, clips: Tensor) -> dict[str, Tensor]:
        """Embeddings of clips by the key branch, without a gradient."""
        return {name: z.detach() for name, z in self.key(clips).items()}

    def forward(self, query: Tensor, same_speed: Tensor, other_speed: Tensor) -> Embeddings:
        """Embed c_i, c_j and c_k, each (B, 3, T, H, W).

        Both key clips go through the key branch in one batch, so BatchNorm there can't tell
        them apart by their statistics.
        """
        keys = self.embed_keys(torch.cat([same_speed, other_speed]))
        return Embeddings.of(self.query(query), keys)

    def empty_slots(self) -> Tensor:
        """Which queue entries no key was put into yet, (K,) booleans.

        They hold random vectors, which are no negatives: to get away from them all embeddings
        would best be the same.
        """
        return self.queue_video < 0

    def from_same_video(self, video: Tensor) -> Tensor:
        """Which queue entries come from a query's own video: (B,) -> (B, K) booleans."""
        return video[:, None] == self.queue_video[None, :]

    @torch.no_grad()
    def enqueue(self, keys: Tensor, video: Tensor) -> None:
        """Put keys (B, 128) of videos (B,) into the queue in place of its oldest.

        The queue wraps round, whether or not the batch divides it. Of a batch longer than the
        queue the last K keys stay.
        """
        length = self.queue.shape[1]
        keys, video = keys.detach()[-length:], video[-length:]
        slots = (self._position + torch.arange(len(keys), device=keys.device)) % length
        self.queue[:, slots] = keys.T.to(self.queue.dtype)
        self.queue_video[slots] = video.to(self.queue_video.device)
        self._position = (self._position + len(keys)) % length
        self.queue_position.fill_(self._position)


class MomentumMethod(PretextMethod, TwoBranch):
    """A method with a momentum branch and a queue of its keys.

    Its losses put (embeddings, videos) of a micro-batch into ``new_keys``.

    Args:
        branch: The branch that is trained; its copy becomes the key branch.
        settings: Of the method, ``queue_length`` and ``momentum`` among them.
    """

    def __init__(self, branch: Branch, settings: Any) -> None:
        TwoBranch.__init__(self, branch, settings.queue_length)
        self.settings = settings
        self.new_keys: list[tuple[Tensor, Tensor]] = []

    def branches(self) -> tuple[Branch, Branch]:
        """Query and key branch."""
        return self.query, self.key

    def clips_to_centre(self, batch: Any) -> Sequence[Tensor]:
        """Clips of a batch, (B, T, H, W, 3) uint8, that new heads are centred on."""
        raise NotImplementedError

    def prepare(
        self, batches: Iterable[Any], heads: Sequence[str], average: Callable[[Tensor], Tensor]
    ) -> None:
        """Centre new heads on the first batches, see :meth:`TwoBranch.centre_heads`."""
        if not heads:
            return
        device = self.queue.device
        clips = (clip for batch in batches for clip in self.clips_to_centre(batch))
        self.centre_heads((normalise(clip.to(device)) for clip in clips), average, heads)

    def after_step(self) -> None:
        """Move the key branch, then put the step's keys into the queue."""
        self.update_key(self.settings.momentum)
        for embedding, video in self.new_keys:
            self.enqueue(embedding, video)
        self.new_keys.clear()
