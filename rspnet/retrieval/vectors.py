"""From a video to its vectors: clips, a forward pass, pooling, mean over the clips.

:mod:`rspnet.retrieval.gallery` and :mod:`rspnet.extract` both go this way.
"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from rspnet.data.sampling import clip_indices, clip_span, even_starts, pace_of
from rspnet.data.transforms import Frames, eval_clips, normalise
from rspnet.data.video.reader import VideoReader
from rspnet.files import label_of
from rspnet.models import Branch, evaluation_mode
from rspnet.models.heads import EMBEDDING_DIM, global_average_pool
from rspnet.retrieval.store import FEATURES, Part, Pooling, Protocol, Short, Vectors

# Kernels on a CPU are chosen by the size of the batch, and each rounds in its own way. So clips go
# through the network in pairs there, and what else is in a batch changes no bit. On two cores pairs
# are 1.3 times as fast as batches of 32 for the small 3D ResNet, and 0.8 times as fast as batches
# of 8 for the paper's.
CPU_BATCH = 2
# From a pair of clips, (2, T, H, W, 3) uint8, to what PooledVectors gives.
Forward = Callable[[Tensor], Sequence[Tensor]]


def protocol_for(
    branch: Branch,
    *,
    num_clips: int = 10,
    pooling: Pooling = "max",
    fps: float | None = None,
    short: Short = "loop",
) -> Protocol:
    """The protocol of supplementary B for the clips that a model takes; see :class:`Protocol`."""
    return Protocol(
        num_clips=num_clips,
        num_frames=branch.num_frames,
        size=branch.size,
        pooling=pooling,
        fps=fps,
        short=short,
    )


@dataclass(frozen=True)
class Views:
    """The clips of a video, which share frames.

    Attributes:
        frames: Each frame that is needed once, (N, size, size, 3).
        places: Which of them a clip consists of, (num_clips, T).
        starts: First frame of every clip, in the video.
    """

    frames: Frames
    places: NDArray[np.int64]
    starts: tuple[int, ...]


def load_views(path: str | Path, protocol: Protocol) -> Views:
    """Decode the clips of a video, in the deterministic view of evaluation.

    Raises:
        ValueError: The video can't be read, or is shorter than a clip and is to be refused then.
    """
    p = protocol
    with VideoReader(path) as reader:
        length, pace = len(reader), pace_of(reader.fps, p.fps)
        span = clip_span(p.num_frames, p.speed, pace)
        if length < span and p.short == "refuse":
            raise ValueError(f"{path}: {length} frames, a clip of this model takes {span}")
        starts = even_starts(length, p.num_clips, p.num_frames, p.speed, pace)
        indices = [
            clip_indices(start, p.num_frames, p.speed, video_length=length, pace=pace)
            for start in starts
        ]
        frames, places = eval_clips(reader, indices, p.size)
    return Views(frames, places, tuple(starts))


class PooledVectors(torch.nn.Module):
    """From clips, (B, T, H, W, 3) uint8, to the tensors of :data:`FEATURES`, in their order."""

    def __init__(self, branch: Branch, pooling: Pooling) -> None:
        super().__init__()
        self.branch, self.pooling = branch, pooling

    def forward(self, clips: Tensor) -> tuple[Tensor, ...]:
        """``backbone`` (B, C), not normalised, ``rsp`` and ``avid`` (B, 128), normalised."""
        F = self.branch.features(normalise(clips))
        x = F.amax(dim=(2, 3, 4)) if self.pooling == "max" else global_average_pool(F)
        parts = {"backbone": x, **self.branch.project(F)}
        return tuple(parts[name] for name in FEATURES)


@torch.inference_mode()
def embed_clips(
    branch: Branch, clips: Frames, pooling: Pooling, forward: Forward | None = None
) -> dict[str, Vectors]:
    """Features and embeddings of clips, each clip by itself.

    Args:
        branch: Query branch.
        clips: (B, T, H, W, 3) uint8.
        pooling: Makes ``backbone`` of the features, see :class:`Protocol`.
        forward: Takes the place of :class:`PooledVectors` for pairs of clips on a CPU, see
            :func:`rspnet.retrieval.openvino.compile_forward`.

    Returns:
        ``backbone`` (B, C), not normalised, and the L2-normalised ``rsp`` (B, 128) and ``avid``
        (B, 128).

    Raises:
        ValueError: A feature is not finite.
    """
    batch = torch.from_numpy(clips).to(branch.device)
    if batch.device.type == "cpu":
        pairs = [
            _embed_batch(branch, pair, pooling, forward) for pair in torch.split(batch, CPU_BATCH)
        ]
        rows = {name: np.concatenate([pair[name] for pair in pairs]) for name in FEATURES}
    else:
        rows = _embed_batch(branch, batch, pooling)
    if not all(np.isfinite(values).all() for values in rows.values()):
        raise ValueError("the model gives features that are not finite: its weights are invalid")
    return rows


def _embed_batch(
    branch: Branch, batch: Tensor, pooling: Pooling, forward: Forward | None = None
) -> dict[str, Vectors]:
    num = len(batch)
    if num < CPU_BATCH:
        batch = torch.cat([batch] * CPU_BATCH)
    if forward is None:
        with evaluation_mode(branch):
            parts = PooledVectors(branch, pooling)(batch)
    else:
        parts = forward(batch)
    return {
        name: part[:num].float().cpu().numpy() for name, part in zip(FEATURES, parts, strict=True)
    }


def _normalised(vector: NDArray[np.float64]) -> Vectors:
    return (vector / max(float(np.linalg.norm(vector)), 1e-12)).astype(np.float32)


def _video_vectors(rows: Sequence[dict[str, Vectors]]) -> dict[str, Vectors]:
    """The vectors of a video from those of its clips: mean over clips, L2-normalised."""
    return {
        name: _normalised(np.stack([row[name] for row in rows]).astype(np.float64).mean(axis=0))
        for name in FEATURES
    }


def embed_views(
    branch: Branch,
    views: Iterable[Views],
    pooling: Pooling,
    batch_size: int,
    forward: Forward | None = None,
) -> Iterator[dict[str, Vectors]]:
    """The vectors of videos, in their order.

    Clips of one or more videos make a forward pass. On a CPU neither ``batch_size`` nor the videos
    beside it change a video's vectors by a bit. On a GPU the last digits depend on them.

    Args:
        branch: Query branch.
        views: The videos' clips.
        pooling: See :class:`Protocol`.
        batch_size: Clips in a forward pass.
        forward: See :func:`embed_clips`.

    Yields:
        ``backbone`` (C,), ``rsp`` (128,) and ``avid`` (128,), L2-normalised.

    Raises:
        ValueError: A feature is not finite.
    """
    counts: deque[int] = deque()  # clips of the videos still to be given
    clips: list[Frames] = []
    rows: list[dict[str, Vectors]] = []

    def pass_on() -> None:
        found = embed_clips(branch, np.stack(clips[:batch_size]), pooling, forward)
        del clips[:batch_size]
        size = len(found["backbone"])
        rows.extend({name: values[i] for name, values in found.items()} for i in range(size))

    def finished() -> Iterator[dict[str, Vectors]]:
        while counts and len(rows) >= counts[0]:
            num = counts.popleft()
            yield _video_vectors(rows[:num])
            del rows[:num]

    for view in views:
        counts.append(len(view.places))
        clips.extend(view.frames[places] for places in view.places)
        while len(clips) >= batch_size:
            pass_on()
        yield from finished()
    while clips:
        pass_on()
    yield from finished()


def stack_vectors(rows: Sequence[dict[str, Vectors]], num_features: int) -> dict[str, Vectors]:
    """The vectors of videos, each as one array: (N, C), (N, 128) and (N, 128), N may be 0."""
    sizes = dict.fromkeys(FEATURES, EMBEDDING_DIM) | {"backbone": num_features}
    return {
        name: np.stack([row[name] for row in rows]) if rows else np.empty((0, size), np.float32)
        for name, size in sizes.items()
    }


@dataclass
class VideoRows:
    """Videos that are embedded one after the other, and those that can't be.

    Attributes:
        num_features: Channels of ``backbone``.
        paths: Files.
        starts: First frame of every clip, for each of them.
        vectors: Those of each file.
        unreadable: (path, reason) of the files that can't be used.
    """

    num_features: int
    paths: list[str] = field(default_factory=list)
    starts: list[tuple[int, ...]] = field(default_factory=list)
    vectors: list[dict[str, Vectors]] = field(default_factory=list)
    unreadable: list[tuple[str, str]] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.paths) + len(self.unreadable)

    def take(self, part: Part) -> None:
        """Begin with the rows of a part."""
        self.paths, self.starts = list(part.paths), list(part.clip_starts)
        self.unreadable = list(part.unreadable)
        self.vectors = [
            {name: part.vectors[name][i] for name in FEATURES} for i in range(len(part.paths))
        ]

    def add(
        self,
        branch: Branch,
        path: str | Path,
        protocol: Protocol,
        check: Callable[[Path], None] = lambda _: None,
    ) -> None:
        """Embed one more file, or note why it can't be."""
        try:
            check(Path(path))
            views = load_views(path, protocol)
            self.vectors += embed_views(branch, [views], protocol.pooling, protocol.num_clips)
        except ValueError as error:
            self.unreadable.append((str(path), str(error)))
            return
        self.paths.append(str(path))
        self.starts.append(views.starts)

    def part(self) -> Part:
        """All of them, their folders' names as labels."""
        return Part(
            paths=tuple(self.paths),
            labels=tuple(map(label_of, self.paths)),
            splits=("",) * len(self.paths),
            clip_starts=tuple(self.starts),
            vectors=stack_vectors(self.vectors, self.num_features),
            unreadable=tuple(self.unreadable),
        )
