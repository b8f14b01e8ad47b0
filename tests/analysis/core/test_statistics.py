"""Numbers with their uncertainty."""

import math

import numpy as np
import pytest

from analysis.core.statistics import Compared, difference, estimate, mean, rank_correlation, ratio


def test_mean_and_its_interval() -> None:
    values = np.random.default_rng(1).normal(3, 2, size=400)
    found = mean(values)
    assert found.value == pytest.approx(values.mean())
    assert found.num == 400
    half = 1.96 * values.std() / math.sqrt(400)
    assert found.low == pytest.approx(values.mean() - half, abs=0.05)
    assert found.high == pytest.approx(values.mean() + half, abs=0.05)
    assert mean(values) == found  # seeded
    assert mean(values, seed=1) != found
    assert str(mean([2.0, 2.0])) == "2.00 [2.00, 2.00]"
    assert mean([2.0, 2.0]).to_json() == {"value": 2.0, "low": 2.0, "high": 2.0, "num": 2}


def test_a_paired_difference_is_sure_where_each_mean_is_not() -> None:
    base = np.random.default_rng(2).normal(0, 10, size=50)
    found = difference(base + 1, base)
    assert (found.value, found.low, found.high) == pytest.approx((1, 1, 1))
    assert mean(base).high - mean(base).low > 3
    swapped = difference(base, base + 1)
    assert (swapped.value, swapped.low, swapped.high) == pytest.approx((-1, -1, -1))


def test_ratio_is_of_means_not_a_mean_of_ratios() -> None:
    found = ratio([1, 9], [1, 3])
    assert found.value == 2.5
    assert (found.low, found.high) == (1, 3)  # both videos drawn alike


def test_any_statistic_of_columns_drawn_together() -> None:
    found = estimate([np.array([1.0, 2.0]), np.array([3.0, 4.0])], lambda a, b: (b - a).max(axis=1))
    assert (found.value, found.low, found.high) == (2, 2, 2)


def test_what_is_no_column_is_refused() -> None:
    with pytest.raises(ValueError, match="one value a video"):
        mean([])
    with pytest.raises(ValueError, match="one value a video"):
        difference([1, 2], [1])
    with pytest.raises(ValueError, match="finite"):
        mean([1, math.nan])


def test_rank_correlation_with_ties() -> None:
    a = np.array([[1.0, 2.0], [2.0, 7.0]])
    assert rank_correlation(a, a**3) == pytest.approx(1)
    assert rank_correlation(a, -a) == pytest.approx(-1)
    # Ranks 1, 2.5, 2.5, 4 and 2, 1, 3, 4: by hand 3.5 / sqrt(4.5 * 5).
    b = np.array([[2.0, 1.0], [3.0, 9.0]])
    assert rank_correlation(a, b) == pytest.approx(3.0 / math.sqrt(4.5 * 5.0))
    assert math.isnan(rank_correlation(a, np.ones((2, 2))))
    with pytest.raises(ValueError, match="one shape"):
        rank_correlation(a, b.ravel())


def test_a_difference_is_first_minus_second() -> None:
    assert Compared(0.75, 1.0).difference == -0.25
