"""How a gallery is arranged by each feature: ``python -m analysis structure --gallery G``.

- *hubs* and *orphans*: N_k counts in how many videos' k nearest a video is. In many dimensions some
  are in very many (hubs) and many in none (orphans, or anti-hubs); the skewness of N_k measures it
  (Radovanović, Nanopoulos and Ivanović 2010, "Hubs in Space");
- *overlap*: the Jaccard index of the k nearest by two features;
- *purity*: which share of the k nearest has the video's own label;
- *disagreement* (:mod:`analysis.gallery.disagreement`): pairs that are nearer by one feature than
  by the other.

Each has beside it what chance would give. All work through the gallery in blocks.
"""

import json
import math
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np

from analysis.core.statistics import NUM_SAMPLES, Estimate
from analysis.gallery.disagreement import Disagreement, disagreement
from analysis.gallery.neighbours import (
    Floats,
    Integers,
    Space,
    check_k,
    check_same_videos,
    neighbours,
)
from rspnet.files import atomic_path

FORMAT = "rspnet-gallery-views"


def _estimate(values_N: Floats, statistic: Callable[[Floats], float], seed: int = 0) -> Estimate:
    """A statistic of videos with its bootstrap interval; resamples are drawn one by one."""
    rng, num = np.random.default_rng(seed), len(values_N)
    samples = [statistic(values_N[rng.integers(0, num, size=num)]) for _ in range(NUM_SAMPLES)]
    low, high = np.quantile(samples, [0.025, 0.975])
    return Estimate(statistic(values_N), float(low), float(high), num)


def skewness(values_N: Floats | Integers) -> float:
    """Third central moment over the standard deviation cubed; 0 where all values are one."""
    centred = np.asarray(values_N, np.float64) - np.mean(values_N)
    deviation = math.sqrt(float((centred**2).mean()))
    return float((centred**3).mean()) / deviation**3 if deviation > 1e-12 else 0.0


@dataclass(frozen=True, kw_only=True)
class Hubs:
    """In how many videos' k nearest each video is.

    Attributes:
        name: Of the feature.
        k: Neighbours.
        counts: N_k, (N,); its mean is k.
        skewness: Of N_k.
        chance_skewness: That of neighbours drawn at random.
        paths: The videos' files.
    """

    name: str
    k: int
    counts: Integers
    skewness: Estimate
    chance_skewness: float
    paths: tuple[str, ...]

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

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return {
            "name": self.name,
            "k": self.k,
            "skewness": self.skewness.to_json(),
            "chance_skewness": self.chance_skewness,
            "orphan_share": self.orphan_share,
            "orphans": [self.paths[n] for n in self.orphans],
            "hubs": [{"path": self.paths[n], "count": int(self.counts[n])} for n in self.hubs()],
        }


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
    # By lot N_k is binomial: num - 1 others, each with the probability p.
    p = k / (num - 1)
    spread = math.sqrt((num - 1) * p * (1 - p))
    return Hubs(
        name=space.name,
        k=k,
        counts=counts,
        skewness=_estimate(counts.astype(np.float64), skewness),
        chance_skewness=(1 - 2 * p) / spread if spread > 0 else 0.0,
        paths=tuple(map(str, space.paths)),
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

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return {
            "names": list(self.names),
            "k": self.k,
            "mean": self.mean.to_json(),
            "chance": self.chance,
        }


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
        mean=_estimate(jaccard, lambda v: float(v.mean())),
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

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        names = ("name", "k", "chance", "by_label", "num_skipped")
        return {name: getattr(self, name) for name in names} | {"mean": self.mean.to_json()}


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
        mean=_estimate(share, lambda v: float(v.mean())),
        chance=float(expected.mean()),
        by_label={str(name): float(share[own == name].mean()) for name in np.unique(own)},
        num_skipped=int((~counted).sum()),
    )


@dataclass(frozen=True, kw_only=True)
class GalleryViews:
    """All of it for some features of one list of videos.

    Attributes:
        num_videos: N.
        k: Neighbours.
        hubs: A feature each.
        purity: A feature each; none where labels are not known.
        overlaps: A pair of features each.
        disagreements: The same.
    """

    num_videos: int
    k: int
    hubs: tuple[Hubs, ...]
    purity: tuple[Purity, ...]
    overlaps: tuple[Overlap, ...]
    disagreements: tuple[Disagreement, ...]

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        lists = ("hubs", "purity", "overlaps", "disagreements")
        return {
            "format": FORMAT,
            "version": 1,
            "num_videos": self.num_videos,
            "k": self.k,
        } | {name: [one.to_json() for one in getattr(self, name)] for name in lists}

    def save(self, path: str | Path) -> Path:
        """Write ``path`` (.json), atomically."""
        with atomic_path(path) as temporary:
            temporary.write_text(json.dumps(self.to_json(), indent=1) + "\n", encoding="utf-8")
        return Path(path)

    def table(self) -> str:
        """The numbers as lines of text."""
        lines = [f"{self.num_videos} videos, k = {self.k}; 95% intervals over videos"]
        for h in self.hubs:
            lines.append(
                f"{h.name:10} skewness of N_k {h.skewness} (at random {h.chance_skewness:.2f}), "
                f"largest N_k {int(h.counts.max())}, orphans {100 * h.orphan_share:.1f}%"
            )
        for p in self.purity:
            lines.append(f"{p.name:10} label purity {p.mean} (at random {p.chance:.2f})")
        for o in self.overlaps:
            lines.append(
                f"{' and '.join(o.names):20} overlap (Jaccard) {o.mean} (at random {o.chance:.3f})"
            )
        for d in self.disagreements:
            for name in d.names:
                lines.append(f"\nnearer by {name}, of {' and '.join(d.names)}:")
                for pair in (*d.by_rank[name][:3], *d.by_z[name][:3]):
                    numbers = ", ".join(
                        f"{n} neighbour {pair.rank[n]}, z {pair.z[n]:+.1f}" for n in d.names
                    )
                    lines.append(f"  {numbers}: {pair.path_i} {pair.path_j}")
        return "\n".join(lines)


def gallery_statistics(spaces: Sequence[Space], *, k: int = 10, num: int = 20) -> GalleryViews:
    """Hubs, purity, overlap and disagreement of some features.

    Args:
        spaces: The same videos by each feature, at least one.
        k: Neighbours.
        num: How many pairs are listed where features disagree.

    Raises:
        ValueError: There is no feature, the videos differ, or a number is out of range.
    """
    if not spaces or len({space.name for space in spaces}) < len(spaces):
        raise ValueError(
            f"at least one feature, each with its own name, got {[s.name for s in spaces]}"
        )
    check_same_videos(spaces)
    nearest = {space.name: neighbours(space, k) for space in spaces}
    labels = Counter(label for label in spaces[0].labels if label)
    known = any(count > 1 for count in labels.values())
    pairs = list(combinations(spaces, 2))
    return GalleryViews(
        num_videos=len(spaces[0]),
        k=k,
        hubs=tuple(hubs(space, k, nearest[space.name]) for space in spaces),
        purity=tuple(purity(s, k, nearest[s.name]) for s in spaces) if known else (),
        overlaps=tuple(overlap(a, b, k, (nearest[a.name], nearest[b.name])) for a, b in pairs),
        disagreements=tuple(disagreement(a, b, k=k, num=num) for a, b in pairs),
    )
