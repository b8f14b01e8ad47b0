"""Nearest neighbours of all videos of a gallery at once, a block of rows at a time.

A gallery of 20,000 videos has 4e8 similarities. They pass through memory in blocks, and only what
is asked for stays.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from rspnet.retrieval.gallery import FEATURES, Gallery

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
Similarities = NDArray[np.float32]

_CELLS = 2**23  # similarities in memory at once: 32 MiB


@dataclass(frozen=True, kw_only=True)
class Space:
    """A gallery as one of its features sees it.

    Attributes:
        name: What tables call it, such as ``rsp``.
        paths: The videos' files.
        labels: Their labels; empty where that is not known.
        vectors: (N, D) float32 at unit length.
    """

    name: str
    paths: tuple[Path, ...]
    labels: tuple[str, ...]
    vectors: NDArray[np.float32]

    def __post_init__(self) -> None:
        num = len(self.paths)
        if num < 2:
            raise ValueError(f"a gallery of at least two videos is looked at, got {num}")
        if self.vectors.ndim != 2 or len(self.vectors) != num or len(self.labels) != num:
            raise ValueError(
                f"there are {num} videos, {len(self.labels)} labels and vectors of the shape "
                f"{self.vectors.shape}: give one of each a video"
            )
        if not np.isfinite(self.vectors).all():
            raise ValueError(f"vectors of {self.name} are not finite: extract the gallery anew")
        length_N = np.linalg.norm(self.vectors, axis=1)
        if not (np.abs(length_N - 1) < 1e-3).all():
            worst = self.paths[int(np.abs(length_N - 1).argmax())]
            raise ValueError(
                f"vectors of {self.name} are at unit length, that of {worst} is not: divide each "
                "by its length"
            )

    def __len__(self) -> int:
        return len(self.paths)

    @classmethod
    def of(cls, gallery: Gallery, feature: str, name: str = "") -> "Space":
        """One feature of a gallery.

        Args:
            gallery: The videos.
            feature: ``backbone``, ``rsp`` or ``avid``.
            name: What tables call it; nothing for the feature's own name.

        Raises:
            ValueError: No such feature, or there are fewer than two videos.
        """
        if feature not in gallery.vectors:
            raise ValueError(f"feature is one of {list(FEATURES)}, got {feature!r}")
        return cls(
            name=name or feature,
            paths=gallery.paths,
            labels=gallery.labels,
            vectors=gallery.vectors[feature],
        )


def check_same_videos(spaces: Sequence[Space]) -> None:
    """Refuse spaces of different videos, or of the same in another order.

    Raises:
        ValueError: They differ; the first that does is named.
    """
    for other in spaces[1:]:
        first = spaces[0]
        if len(first) != len(other):
            raise ValueError(
                f"galleries of the same videos compare, {first.name} has {len(first)} and "
                f"{other.name} {len(other)}: extract both from one list"
            )
        for place, (mine, theirs) in enumerate(zip(first.paths, other.paths, strict=True)):
            if mine != theirs:
                raise ValueError(
                    f"galleries of the same videos in the same order compare, but video {place} is "
                    f"{mine} in {first.name} and {theirs} in {other.name}: extract both from one "
                    "list"
                )


def check_k(space: Space, k: int) -> None:
    """Refuse a number of neighbours that a video does not have.

    Raises:
        ValueError: It is not between 1 and the number of other files.
    """
    copies = max(np.unique(file_numbers(space), return_counts=True)[1])
    most = len(space) - int(copies)
    if not 1 <= k <= most:
        raise ValueError(f"k is between 1 and the {most} other videos of the gallery, got {k}")


def file_numbers(space: Space) -> Integers:
    """A number for each file, one for rows that are of the same, (N,)."""
    numbers: dict[Path, int] = {}
    return np.array([numbers.setdefault(path, len(numbers)) for path in space.paths], np.int64)


def blocks(spaces: Sequence[Space]) -> Iterator[tuple[slice, list[Similarities]]]:
    """Similarities of blocks of videos to all videos, in each space.

    Those of a file to itself are -inf: it is no neighbour of its own.

    Yields:
        Which rows these are, and (rows, N) for each space. They are used again for the next block.
    """
    num = len(spaces[0])
    files_N = file_numbers(spaces[0])
    copies = len(np.unique(files_N)) < num
    step = max(1, _CELLS // num)
    room = [np.empty((min(step, num), num), np.float32) for _ in spaces]
    for begin in range(0, num, step):
        rows = slice(begin, min(begin + step, num))
        size = rows.stop - begin
        for space, similarity in zip(spaces, room, strict=True):
            np.matmul(space.vectors[rows], space.vectors.T, out=similarity[:size])
            similarity[np.arange(size), np.arange(begin, rows.stop)] = -np.inf
            if copies:
                similarity[:size][files_N[rows, None] == files_N] = -np.inf
        yield rows, [similarity[:size] for similarity in room]


def top(similarity_BN: Similarities, k: int) -> Integers:
    """The k largest of each row, the largest first; of equals the first is the nearer, (B, k)."""
    num = similarity_BN.shape[1]
    if k >= num:
        return np.argsort(-similarity_BN, axis=1, kind="stable")[:, :k]
    found_BK = np.argpartition(similarity_BN, num - k, axis=1)[:, num - k :]
    values_BK = np.take_along_axis(similarity_BN, found_BK, axis=1)
    # Where more videos are as near as the last one, a partition takes any of them.
    least_B = values_BK.min(axis=1)
    tied = (similarity_BN >= least_B[:, None]).sum(axis=1) > k
    for row in np.flatnonzero(tied):
        found_BK[row] = np.argsort(-similarity_BN[row], kind="stable")[:k]
        values_BK[row] = similarity_BN[row, found_BK[row]]
    order = np.lexsort((found_BK, -values_BK), axis=1)
    return np.asarray(np.take_along_axis(found_BK, order, axis=1), np.int64)


def neighbours(space: Space, k: int) -> Integers:
    """The k nearest videos of each, the nearest first, (N, k).

    Raises:
        ValueError: There are not as many other videos.
    """
    check_k(space, k)
    return np.concatenate([top(similarity, k) for _, (similarity,) in blocks([space])])


def ranks(similarity_BN: Similarities, places_BK: Integers) -> Integers:
    """Which of its row's neighbours, counted from 1, each of some videos is, (B, K)."""
    order = np.arange(similarity_BN.shape[1])
    found = np.empty(places_BK.shape, np.int64)
    for column, place in enumerate(places_BK.T):
        own = np.take_along_axis(similarity_BN, place[:, None], axis=1)
        nearer = (similarity_BN > own).sum(axis=1)
        # Of equals the first is the nearer; the own value is one of them.
        equal = similarity_BN == own
        if equal.sum() > len(equal):
            nearer += (equal & (order < place[:, None])).sum(axis=1)
        found[:, column] = 1 + nearer
    return found
