"""Numbers with their uncertainty: estimates over videos, differences of pairs, correlations.

The unit of resampling is always the video: clips and cells of one video are not independent.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
NUM_SAMPLES = 2000
_CELLS = 2**22  # values of resamples in memory at once


@dataclass(frozen=True)
class Estimate:
    """A number with its 95% interval.

    Attributes:
        value: The number.
        low: Lower end of the interval.
        high: Upper end.
        num: Videos it was measured on.
    """

    value: float
    low: float
    high: float
    num: int

    def __neg__(self) -> "Estimate":
        """The negative number: of b - a for a - b."""
        return Estimate(-self.value, -self.high, -self.low, self.num)

    def __str__(self) -> str:
        return f"{self.value:.2f} [{self.low:.2f}, {self.high:.2f}]"

    def complement(self) -> "Estimate":
        """1 minus the number, such as one share of two."""
        return Estimate(1 - self.value, 1 - self.high, 1 - self.low, self.num)

    def to_json(self) -> dict[str, float | int]:
        """Plain values."""
        return {"value": self.value, "low": self.low, "high": self.high, "num": self.num}


def estimate(
    columns: Sequence[Floats],
    statistic: Callable[..., Floats],
    *,
    seed: int = 0,
    num_samples: int = NUM_SAMPLES,
) -> Estimate:
    """A statistic of videos with its percentile bootstrap interval.

    Args:
        columns: One value a video each, all (N,), resampled together.
        statistic: Takes each column as (S, N) and gives (S,).
        seed: Fixes the resampling.
        num_samples: S.

    Raises:
        ValueError: There are no videos, the columns differ in length, or a value is not finite.
    """
    table = [np.asarray(column, np.float64) for column in columns]
    num = len(table[0]) if table else 0
    if not num or any(column.shape != (num,) for column in table):
        raise ValueError(
            f"columns hold one value a video each, got shapes {[c.shape for c in table]}"
        )
    if not all(np.isfinite(column).all() for column in table):
        raise ValueError("values of videos are finite numbers: skip and count the others")
    rng = np.random.default_rng(seed)
    samples: list[Floats] = []
    step = max(1, _CELLS // num)  # a large gallery must not fill the memory
    for first in range(0, num_samples, step):
        draws = rng.integers(0, num, size=(min(step, num_samples - first), num))
        samples.append(statistic(*(column[draws] for column in table)))
    low, high = np.nanquantile(np.concatenate(samples), [0.025, 0.975])
    value = statistic(*(column[None] for column in table))[0]
    return Estimate(float(value), float(low), float(high), num)


def mean(values: Sequence[float] | Floats, *, seed: int = 0) -> Estimate:
    """The mean over videos."""
    return estimate([np.asarray(values, float)], lambda v: v.mean(axis=1), seed=seed)


def difference(
    a: Sequence[float] | Floats, b: Sequence[float] | Floats, *, seed: int = 0
) -> Estimate:
    """The mean of a - b, paired video by video."""
    pairs = [np.asarray(a, float), np.asarray(b, float)]
    return estimate(pairs, lambda x, y: (x - y).mean(axis=1), seed=seed)


def ratio(a: Sequence[float] | Floats, b: Sequence[float] | Floats, *, seed: int = 0) -> Estimate:
    """The mean of a over the mean of b, such as a share of energy over a share of area."""
    pairs = [np.asarray(a, float), np.asarray(b, float)]
    return estimate(pairs, lambda x, y: x.mean(axis=1) / y.mean(axis=1), seed=seed)


class Compared(NamedTuple):
    """A number of two models on one clip, or of an edited clip and of the clip as it was.

    Attributes:
        first: What is compared.
        second: What it is compared with.
    """

    first: float
    second: float

    @property
    def difference(self) -> float:
        """First minus second. It is of one clip, and has no interval."""
        return self.first - self.second


def rank_correlation(a: NDArray[np.floating], b: NDArray[np.floating]) -> float:
    """Spearman's rho of two maps over their cells, ties at their mean rank; NaN if one is constant.

    Raises:
        ValueError: The shapes differ.
    """
    if a.shape != b.shape:
        raise ValueError(f"two maps of one shape are compared, got {a.shape} and {b.shape}")

    def ranks(values: NDArray[np.floating]) -> Floats:
        _, place, count = np.unique(values.ravel(), return_inverse=True, return_counts=True)
        rank = np.asarray((np.cumsum(count) - (count + 1) / 2)[place], np.float64)
        centred: Floats = rank - rank.mean()
        return centred

    x, y = ranks(a), ranks(b)
    norm = float(np.linalg.norm(x) * np.linalg.norm(y))
    return float(x @ y) / norm if norm > 0 else math.nan
