"""What tasks about an order share: clips one after another, orders as classes, a pairwise head."""

from collections.abc import Sequence
from itertools import combinations, permutations

import torch
from torch import Tensor, nn

from rspnet.data.pretrain import DataConfig
from rspnet.data.sampling import clip_indices, clip_span, pace_of
from rspnet.models.heads import global_average_pool
from rspnet.pretext.task import TaskHead

Order = tuple[int, ...]


def all_orders(num: int, *, reversible: bool = False) -> tuple[Order, ...]:
    """All orders of some things, the smallest first.

    Args:
        num: Things.
        reversible: An order and its reverse are one, of which that is given that begins with the
            smaller number.

    Example:
        >>> all_orders(3)
        ((0, 1, 2), (0, 2, 1), (1, 0, 2), (1, 2, 0), (2, 0, 1), (2, 1, 0))
        >>> all_orders(3, reversible=True)
        ((0, 1, 2), (0, 2, 1), (1, 0, 2))
    """
    orders = permutations(range(num))
    return tuple(order for order in orders if not reversible or order[0] < order[-1])


def order_name(order: Order) -> str:
    """An order as a class is called: ``3-1-2`` begins with the third.

    Example:
        >>> order_name((2, 0, 1))
        '3-1-2'
    """
    return "-".join(str(place + 1) for place in order)


def row_of_clips(
    num_clips: int, interval: int, source_fps: float, data: DataConfig
) -> list[list[int]]:
    """Frame indices of clips that follow one another, the first at frame 0.

    Args:
        num_clips: Clips.
        interval: Frames that are skipped between two clips, at the clips' frame rate.
        source_fps: The video's frames per second.
        data: Frames of a clip and their rate.

    Example:
        >>> row_of_clips(2, 1, 25.0, DataConfig(num_frames=3))
        [[0, 1, 2], [4, 5, 6]]
    """
    step = data.num_frames + interval
    pace = pace_of(source_fps, data.fps, data.stride)
    indices = clip_indices(0, num_clips * step - interval, pace=pace)
    return [indices[i * step : i * step + data.num_frames] for i in range(num_clips)]


def later(clips: Sequence[Sequence[int]], start: int) -> list[list[int]]:
    """The same clips from another frame on.

    Example:
        >>> later([[0, 1], [3, 4]], 10)
        [[10, 11], [13, 14]]
    """
    return [[start + index for index in clip] for clip in clips]


def row_span(num_clips: int, interval: int, video_fps: float, data: DataConfig) -> int:
    """Frames of the video that :func:`row_of_clips` reaches over."""
    num_frames = num_clips * (data.num_frames + interval) - interval
    return clip_span(num_frames, 1, pace_of(video_fps, data.fps, data.stride))


class PairwiseHead(TaskHead):
    """Predicts an order from features of each pair of clips.

    Pooled features of two clips are concatenated and go through one layer with ReLU, the same for
    each pair (i, j), i < j; what comes of all pairs is concatenated and read by a linear layer. In
    evaluation mode it is piecewise linear in the features of each clip.

    Args:
        num_features: C of the encoder.
        orders: The classes; their length is the number of clips.
        hidden: Width of the layer of a pair.
        batch_norm: Whether a BatchNorm, over all pairs, stands before its ReLU.
        dropout: Share of a pair's features that is dropped in training.

    Example:
        >>> import torch
        >>> head = PairwiseHead(8, all_orders(3))
        >>> head.classes[:2], head.num_clips
        (('1-2-3', '1-3-2'), 3)
        >>> head([torch.zeros(4, 8, 2, 3, 3)] * 3).shape
        torch.Size([4, 6])
    """

    def __init__(
        self,
        num_features: int,
        orders: Sequence[Order],
        hidden: int = 512,
        *,
        batch_norm: bool = False,
        dropout: float = 0.5,
    ) -> None:
        super().__init__()
        self.classes = tuple(map(order_name, orders))
        self.num_clips = len(orders[0])
        num_pairs = self.num_clips * (self.num_clips - 1) // 2
        norm = [nn.BatchNorm1d(hidden)] if batch_norm else []
        self.pair = nn.Sequential(nn.Linear(2 * num_features, hidden), *norm, nn.ReLU())
        self.dropout = nn.Dropout(dropout)
        self.fc = nn.Linear(num_pairs * hidden, len(self.classes))

    def forward(self, features: Sequence[Tensor]) -> Tensor:
        """Logits of clips in the order in which they are shown, (B, num_classes)."""
        x = list(map(global_average_pool, features))
        pairs = [torch.cat(pair, dim=1) for pair in combinations(x, 2)]
        hidden = self.dropout(self.pair(torch.cat(pairs)))
        logits: Tensor = self.fc(torch.cat(hidden.chunk(len(pairs)), dim=1))
        return logits
