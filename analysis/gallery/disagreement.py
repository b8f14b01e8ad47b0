"""Where two features of a gallery disagree most: pairs that are nearer by one than by the other.

Cosines of two heads have their own mean and spread, so they do not compare as they are. Two
measures do: the *z-score*, a similarity less the mean over all pairs of videos, over their
standard deviation; and the *rank*, which of a video's neighbours another is.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from analysis.gallery.neighbours import (
    Floats,
    Integers,
    Similarities,
    Space,
    blocks,
    check_k,
    check_same_videos,
    file_numbers,
    ranks,
    top,
)


@dataclass(frozen=True, kw_only=True)
class DisputedPair:
    """Two videos that one feature finds nearer than the other.

    Attributes:
        i: Place of a video in the gallery.
        j: Place of the other.
        path_i: File of the first.
        path_j: File of the second.
        label_i: Label of the first.
        label_j: Label of the second.
        similarity: Cosine, by feature.
        z: The same as a z-score.
        rank: Which of i's neighbours j is, counted from 1.
    """

    i: int
    j: int
    path_i: str
    path_j: str
    label_i: str
    label_j: str
    similarity: dict[str, float]
    z: dict[str, float]
    rank: dict[str, int]

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return dict(vars(self))


@dataclass(frozen=True, kw_only=True)
class Disagreement:
    """Where two features disagree.

    Attributes:
        names: Of the two features, a and b.
        k: Neighbours that count as near in ``by_rank``.
        by_z: For a, the pairs whose z-score by a exceeds that by b most; for b the other way
            round. The largest difference first.
        by_rank: For a, the pairs of a video and one of its k nearest by a that stands last among
            its neighbours by b; for b the other way round.
        differences: For each video the root mean square, over all other videos, of the difference
            of both z-scores, (N,). 0 for features that agree, near sqrt(2) for independent ones.
        paths: The videos' files.
    """

    names: tuple[str, str]
    k: int
    by_z: dict[str, tuple[DisputedPair, ...]]
    by_rank: dict[str, tuple[DisputedPair, ...]]
    differences: Floats
    paths: tuple[str, ...]

    @property
    def videos(self) -> Integers:
        """Places of all videos, that on which the features disagree most first, (N,)."""
        return np.argsort(-self.differences, kind="stable").astype(np.int64)

    def to_json(self) -> dict[str, Any]:
        """Plain values."""

        def lists(found: dict[str, tuple[DisputedPair, ...]]) -> dict[str, Any]:
            return {name: [pair.to_json() for pair in pairs] for name, pairs in found.items()}

        return {
            "names": list(self.names),
            "k": self.k,
            "by_z": lists(self.by_z),
            "by_rank": lists(self.by_rank),
            "videos": [
                {"path": self.paths[n], "difference": float(self.differences[n])}
                for n in self.videos
            ],
        }


@dataclass(frozen=True, kw_only=True)
class Moments:
    """Mean and standard deviation of the similarities of all pairs of different files."""

    mean: float
    deviation: float

    def z(self, similarity: float | Floats) -> Any:
        """A similarity as a z-score."""
        return (similarity - self.mean) / self.deviation


def moments(space: Space) -> Moments:
    """Mean and spread of all similarities, without computing them.

    The sum of v_i . v_j over all pairs is |sum of v|^2, and that of their squares the sum of the
    squares of V^T V, which is only (D, D). What a file has with itself is taken off.

    Raises:
        ValueError: All pairs are equally similar, so that there is no z-score.
    """
    V = space.vectors.astype(np.float64)
    total = float((V.sum(axis=0) ** 2).sum())
    squares = float(((V.T @ V) ** 2).sum())
    files_N = file_numbers(space)
    # The numbers of a file's rows follow each other in this order.
    order = np.argsort(files_N, kind="stable")
    starts = np.flatnonzero(np.diff(files_N[order], prepend=-1))
    num = float(len(V)) ** 2
    for rows in np.split(order, starts[1:]):
        own = V[rows] @ V[rows].T
        total -= float(own.sum())
        squares -= float((own**2).sum())
        num -= own.size
    if num < 1:
        raise ValueError(f"the gallery of {space.name} holds one file only: there are no pairs")
    mean = total / num
    variance = squares / num - mean**2
    if not variance > 1e-12:
        raise ValueError(
            f"all videos are equally similar by {space.name} ({mean:.4g}): there is nothing to "
            "disagree about. Is the gallery of a trained model, of more than two videos?"
        )
    return Moments(mean=mean, deviation=float(np.sqrt(variance)))


class _Best:
    """The entries with the largest values seen so far."""

    def __init__(self, num: int) -> None:
        self.num = num
        self.values: NDArray[np.float32] = np.empty(0, np.float32)
        self.pairs: Integers = np.empty((0, 2), np.int64)

    def add(self, values: NDArray[np.float32], i: Integers, j: Integers) -> None:
        """Of equals, the pair that comes first in the gallery stays."""
        values = np.concatenate([self.values, values])
        pairs = np.concatenate([self.pairs, np.stack([i, j], axis=1)])
        order = np.lexsort((pairs[:, 1], pairs[:, 0], -values))[: self.num]
        self.values, self.pairs = values[order], pairs[order]

    def add_table(self, values_BN: NDArray[np.float32], first_row: int) -> None:
        """The same for a block of all pairs; entries of -inf do not count."""
        flat = values_BN.ravel()
        least = self.values[-1] if len(self.values) == self.num else np.float32(-np.inf)
        places = np.flatnonzero(flat > least)
        if len(places) > self.num:
            cut = np.partition(flat[places], len(places) - self.num)[len(places) - self.num]
            places = places[flat[places] >= cut]
        i, j = np.divmod(places, values_BN.shape[1])
        self.add(flat[places], i + first_row, j)


def _describe(
    spaces: Sequence[Space], measures: Sequence[Moments], pairs: Integers
) -> tuple[DisputedPair, ...]:
    first = spaces[0]
    files_N = file_numbers(first)
    found = []
    for i, j in pairs.tolist():
        similarity, z, rank = {}, {}, {}
        for space, measure in zip(spaces, measures, strict=True):
            row: Similarities = (space.vectors @ space.vectors[i])[None]
            row[0, files_N == files_N[i]] = -np.inf
            similarity[space.name] = float(row[0, j])
            z[space.name] = float(measure.z(row[0, j]))
            rank[space.name] = int(ranks(row, np.array([[j]]))[0, 0])
        found.append(
            DisputedPair(
                i=i,
                j=j,
                path_i=str(first.paths[i]),
                path_j=str(first.paths[j]),
                label_i=first.labels[i],
                label_j=first.labels[j],
                similarity=similarity,
                z=z,
                rank=rank,
            )
        )
    return tuple(found)


def disagreement(a: Space, b: Space, *, k: int = 10, num: int = 20) -> Disagreement:
    """Where two features of the same videos disagree most.

    Args:
        a: One feature, such as that of RSP.
        b: Another, such as that of A-VID.
        k: Neighbours that count as near when ranks are compared.
        num: How many pairs are listed each time.

    Raises:
        ValueError: The videos differ, a number is out of range, both have one name, or all
            similarities are the same.
    """
    check_same_videos([a, b])
    check_k(a, k)
    if num < 1 or a.name == b.name:
        raise ValueError(
            f"two features with a name each and num of at least 1, got {a.name!r}, {b.name!r} and "
            f"num={num}"
        )
    spaces, measures = (a, b), (moments(a), moments(b))
    far_apart = {space.name: _Best(num) for space in spaces}
    by_rank = {space.name: _Best(num) for space in spaces}
    squares = np.zeros(len(a))
    num_others = len(a) - np.bincount(file_numbers(a))[file_numbers(a)]
    columns = np.arange(len(a))
    for rows, similarities in blocks(spaces):
        places_B = np.arange(rows.start, rows.stop)
        for space, near, far in (
            (a, similarities[0], similarities[1]),
            (b, similarities[1], similarities[0]),
        ):
            found_BK = top(near, k)
            rank_BK = ranks(far, found_BK)
            by_rank[space.name].add(
                rank_BK.ravel().astype(np.float32), places_B.repeat(k), found_BK.ravel()
            )
        own_BN = np.isneginf(similarities[0])
        for similarity, measure in zip(similarities, measures, strict=True):
            similarity -= np.float32(measure.mean)
            similarity /= np.float32(measure.deviation)
            similarity[own_BN] = 0
        difference_BN = similarities[0]
        difference_BN -= similarities[1]
        squares[rows] = np.einsum("bn,bn->b", difference_BN, difference_BN, dtype=np.float64)
        # Each pair once.
        done_BN = own_BN | (columns <= places_B[:, None])
        for space, sign in ((a, 1), (b, -1)):
            signed = np.multiply(difference_BN, sign, out=similarities[1])
            signed[done_BN] = -np.inf
            far_apart[space.name].add_table(signed, rows.start)
    return Disagreement(
        names=(a.name, b.name),
        k=k,
        by_z={name: _describe(spaces, measures, best.pairs) for name, best in far_apart.items()},
        by_rank={name: _describe(spaces, measures, best.pairs) for name, best in by_rank.items()},
        differences=np.sqrt(squares / num_others),
        paths=tuple(map(str, a.paths)),
    )
