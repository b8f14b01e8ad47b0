"""A gallery: a feature vector for each video, and the nearest of them.

A video is represented by clips at 1x, evenly spaced over its length. ``backbone`` is the mean
over clips of the pooled features of the last convolutional layer (supplementary B), ``rsp`` and
``avid`` the mean of the L2-normalised embeddings of either head; each is L2-normalised in the
end, so that a dot product is the cosine. :class:`Protocol` holds the choices.
"""

import sys
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from tqdm import tqdm

from rspnet.models import Branch
from rspnet.retrieval.store import (
    FEATURES,
    Manifest,
    Part,
    Protocol,
    Vectors,
    clear_folder,
    join_parts,
    part_path,
    read_manifest,
    read_part,
    write_manifest,
    write_part,
    write_unreadable,
)
from rspnet.retrieval.vectors import VideoRows, embed_views, load_views, protocol_for
from rspnet.text import Brief

__all__ = [
    "FEATURES",
    "Gallery",
    "Neighbour",
    "Protocol",
    "Vectors",
    "embed_video",
    "embed_videos",
    "protocol_for",
]


def largest(values: Vectors, num: int) -> NDArray[np.int64]:
    """Places of the ``num`` largest values, the largest first, and of equal ones the first.

    Only the chosen ones are sorted.

    Example:
        >>> largest(np.array([0.2, 0.9, 0.2, 0.5]), 3).tolist()
        [1, 3, 0]
    """
    num = min(num, len(values))
    if num < 1:
        return np.empty(0, np.int64)
    least = torch.topk(torch.from_numpy(values), num).values[-1].item()
    chosen = np.flatnonzero(values >= least)
    return chosen[np.argsort(-values[chosen], kind="stable")][:num]


@dataclass(frozen=True)
class Neighbour:
    """A video of a gallery that is near to a vector.

    Attributes:
        index: Its place in the gallery.
        path: Its file.
        label: Its label.
        similarity: Cosine of the two vectors.
    """

    index: int
    path: Path
    label: str
    similarity: float


@dataclass(frozen=True, repr=False)
class Gallery(Brief):
    """Feature vectors of videos. :func:`embed_videos` and ``python -m rspnet.extract`` make one.

    Attributes:
        paths: Files, in the order of the vectors.
        labels: One for each video.
        vectors: ``backbone`` (N, C), ``rsp`` (N, 128) and ``avid`` (N, 128), L2-normalised.
        model_hash: SHA-256 of the model file.
        protocol: How a video became a vector.
        skipped: (path, reason) of videos that could not be used.
        splits: The split that each video is of; nothing for a plain list of files.
        clip_starts: First frame of every clip, for each video, where that is known.
        model: The model's name or file.
        dataset: Name, root, split and fold of the data set; empty for a plain list of files.
    """

    paths: tuple[Path, ...]
    labels: tuple[str, ...]
    vectors: dict[str, Vectors]
    model_hash: str
    protocol: Protocol
    skipped: tuple[tuple[Path, str], ...] = ()
    splits: tuple[str, ...] = ()
    clip_starts: tuple[tuple[int, ...], ...] = ()
    model: str = ""
    dataset: dict[str, Any] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.paths)

    def take(self, indices: Sequence[int]) -> "Gallery":
        """Some of its videos as a gallery of their own.

        Args:
            indices: Places of the videos to keep, in the order they are to have.

        Example:
            >>> import numpy as np
            >>> vectors = {"rsp": np.eye(3, dtype=np.float32)}
            >>> paths = (Path("a.mp4"), Path("b.mp4"), Path("c.mp4"))
            >>> gallery = Gallery(paths, ("walk", "jump", "walk"), vectors, "", Protocol())
            >>> gallery.take([2, 0]).paths == (Path("c.mp4"), Path("a.mp4"))
            True
        """
        starts = self.clip_starts
        return replace(
            self,
            paths=tuple(self.paths[n] for n in indices),
            labels=tuple(self.labels[n] for n in indices),
            vectors={name: rows[list(indices)] for name, rows in self.vectors.items()},
            splits=tuple(self.splits[n] for n in indices) if self.splits else (),
            clip_starts=tuple(starts[n] for n in indices) if starts else (),
        )

    def nearest(
        self,
        vector: Vectors,
        feature: str,
        num: int = 5,
        exclude: Path | None = None,
    ) -> list[Neighbour]:
        """The videos with the largest cosine to a vector, the nearest first.

        Args:
            vector: (D,), of any length above 0.
            feature: ``backbone``, ``rsp`` or ``avid``.
            num: How many; fewer if the gallery has fewer.
            exclude: A file that is passed over, such as the query's own.

        Raises:
            ValueError: No such feature, or a vector that does not fit or has length 0.

        Example:
            >>> import numpy as np
            >>> vectors = {"rsp": np.eye(2, dtype=np.float32)}
            >>> gallery = Gallery((Path("a"), Path("b")), ("walk", "jump"), vectors, "", Protocol())
            >>> [n.label for n in gallery.nearest(np.array([0.5, 1.0]), "rsp")]
            ['jump', 'walk']
        """
        if feature not in self.vectors:
            raise ValueError(f"feature is one of {list(self.vectors)}, got {feature!r}")
        known = self.vectors[feature]
        length = float(np.linalg.norm(vector))
        if vector.shape != known.shape[1:] or not length > 0:
            raise ValueError(
                f"a vector of {feature!r} has the shape {known.shape[1:]} and a length above 0, "
                f"got {vector.shape} of length {length:g}"
            )
        similarity = known @ (vector / length).astype(np.float32)
        found: list[int] = []
        looked_at = 0
        while len(found) < num and looked_at < len(self):
            # Paths compare slowly: no more of them are looked at than it takes to find so many.
            order = largest(similarity, looked_at + num + 1)
            others = (
                int(i) for i in order[looked_at:] if exclude is None or self.paths[i] != exclude
            )
            found += islice(others, num - len(found))
            looked_at = len(order)
        return [Neighbour(i, self.paths[i], self.labels[i], float(similarity[i])) for i in found]

    def save(self, folder: str | Path) -> Path:
        """Write the gallery as a folder, in place of one that is there.

        See :mod:`rspnet.retrieval.store` for what is in it. The manifest goes first and comes last,
        so a gallery that was half-written is none.

        Raises:
            ValueError: ``folder`` is a file, or holds something other than a gallery.
        """
        folder = Path(folder)
        clear_folder(folder)
        unreadable = tuple((str(path), reason) for path, reason in self.skipped)
        part = Part(
            paths=tuple(map(str, self.paths)),
            labels=self.labels,
            splits=self.splits or ("",) * len(self),
            clip_starts=self.clip_starts or ((),) * len(self),
            vectors=self.vectors,
            unreadable=unreadable,
        )
        num_videos = len(self) + len(unreadable)
        manifest = Manifest(
            model=self.model,
            model_hash=self.model_hash,
            protocol=self.protocol,
            dataset=self.dataset,
            classes=tuple(dict.fromkeys(self.labels)),
            num_videos=num_videos,
            shard_size=max(1, num_videos),
            num_unreadable=len(unreadable),
            complete=True,
        )
        write_part(part_path(folder, 0), part, manifest.mark_of(0))
        write_unreadable(folder, unreadable)
        write_manifest(folder, manifest)
        return folder

    @classmethod
    def load(cls, folder: str | Path) -> "Gallery":
        """Read a folder that :meth:`save` or ``python -m rspnet.extract`` wrote.

        Raises:
            ValueError: It is missing, not complete, damaged or something else.
        """
        manifest = read_manifest(folder)
        if not manifest.complete:
            raise ValueError(
                f"{folder} is a gallery that is not complete: run the command that began it again"
            )
        try:
            parts = [
                read_part(part_path(folder, i), manifest.mark_of(i) if manifest.sealed else "")
                for i in range(manifest.num_shards)
            ]
            told = {(part.paths, part.unreadable) for part in parts}
            if len(told) < len(parts):
                raise ValueError("two of its parts are one and the same")
            part = join_parts(parts)
        except ValueError as error:
            raise ValueError(f"{folder} is a damaged gallery: {error}") from error
        found = len(part.paths) + len(part.unreadable)
        if found != manifest.num_videos:
            raise ValueError(
                f"{folder} is a damaged gallery: its parts tell of {found} videos, its manifest "
                f"of {manifest.num_videos}"
            )
        if manifest.num_unreadable not in (None, len(part.unreadable)):
            raise ValueError(
                f"{folder} is a damaged gallery: its parts tell of {len(part.unreadable)} "
                f"unreadable videos, its manifest of {manifest.num_unreadable}"
            )
        if not manifest.sealed:
            print(
                f"{folder} was written by an older version, without SHA-256: not all damage to it "
                "would be noticed",
                file=sys.stderr,
            )
        return cls._from_part(
            part,
            model_hash=manifest.model_hash,
            protocol=manifest.protocol,
            splits=part.splits,
            model=manifest.model,
            dataset=manifest.dataset,
        )

    @classmethod
    def _from_part(cls, part: Part, **more: Any) -> "Gallery":
        return cls(
            paths=tuple(map(Path, part.paths)),
            labels=part.labels,
            vectors=part.vectors,
            skipped=tuple((Path(path), reason) for path, reason in part.unreadable),
            clip_starts=part.clip_starts,
            **more,
        )


def embed_video(
    branch: Branch, path: str | Path, protocol: Protocol | None = None
) -> dict[str, Vectors]:
    """The vectors of one video; see this module.

    Args:
        branch: Query branch.
        path: A video file.
        protocol: How; nothing for :func:`protocol_for` the branch.

    Returns:
        ``backbone`` (C,), ``rsp`` (128,) and ``avid`` (128,), L2-normalised.

    Raises:
        ValueError: The video can't be read, or is too short and is to be refused then.

    Example:
        >>> import tempfile
        >>> from rspnet import Branch
        >>> from rspnet.data.synthetic.videos import generate
        >>> folder = generate(tempfile.mkdtemp(), 1, num_workers=1, progress=False)
        >>> branch = Branch("resnet18_fine", {"width": 2}, num_frames=8, size=32).eval()
        >>> vectors = embed_video(branch, next(folder.rglob("*.mp4")))
        >>> {name: vector.shape for name, vector in vectors.items()}
        {'backbone': (16,), 'rsp': (128,), 'avid': (128,)}
    """
    protocol = protocol or protocol_for(branch)
    views = load_views(path, protocol)
    (vectors,) = embed_views(branch, [views], protocol.pooling, protocol.num_clips)
    return vectors


def embed_videos(
    branch: Branch,
    paths: Sequence[str | Path],
    protocol: Protocol | None = None,
    *,
    progress: bool = True,
    on_video: Callable[[int], None] | None = None,
    lock: AbstractContextManager[object] | None = None,
) -> Gallery:
    """Embed videos into a gallery in memory, their folders' names as labels.

    Those that can't be used are listed in ``skipped``. To resume after a stop see
    :func:`rspnet.retrieval.build.build_gallery`; for a data set :mod:`rspnet.extract`.

    Args:
        branch: Query branch.
        paths: Video files.
        protocol: How; nothing for :func:`protocol_for` the branch.
        progress: Show a progress bar.
        on_video: Called after every video with how many are done.
        lock: Held while one video is embedded, for a branch that others use as well.

    Raises:
        ValueError: None of the videos can be used.

    Example:
        >>> import tempfile
        >>> from rspnet import Branch
        >>> from rspnet.data.synthetic.videos import generate
        >>> folder = generate(tempfile.mkdtemp(), 3, num_workers=1, progress=False)
        >>> branch = Branch("resnet18_fine", {"width": 2}, num_frames=8, size=32).eval()
        >>> gallery = embed_videos(branch, sorted(folder.rglob("*.mp4")), progress=False)
        >>> nearest = gallery.nearest(gallery.vectors["avid"][0], "avid", num=2)
        >>> nearest[0].index, round(nearest[0].similarity, 3)
        (0, 1.0)
    """
    protocol = protocol or protocol_for(branch)
    rows = VideoRows(branch.num_features)
    bar = tqdm(paths, desc="Embedding", unit="video", leave=False, disable=not progress)
    for number, path in enumerate(bar, start=1):
        with lock or nullcontext():
            rows.add(branch, path, protocol)
        if on_video is not None:
            on_video(number)
    if not rows.paths:
        reason = f"; the first: {rows.unreadable[0][1]}" if rows.unreadable else ""
        raise ValueError(f"none of {len(paths)} videos can be embedded{reason}")
    return Gallery._from_part(rows.part(), model_hash=branch.hash, protocol=protocol)
