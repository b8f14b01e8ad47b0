"""All videos of a gallery as one query ranks them, and where two features of it disagree."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from analysis.gallery.neighbours import Integers
from rspnet.retrieval.gallery import Gallery

Similarities = NDArray[np.float32]


@dataclass(frozen=True)
class QueryRanks:
    """What one video is to all others by one feature.

    Attributes:
        query: Row of the video.
        similarity: Cosine of each video with it, (N,).
        rank: Which of its neighbours each video is, counted from 1; 0 for the query, (N,).
    """

    query: int
    similarity: Similarities
    rank: Integers

    @property
    def order(self) -> Integers:
        """Rows of the others, the nearest first, (N - 1,)."""
        return np.argsort(self.rank, kind="stable")[1:]

    @property
    def z(self) -> NDArray[np.float64]:
        """Similarities minus their mean over the others, over their standard deviation, (N,).

        Those of two heads have their own mean and spread, so only these compare. All are 0 where
        the others are equally similar.
        """
        others = np.delete(self.similarity, self.query).astype(np.float64)
        spread = others.std()
        centred = self.similarity - others.mean()
        return centred / spread if spread > 1e-6 else np.zeros_like(centred)


def z_difference(own: QueryRanks, other: QueryRanks) -> NDArray[np.float64]:
    """How much nearer each video is by one feature than by the other, in standard deviations, (N,).

    Example:
        >>> import numpy as np
        >>> own = QueryRanks(0, np.array([1, 0.9, 0.1], np.float32), np.array([0, 1, 2]))
        >>> other = QueryRanks(0, np.array([1, 0.1, 0.9], np.float32), np.array([0, 2, 1]))
        >>> z_difference(own, other).round(3).tolist()
        [0.0, 2.0, -2.0]
    """
    return own.z - other.z


def disputed(own: QueryRanks, other: QueryRanks) -> Integers:
    """The videos that one feature has nearer than the average, those first that the other has not.

    Args:
        own: One feature's ranking.
        other: That of the other feature, by the same query.

    Returns:
        Rows, by the difference of their z-scores, the largest first; of equal ones the nearer.

    Example:
        >>> import numpy as np
        >>> own = QueryRanks(0, np.array([1, 0.9, 0.8, 0.1], np.float32), np.array([0, 1, 2, 3]))
        >>> other = QueryRanks(0, np.array([1, 0.9, 0.2, 0.1], np.float32), np.array([0, 1, 2, 3]))
        >>> disputed(own, other).tolist()
        [2, 1]
    """
    rows = own.order[own.z[own.order] > 0]
    return rows[np.argsort(-z_difference(own, other)[rows], kind="stable")]


def rank_all(gallery: Gallery, feature: str, query: int) -> QueryRanks:
    """Rank a gallery by its nearness to one of its videos, as :meth:`Gallery.nearest` does.

    Args:
        gallery: The videos, each file once.
        feature: ``backbone``, ``rsp`` or ``avid``.
        query: Row of the video.

    Raises:
        ValueError: No such feature, or the query's vector has length 0.

    Example:
        >>> from pathlib import Path
        >>> from rspnet.retrieval.gallery import Protocol
        >>> vectors = {"rsp": np.array([[1, 0], [0, 1], [0.8, 0.6]], np.float32)}
        >>> names = ("a", "b", "c")
        >>> gallery = Gallery(tuple(map(Path, names)), names, vectors, "", Protocol())
        >>> rank_all(gallery, "rsp", 0).rank.tolist()
        [0, 2, 1]
    """
    if feature not in gallery.vectors:
        raise ValueError(f"feature is one of {list(gallery.vectors)}, got {feature!r}")
    vectors = gallery.vectors[feature]
    length = float(np.linalg.norm(vectors[query]))
    if not length > 0:
        raise ValueError(f"the {feature} vector of the query has length 0: it has no neighbours")
    similarity = vectors @ (vectors[query] / length).astype(np.float32)
    order = np.argsort(-similarity, kind="stable")
    rank = np.empty(len(order), np.int64)
    rank[order[order != query]] = np.arange(1, len(order))
    rank[query] = 0
    return QueryRanks(query, similarity, rank)
