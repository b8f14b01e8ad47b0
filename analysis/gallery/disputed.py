"""Pairs of videos that are nearer by one feature of a gallery than by the other.

Cosines of two heads have their own mean and spread, so they do not compare as they are. Two
measures do: the *z-score*, a similarity less the mean over all pairs of videos, over their standard
deviation; and the *rank*, which of a video's neighbours another is.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from analysis.core.table import Key, Row, Value
from analysis.gallery.neighbours import (
    Floats,
    Similarities,
    Space,
    blocks,
    check_k,
    check_same_videos,
    file_numbers,
    ranks,
    top,
)


def moments(space: Space) -> tuple[float, float]:
    """Mean and standard deviation of the similarities of all pairs of different files.

    Without computing them: the sum of v_i . v_j over all pairs is |sum of v|^2, and that of their
    squares the sum of the squares of V^T V, which is only (D, D). What a file has with itself is
    taken off.

    Raises:
        ValueError: All pairs are equally similar, so that there is no z-score.
    """
    V = space.vectors.astype(np.float64)
    total = float((V.sum(axis=0) ** 2).sum())
    squares = float(((V.T @ V) ** 2).sum())
    files_N = file_numbers(space)
    # The numbers of a file's rows follow each other in this order.
    order = np.argsort(files_N, kind="stable")
    num = float(len(V)) ** 2
    for rows in np.split(order, np.flatnonzero(np.diff(files_N[order])) + 1):
        own = V[rows] @ V[rows].T
        total -= float(own.sum())
        squares -= float((own**2).sum())
        num -= own.size
    if num < 1:
        raise ValueError(f"the gallery of {space.name} holds one file only: there are no pairs")
    average = total / num
    variance = squares / num - average**2
    if not variance > 1e-12:
        raise ValueError(
            f"all videos are equally similar by {space.name} ({average:.4g}): there is nothing to "
            "disagree about. Is the gallery of a trained model, of more than two videos?"
        )
    return average, float(np.sqrt(variance))


def disputed_pairs(a: Space, b: Space, *, k: int = 10, num: int = 20) -> list[Row]:
    """The pairs of videos on which two features of a gallery disagree most.

    Args:
        a: One feature, such as that of RSP.
        b: Another, such as that of A-VID.
        k: Neighbours that count as near when ranks are compared.
        num: How many pairs are listed each time.

    Returns:
        Rows with the keys ``nearer_by`` and ``than_by``, the two features; ``measure``; and
        ``video`` and ``other_video``, places in the gallery. By the measure ``z`` these are the
        pairs whose z-scores differ most; by ``rank`` those of a video and one of its k nearest by
        the first feature that stands last among its neighbours by the other. Values are the cosine,
        z-score and rank by each feature, such as ``rsp_rank``, counted from 1.

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
    spaces, scales = (a, b), (moments(a), moments(b))
    # By feature and measure, the largest values so far and the places of their pairs, (M, 3).
    best = {(n, measure): np.empty((0, 3)) for n in (0, 1) for measure in ("rank", "z")}
    columns = np.arange(len(a))
    for rows, similarities in blocks(spaces):
        places_B = columns[rows]
        for near, far in ((0, 1), (1, 0)):
            found_BK = top(similarities[near], k)
            rank_BK = ranks(similarities[far], found_BK)
            found = np.stack([rank_BK.ravel(), places_B.repeat(k), found_BK.ravel()], axis=1)
            best[near, "rank"] = _largest(best[near, "rank"], found, num)
        # Each pair once, and none of a file with itself.
        done_BN = np.isneginf(similarities[0]) | (columns <= places_B[:, None])
        for similarity, (average, deviation) in zip(similarities, scales, strict=True):
            similarity[done_BN] = 0
            similarity -= np.float32(average)
            similarity /= np.float32(deviation)
        difference_BN = similarities[0] - similarities[1]
        for n, sign in ((0, 1), (1, -1)):
            signed = np.where(done_BN, -np.inf, sign * difference_BN).ravel()
            least = np.partition(signed, -num)[-num] if num < signed.size else -np.inf
            places = np.flatnonzero((signed >= least) & (signed > -np.inf))
            i, j = np.divmod(places, len(a))
            found = np.stack([signed[places], i + rows.start, j], axis=1)
            best[n, "z"] = _largest(best[n, "z"], found, num)
    files_N = file_numbers(a)
    listed = []
    for (n, measure), values in best.items():
        for i, j in values[:, 1:].astype(int).tolist():
            keys: dict[str, Key] = {
                "nearer_by": spaces[n].name, "than_by": spaces[1 - n].name, "measure": measure,
                "video": i, "other_video": j,
            }  # fmt: skip
            numbers: dict[str, Value] = {}
            for space, (average, deviation) in zip(spaces, scales, strict=True):
                row: Similarities = (space.vectors @ space.vectors[i])[None]
                row[0, files_N == files_N[i]] = -np.inf
                cosine = float(row[0, j])
                numbers[f"{space.name}_cosine"] = cosine
                numbers[f"{space.name}_z"] = (cosine - average) / deviation
                numbers[f"{space.name}_rank"] = int(ranks(row, np.array([[j]]))[0, 0])
            listed.append(Row(keys=keys, values=numbers))
    return listed


def _largest(before: Floats, found: NDArray[Any], num: int) -> Floats:
    """Of equals, the pair that comes first in the gallery stays."""
    every = np.concatenate([before, found])
    return every[np.lexsort((every[:, 2], every[:, 1], -every[:, 0]))[:num]]
