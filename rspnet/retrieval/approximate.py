"""Nearly the nearest vectors of a large gallery, in a fraction of the time; needs ``faiss-cpu``.

An inverted file (Jégou et al. 2011): vectors are sorted into lists by k-means, as many as the
square root of their number, and kept there as 8 bits a number. A query is compared with the lists
whose centres are nearest, and what is found once more with the vectors themselves, so that the
order of what is found is exact. How many lists that takes is measured on vectors of the gallery:
the fewest, in steps of a half more, in which they find 95% of their ten nearest.
"""

import math
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from rspnet.retrieval.store import Vectors

Integers = NDArray[np.int64]

TARGET = 0.95  # recall@10 on vectors of the gallery
SAMPLE = 200  # vectors that it is measured on
_TRAINED_ON = 64  # vectors a list
_CELLS = 2**24  # numbers in memory at once
_ADDED = 2**16  # vectors sorted in at once
_ROUNDING = 1e-6  # of a similarity in fp32


def _evenly(vectors: Vectors, num: int, offset: int = 0) -> Integers:
    """Places of at most so many of them, evenly spaced."""
    step = max(1, math.ceil(len(vectors) / num))
    return np.arange(min(offset, len(vectors) - 1), len(vectors), step)


class ApproximateIndex:
    """An index of L2-normalised vectors by inverted lists.

    Beside the vectors it takes up to 2 (D + 8) bytes for each, half as much as they do, and while
    it is built 256 D bytes a list. It is the same whenever it is built of the same vectors by the
    same number of threads, which is that of PyTorch.

    Args:
        vectors: (N, D) float32, not copied.

    Raises:
        ValueError: faiss is not installed, or there are no vectors.

    Example:
        >>> index = ApproximateIndex(gallery.vectors["avid"])  # doctest: +SKIP
        >>> index.nearest(queries.vectors["avid"], 10).shape  # doctest: +SKIP
        (3783, 10)
    """

    def __init__(self, vectors: Vectors) -> None:
        try:
            import faiss
        except ImportError as error:
            raise ValueError(
                "an approximate index needs the package faiss-cpu: python -m pip install "
                "faiss-cpu; or search exactly"
            ) from error
        if not len(vectors):
            raise ValueError("an index of no vectors was requested: it takes one or more")
        faiss.omp_set_num_threads(torch.get_num_threads())
        self.vectors = np.ascontiguousarray(vectors, np.float32)
        self.num_lists = max(1, round(math.sqrt(len(vectors))))
        kind = f"IVF{self.num_lists},SQ8"
        index: Any = faiss.index_factory(vectors.shape[1], kind, faiss.METRIC_INNER_PRODUCT)
        index.cp.min_points_per_centroid = 1  # else it warns of small galleries
        index.cp.max_points_per_centroid = _TRAINED_ON
        index.cp.spherical = True
        index.train(self.vectors[_evenly(vectors, _TRAINED_ON * self.num_lists)])
        for begin in range(0, len(vectors), _ADDED):
            index.add(self.vectors[begin : begin + _ADDED])
        self._index = index
        sample = self.vectors[_evenly(vectors, SAMPLE)]
        exact = self._exact(sample, 11)
        self.num_searched = 1
        # Each of the sample finds itself, which does not count.
        while self.num_searched < self.num_lists and self._recall(sample, exact, 1) < TARGET:
            more = max(1, self.num_searched // 2)
            self.num_searched = min(self.num_searched + more, self.num_lists)

    def nearest(self, queries: Vectors, num: int) -> Integers:
        """Places of vectors with large cosine, the largest first, of equal ones the first.

        Args:
            queries: (Q, D), L2-normalised.
            num: How many for each.

        Returns:
            (Q, num); -1 where the lists that were looked through hold fewer.
        """
        self._index.nprobe = self.num_searched
        candidates = min(2 * num + 20, len(self.vectors))
        step = max(1, _CELLS // (candidates * self.vectors.shape[1]))
        found = np.full((len(queries), num), -1, np.int64)
        for begin in range(0, len(queries), step):
            some = np.ascontiguousarray(queries[begin : begin + step], np.float32)
            places = self._index.search(some, candidates)[1]
            products = self.vectors[places].astype(np.float64)
            products *= some[:, None]
            similarity = np.where(places < 0, -np.inf, products.sum(axis=2))
            order = np.lexsort((places, -similarity))[:, :num]
            found[begin : begin + step, : order.shape[1]] = np.take_along_axis(places, order, 1)
        return found

    def recall(self, queries: Vectors, num: int = 10, skip: int = 0) -> float:
        """How many of the nearest are found, as a share, of at most 200 of the queries.

        What is as near as the last of the nearest counts as one of them.

        Args:
            queries: (Q, D), L2-normalised.
            num: How many nearest; fewer where the index has fewer.
            skip: Those before them that do not count: 1 where each query is in the index.
        """
        sample = queries[_evenly(queries, SAMPLE, offset=1)]  # not those that it was tuned with
        num = min(num, len(self.vectors) - skip)
        return self._recall(sample, self._exact(sample, skip + num), skip) if num > 0 else 1.0

    def _exact(self, queries: Vectors, num: int) -> Vectors:
        """Similarities of each query's ``num`` nearest."""
        num, step = min(num, len(self.vectors)), max(1, _CELLS // len(self.vectors))
        known = torch.from_numpy(self.vectors).T
        parts = torch.split(torch.from_numpy(np.ascontiguousarray(queries, np.float32)), step)
        return torch.cat([torch.topk(part @ known, num).values for part in parts]).numpy()

    def _recall(self, queries: Vectors, exact: Vectors, skip: int) -> float:
        num = exact.shape[1]
        found = self.nearest(queries, num)
        similarity = np.einsum("qd,qkd->qk", queries, self.vectors[found])
        hits = ((found >= 0) & (similarity >= exact[:, -1:] - _ROUNDING)).sum(axis=1)
        return float(np.mean(np.maximum(hits - skip, 0) / max(1, num - skip)))
