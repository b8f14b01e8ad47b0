"""From features to what each test video got: retrieval, k-NN and a linear probe; and their rows."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import comb
from typing import Any

import numpy as np
from numpy.typing import NDArray

from analysis.core.statistics import NUM_SAMPLES, Estimate, mean
from benchmarks.small_scale.features import Vectors
from benchmarks.small_scale.sets import Videos
from rspnet.recognition.probes import knn_votes, linear_probe
from rspnet.retrieval.gallery import Gallery, Protocol
from rspnet.retrieve import KS, first_right

Floats = NDArray[np.float64]
# Of whitening, in units of the mean variance. Chosen among training clips that look for clips of
# other sources (:mod:`benchmarks.validation`): less of it lifts dimensions that are mostly noise.
RIDGE = 1.0
METRICS = (*(f"top-{k}" for k in KS), "k-NN", "linear")


def video_vectors(clips: Vectors) -> Vectors:
    """The mean over clips, (N, clips, D) -> (N, D), at unit length."""
    found = clips.astype(np.float64).mean(axis=1)
    lengths = np.linalg.norm(found, axis=1, keepdims=True)
    return np.asarray(found / np.maximum(lengths, 1e-12), np.float32)


def whiten(clips: Vectors, num_train: int) -> Vectors:
    """Features whose dimensions are uncorrelated and equally wide among the training videos.

    (x - m) (S + r I)^(-1/2), with mean m and covariance S of the training videos' means over clips,
    and r the mean variance (:data:`RIDGE`), so that dimensions that hardly vary are not blown up.

    Args:
        clips: Of training videos, then of test videos, (N, clips, D).
        num_train: How many are training videos; no other is looked at.
    """
    train = clips[:num_train].astype(np.float64).mean(axis=1)
    m = train.mean(axis=0)
    _, lengths, axes = np.linalg.svd(train - m, full_matrices=False)
    variances = lengths**2 / num_train
    r = max(RIDGE * float(variances.sum()) / len(m), 1e-12)
    centred = clips - m
    # The dimensions in which training videos do not vary, if any, are not among the axes.
    along = (centred @ axes.T) * (1 / np.sqrt(variances + r) - 1 / np.sqrt(r))
    return np.asarray(centred / np.sqrt(r) + along @ axes, np.float32)


def first_places(vectors: Vectors, videos: Videos, kind: str) -> list[int]:
    """At which neighbour each test video first finds its label; 0 for never."""
    train = slice(None, videos.num_train)
    test = slice(videos.num_train, None)

    def gallery(part: slice) -> Gallery:
        own = {"backbone": vectors[part]}
        return Gallery(videos.paths[part], videos.labels[kind][part], own, "", Protocol())

    return [int(place) for place in first_right(gallery(train), gallery(test), "backbone")]


def outcomes(
    clips: Vectors, videos: Videos, kind: str, neighbours: int, decay: float
) -> dict[str, list[int]]:
    """What each test video got, as plain values.

    Args:
        clips: Features of all videos, (N, clips, D).
        videos: Training and test videos.
        kind: Of label.
        neighbours: That vote with k-NN; all training videos where there are fewer.
        decay: Weight decay of the linear probe on standardised clips.

    Returns:
        ``place`` as :func:`first_places`; ``k-NN`` and ``linear``: 1 for correct, 0 for incorrect.
    """
    names = {label: i for i, label in enumerate(sorted(set(videos.labels[kind])))}
    labels = np.array([names[label] for label in videos.labels[kind]], np.int64)
    vectors, num = video_vectors(clips), videos.num_train
    k = min(neighbours, num)
    votes = knn_votes(vectors[:num], labels[:num], vectors[num:], len(names), k)
    per_video = clips.shape[1]
    rows = clips.astype(np.float64).reshape(-1, clips.shape[2])
    cut = num * per_video
    logits = linear_probe(rows[:cut], labels[:num].repeat(per_video), rows[cut:], len(names), decay)
    means = logits.reshape(-1, per_video, len(names)).mean(axis=1)
    return {
        "place": first_places(vectors, videos, kind),
        "k-NN": (votes.argmax(axis=1) == labels[num:]).astype(int).tolist(),
        "linear": (means.argmax(axis=1) == labels[num:]).astype(int).tolist(),
    }


def correct(found: Mapping[str, Sequence[int]]) -> dict[str, Floats]:
    """For each metric 1 where a test video was correct and 0 where not, (N,)."""
    place = np.asarray(found["place"])
    values = {f"top-{k}": (place > 0) & (place <= k) for k in KS}
    return {name: row.astype(np.float64) for name, row in values.items()} | {
        name: np.asarray(found[name], np.float64) for name in ("k-NN", "linear")
    }


def over_folds(folds: Sequence[Floats]) -> Estimate:
    """The mean of folds' means over videos; its interval resamples the videos of each fold."""
    if len(folds) == 1:
        return mean(folds[0])
    rng = np.random.default_rng(0)
    means = [v[rng.integers(0, len(v), (NUM_SAMPLES, len(v)))].mean(axis=1) for v in folds]
    low, high = np.quantile(np.mean(means, axis=0), [0.025, 0.975])
    value = np.mean([v.mean() for v in folds])
    return Estimate(float(value), float(low), float(high), sum(map(len, folds)))


@dataclass(frozen=True, kw_only=True)
class Row:
    """One feature of one model, on one kind of label; in % where it is written.

    Attributes:
        name: Of the model, or of what needs none.
        feature: In words.
        folds: For each fold and metric what every test video got, (seeds, N).
    """

    name: str
    feature: str
    folds: tuple[dict[str, Floats], ...]

    @classmethod
    def of(cls, name: str, feature: str, runs: Sequence[Mapping[str, Sequence[int]]]) -> "Row":
        """From the outcomes of one or more seeds."""
        found = [correct(run) for run in runs]
        fold = {metric: np.stack([run[metric] for run in found]) for metric in METRICS}
        return cls(name=name, feature=feature, folds=(fold,))

    @classmethod
    def mean_of(cls, rows: Sequence["Row"]) -> "Row":
        """The mean over folds, of the rows that each fold has for one feature."""
        folds = tuple(fold for row in rows for fold in row.folds)
        return cls(name=rows[0].name, feature=rows[0].feature, folds=folds)

    @property
    def num_seeds(self) -> int:
        """Seeds that the row is the mean of."""
        return len(self.folds[0]["top-1"])

    def per_video(self, metric: str) -> list[Floats]:
        """The mean over seeds in %, (N,) for each fold."""
        return [np.asarray(100 * fold[metric].mean(axis=0)) for fold in self.folds]

    def mean(self, metric: str) -> float:
        """Over seeds, videos and folds, in %."""
        return float(np.mean([values.mean() for values in self.per_video(metric)]))

    def estimate(self, metric: str) -> Estimate:
        """The mean over seeds, videos and folds in %, its interval over videos."""
        return over_folds(self.per_video(metric))

    def seed_means(self, metric: str) -> list[float]:
        """Each seed's mean in %."""
        means = [fold[metric].mean(axis=1) for fold in self.folds]
        return [float(value) for value in 100 * np.mean(means, axis=0)]

    def minus(self, other: "Row", metric: str) -> Estimate:
        """The difference in points, paired video by video."""
        pairs = zip(self.per_video(metric), other.per_video(metric), strict=True)
        return over_folds([a - b for a, b in pairs])

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return {
            "name": self.name,
            "feature": self.feature,
            "num_seeds": self.num_seeds,
            "metrics": {
                metric: self.estimate(metric).to_json() | {"seeds": self.seed_means(metric)}
                for metric in METRICS
            },
        }


def chance(videos: Videos, kind: str) -> dict[str, float]:
    """Retrieval in a random order, in %: 1 - C(N - n, k) / C(N, k) with n of the label in N."""
    train = videos.labels[kind][: videos.num_train]
    test = videos.labels[kind][videos.num_train :]
    num = len(train)
    found = {}
    for k in KS:
        misses = [comb(num - train.count(label), min(k, num)) for label in test]
        found[f"top-{k}"] = 100 * (1 - sum(misses) / comb(num, min(k, num)) / len(test))
    return found
