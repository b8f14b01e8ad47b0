"""How often the nearest videos share a label with a query, by any column of labels.

A hit is correct if it has one of the query's labels in common: the action, say, or any of actor,
set and prop. With one column this is :func:`rspnet.retrieve.retrieve`.
"""

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from itertools import combinations

import numpy as np

from analysis.gallery.neighbours import Floats, Integers
from rspnet.retrieval.gallery import Gallery
from rspnet.retrieve import first_right

Columns = Sequence[Sequence[str]]


def first_correct(gallery: Gallery, feature: str, columns: Columns) -> Integers:
    """Which of its neighbours, counted from 1, is the first that shares a label with each video.

    Args:
        gallery: The videos; each is a query for the others.
        feature: ``backbone``, ``rsp`` or ``avid``.
        columns: Labels of the videos, empty where they are not known. One in common is enough.

    Returns:
        One a video, (N,): 0 where no other shares a label, -1 where the video has none.

    Example:
        >>> from pathlib import Path
        >>> from rspnet.retrieval.gallery import Protocol
        >>> vectors = {"rsp": np.array([[1, 0], [0, 1], [0.8, 0.6]], np.float32)}
        >>> paths = (Path("a"), Path("b"), Path("c"))
        >>> gallery = Gallery(paths, ("",) * 3, vectors, "", Protocol())
        >>> first_correct(gallery, "rsp", [("walk", "walk", "jump")]).tolist()
        [2, 2, 0]
        >>> first_correct(gallery, "rsp", [("walk", "walk", ""), ("1", "2", "1")]).tolist()
        [1, 2, 1]
    """
    found = np.full(len(gallery), -1, np.int64)
    for labels in columns:
        rows = np.flatnonzero([bool(label) for label in labels])
        named = replace(gallery, labels=tuple(labels))
        if len(rows):
            place = first_right(named, named.take(rows.tolist()), feature)
            before = found[rows]
            found[rows] = np.where((before < 1) | ((place > 0) & (place < before)), place, before)
    return found


def correct_at(first_N: Integers, k: int) -> Floats:
    """1 where one of the k nearest is correct, else 0, of the videos that have a label."""
    known = first_N[first_N >= 0]
    return ((known > 0) & (known <= k)).astype(np.float64)


def chance_of(columns: Columns, k: int) -> float:
    """Share of the videos with a label of which one of k others drawn at random would be correct.

    Args:
        columns: As for :func:`first_correct`.
        k: Videos that are drawn.

    Example:
        >>> round(chance_of([("walk", "walk", "jump", "jump")], 1), 4)
        0.3333
    """
    num = len(columns[0])
    shared = np.zeros(num, np.int64)
    # Videos that share any label, by inclusion and exclusion over the columns.
    for size in range(1, len(columns) + 1):
        for chosen in combinations(columns, size):
            rows = list(zip(*chosen, strict=True))
            counts = Counter(row for row in rows if all(row))
            shared += (-1) ** (size + 1) * np.array([max(0, counts[row] - 1) for row in rows])
    known = np.array([any(row) for row in zip(*columns, strict=True)])
    total = math.comb(num - 1, k)
    missed = {m: math.comb(num - 1 - m, k) / total for m in set(shared[known].tolist())}
    return 1 - float(np.mean([missed[m] for m in shared[known].tolist()]))
