"""How a gallery is arranged by each feature: ``python -m analysis structure --gallery G``.

- *hubs* and *orphans*: N_k counts in how many videos' k nearest a video is. In many dimensions some
  are in very many (hubs) and many in none (orphans, or anti-hubs); the skewness of N_k measures it
  (Radovanović, Nanopoulos and Ivanović 2010, "Hubs in Space");
- *overlap*: the Jaccard index of the k nearest by two features;
- *purity*: which share of the k nearest has the video's own label;
- *disputed pairs* (:mod:`analysis.gallery.disputed`): videos that are nearer by one feature than by
  the other.

The first three have beside them what chance would give. All work through the gallery in blocks.
"""

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations, permutations

import numpy as np

from analysis.core.statistics import Estimate, estimate, mean
from analysis.core.table import Key, Row, StudyTable, Table, Value, pivot
from analysis.gallery.disputed import disputed_pairs
from analysis.gallery.neighbours import (
    Floats,
    Integers,
    Space,
    check_k,
    check_same_videos,
    neighbours,
)


def skewness(values_SN: Floats) -> Floats:
    """Third central moment over the standard deviation cubed; 0 where all values are one.

    Shape:
        (S, N) -> (S,).
    """
    centred = values_SN - values_SN.mean(axis=-1, keepdims=True)
    deviation = np.sqrt((centred**2).mean(axis=-1))
    third = (centred**3).mean(axis=-1)
    found: Floats = np.zeros_like(third)
    np.divide(third, deviation**3, out=found, where=deviation > 1e-12)
    return found


@dataclass(frozen=True, kw_only=True)
class Hubs:
    """In how many videos' k nearest each video is.

    Attributes:
        name: Of the feature.
        k: Neighbours.
        counts: N_k, (N,); its mean is k.
        skewness: Of N_k.
        chance_skewness: That of neighbours drawn at random.
    """

    name: str
    k: int
    counts: Integers
    skewness: Estimate
    chance_skewness: float

    @property
    def orphans(self) -> Integers:
        """Places of the videos that are in no other's k nearest."""
        return np.flatnonzero(self.counts == 0).astype(np.int64)

    @property
    def orphan_share(self) -> float:
        """Their share of all videos."""
        return len(self.orphans) / len(self.counts)

    def hubs(self, num: int = 10) -> Integers:
        """Places of the videos with the largest N_k, the largest first."""
        return np.argsort(-self.counts, kind="stable")[:num].astype(np.int64)


def hubs(space: Space, k: int = 10, nearest_NK: Integers | None = None) -> Hubs:
    """Hubs and orphans.

    Args:
        space: The videos by one feature.
        k: Neighbours.
        nearest_NK: :func:`~analysis.gallery.neighbours.neighbours`, if at hand.

    Raises:
        ValueError: ``k`` is out of range.
    """
    check_k(space, k)
    nearest_NK = neighbours(space, k) if nearest_NK is None else nearest_NK
    num = len(space)
    counts = np.bincount(nearest_NK.ravel(), minlength=num).astype(np.int64)
    # By chance N_k is binomial: num - 1 others, each with the probability p.
    p = k / (num - 1)
    spread = math.sqrt((num - 1) * p * (1 - p))
    return Hubs(
        name=space.name,
        k=k,
        counts=counts,
        skewness=estimate([counts.astype(np.float64)], skewness),
        chance_skewness=(1 - 2 * p) / spread if spread > 0 else 0.0,
    )


@dataclass(frozen=True, kw_only=True)
class Overlap:
    """How far two features find the same neighbours.

    Attributes:
        names: Of the features.
        k: Neighbours.
        jaccard: For each video, the neighbours in common over those in either list, (N,).
        mean: Over videos.
        chance: Its mean for neighbours drawn at random.
    """

    names: tuple[str, str]
    k: int
    jaccard: Floats
    mean: Estimate
    chance: float


def chance_jaccard(k: int, num: int) -> float:
    """The mean Jaccard index of two lists of k out of num that were drawn at random."""
    shared = range(max(0, 2 * k - num), k + 1)
    ways = [math.comb(k, m) * math.comb(num - k, k - m) for m in shared]
    # The numbers of ways are integers of any size; their ratios are not.
    total = math.comb(num, k)
    return sum(w / total * m / (2 * k - m) for w, m in zip(ways, shared, strict=True))


def overlap(
    a: Space,
    b: Space,
    k: int = 10,
    nearest: tuple[Integers, Integers] | None = None,
) -> Overlap:
    """The Jaccard index of the k nearest by two features.

    Args:
        a: The videos by one feature.
        b: The same videos by another.
        k: Neighbours.
        nearest: Those of a and of b, if at hand.

    Raises:
        ValueError: The videos differ, or ``k`` is out of range.
    """
    check_same_videos([a, b])
    check_k(a, k)
    one, other = nearest if nearest is not None else (neighbours(a, k), neighbours(b, k))
    # Neighbours of a row differ from each other, so what stands twice is in both lists.
    both = np.sort(np.concatenate([one, other], axis=1), axis=1)
    shared_N = (both[:, 1:] == both[:, :-1]).sum(axis=1)
    jaccard = shared_N / (2 * k - shared_N)
    return Overlap(
        names=(a.name, b.name),
        k=k,
        jaccard=jaccard,
        mean=mean(jaccard),
        chance=chance_jaccard(k, len(a) - 1),
    )


@dataclass(frozen=True, kw_only=True)
class Purity:
    """Which share of the k nearest has the video's own label.

    Attributes:
        name: Of the feature.
        k: Neighbours.
        mean: Over videos whose label is known and not the only one of its kind.
        chance: The mean of neighbours drawn at random.
        by_label: Mean over the videos of each label.
        num_skipped: Videos without a label, or alone with it.
    """

    name: str
    k: int
    mean: Estimate
    chance: float
    by_label: dict[str, float]
    num_skipped: int


def purity(space: Space, k: int = 10, nearest_NK: Integers | None = None) -> Purity:
    """How much of each video's neighbourhood is of its label.

    Args:
        space: The videos by one feature.
        k: Neighbours.
        nearest_NK: :func:`~analysis.gallery.neighbours.neighbours`, if at hand.

    Raises:
        ValueError: ``k`` is out of range, or no two videos share a label.
    """
    check_k(space, k)
    nearest_NK = neighbours(space, k) if nearest_NK is None else nearest_NK
    sizes = Counter(space.labels)
    labels_N = np.array(space.labels)
    counted = np.array([bool(label) and sizes[label] > 1 for label in space.labels])
    if not counted.any():
        raise ValueError("no two videos of the gallery have a label in common: it has no purity")
    same_NK = labels_N[nearest_NK] == labels_N[:, None]
    share = same_NK.mean(axis=1)[counted]
    own = labels_N[counted]
    expected = np.array([sizes[label] - 1 for label in own]) / (len(space) - 1)
    return Purity(
        name=space.name,
        k=k,
        mean=mean(share),
        chance=float(expected.mean()),
        by_label={str(name): float(share[own == name].mean()) for name in np.unique(own)},
        num_skipped=int((~counted).sum()),
    )


def gallery_statistics(spaces: Sequence[Space], *, k: int = 10, num: int = 20) -> StudyTable:
    """Hubs, purity, overlap and disputed pairs of some features.

    Args:
        spaces: The same videos by each feature, at least one.
        k: Neighbours.
        num: How many pairs are listed where features disagree.

    Returns:
        A row a ``feature``, a row a ``feature`` and ``other_feature``, and the rows of
        :func:`disputed_pairs`. N_k of every video is among the samples of a feature, the Jaccard
        index of every video among those of two. The videos' files are in the settings.

    Raises:
        ValueError: There is no feature, the videos differ, or a number is out of range.

    Example:
        >>> from pathlib import Path
        >>> from analysis import gallery_statistics
        >>> vectors = np.random.default_rng(0).normal(size=(30, 8)).astype(np.float32)
        >>> vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
        >>> paths = tuple(Path(f"{n}.mp4") for n in range(30))
        >>> space = Space(name="rsp", paths=paths, labels=("walk", "jump") * 15, vectors=vectors)
        >>> row = gallery_statistics([space], k=5).one(feature="rsp", label="walk")
        >>> 0 <= row.values["purity_of_label"] <= 1
        True
    """
    if not spaces or len({space.name for space in spaces}) < len(spaces):
        raise ValueError(
            f"at least one feature, each with its own name, got {[s.name for s in spaces]}"
        )
    check_same_videos(spaces)
    nearest = {space.name: neighbours(space, k) for space in spaces}
    labels = Counter(label for label in spaces[0].labels if label)
    rows, disputed = [], []
    for space in spaces:
        arranged = hubs(space, k, nearest[space.name])
        values: dict[str, Value] = {
            "skewness": arranged.skewness,
            "skewness_by_chance": arranged.chance_skewness,
            "largest_count": int(arranged.counts.max()),
            "orphan_share": arranged.orphan_share,
        }
        by_label: dict[str, float] = {}
        if any(count > 1 for count in labels.values()):
            pure = purity(space, k, nearest[space.name])
            values |= {"purity": pure.mean, "purity_by_chance": pure.chance}
            by_label = pure.by_label
        counts = arranged.counts.astype(np.float64)
        rows.append(Row(keys={"feature": space.name}, values=values, samples={"counts": counts}))
        rows += [
            Row(keys={"feature": space.name, "label": label}, values={"purity_of_label": share})
            for label, share in by_label.items()
        ]
    for a, b in combinations(spaces, 2):
        shared = overlap(a, b, k, (nearest[a.name], nearest[b.name]))
        values = {"overlap": shared.mean, "overlap_by_chance": shared.chance}
        keys: dict[str, Key] = {"feature": a.name, "other_feature": b.name}
        rows.append(Row(keys=keys, values=values, samples={"jaccard": shared.jaccard}))
        disputed += disputed_pairs(a, b, k=k, num=num)
    return StudyTable(
        study="structure",
        rows=tuple(rows + disputed),
        num_videos=len(spaces[0]),
        videos="videos of a gallery",
        settings={"k": k, "paths": [str(path) for path in spaces[0].paths]},
    )


def structure_tables(found: StudyTable, *, num: int = 3) -> list[Table]:
    """What :func:`gallery_statistics` gave, for readers.

    Args:
        found: The numbers.
        num: How many disputed pairs are shown by each measure.
    """
    where = f"{found.num_videos} {found.videos}, k = {found.settings['k']}"
    features = [str(row.keys["feature"]) for row in found.rows if "skewness" in row.values]
    titles = {
        "skewness": "skewness of N_k", "skewness_by_chance": "by chance",
        "largest_count": "largest N_k", "orphan_share": "share of orphans",
        "purity": "label purity", "purity_by_chance": "purity by chance",
    }  # fmt: skip
    lines: dict[str, dict[str, Key]] = {name: {"feature": name} for name in features}
    arranged = pivot(
        lines,
        {title: (measure, {}) for measure, title in titles.items()},
        found,
        first="feature",
        caption=f"{where}; 95% intervals over videos",
    )
    shared: list[list[str | Value]] = [
        [f"{row.keys['feature']} and {row.keys['other_feature']}", *row.values.values()]
        for row in found.rows
        if "overlap" in row.values
    ]
    if not shared:
        return [arranged]
    overlaps = Table(
        header=("features", "overlap (Jaccard)", "by chance"),
        rows=shared,
        caption=f"nearest neighbours in common, {where}; 95% intervals over videos",
    )
    pairs: list[list[str | Value]] = []
    for a, b in permutations(features, 2):
        for measure in ("rank", "z"):
            for row in found.select(nearer_by=a, than_by=b, measure=measure)[:num]:
                ranked = (f"{row.values[f'{n}_rank']:.0f}" for n in (a, b))
                scores = (row.values[f"{n}_z"] for n in (a, b))
                files = (found.settings["paths"][row.keys[n]] for n in ("video", "other_video"))
                pairs.append([f"{a} than by {b}", *ranked, *scores, *files])
    return [
        arranged,
        overlaps,
        Table(
            header=("nearer by", "rank", "other rank", "z", "other z", "video", "other video"),
            rows=pairs,
            caption=f"videos that are nearer by one feature than by the other, {where}",
        ),
    ]
