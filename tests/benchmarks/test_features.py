"""What is read out of a model's features."""

import numpy as np
import pytest
import torch

from benchmarks.small_scale.features import grid_features, moments


def test_fields_of_a_grid_by_hand() -> None:
    F = torch.arange(2 * 4 * 4, dtype=torch.float32).reshape(1, 1, 2, 4, 4)
    found = grid_features(F, [1, 2])
    assert list(found) == ["max, 1 x 1", "avg, 1 x 1", "max, 2 x 2", "avg, 2 x 2"]
    assert found["max, 1 x 1"].tolist() == [[31]]
    assert found["avg, 1 x 1"].tolist() == [[15.5]]
    assert found["max, 2 x 2"].tolist() == [[21, 23, 29, 31]]  # of both times
    values = F.numpy()[0, 0]
    means = [values[:, y : y + 2, x : x + 2].mean() for y in (0, 2) for x in (0, 2)]
    np.testing.assert_allclose(found["avg, 2 x 2"], [means])


@pytest.mark.parametrize("grid", [0, 5])
def test_a_grid_is_no_finer_than_the_features(grid: int) -> None:
    with pytest.raises(ValueError, match=f"grids of 1 to 4, got {grid}"):
        grid_features(torch.zeros(1, 1, 2, 4, 4), [grid])


def test_moments_over_time_by_hand() -> None:
    # Two features at four times: 0, 0, 0, 4 and 1, 1, 3, 3.
    x = torch.tensor([[[0.0, 0, 0, 4], [1, 1, 3, 3]]])
    # Means 1 and 2; variances 3 and 1; third moments (3 * -1 + 27) / 4 = 6 and 0, so skewnesses
    # 6 / 3^1.5 and 0. Each pair at length 1.
    means, variances, skewnesses = np.array([1, 2]), np.array([3, 1]), np.array([1, 0])
    expected = [*(means / 5**0.5), *(variances / 10**0.5), *skewnesses]
    np.testing.assert_allclose(moments(x)[0], expected, rtol=1e-6)


def test_moments_of_what_does_not_change() -> None:
    found = moments(torch.full((1, 3, 7), 0.1))[0]
    np.testing.assert_allclose(found[:3], 3**-0.5, rtol=1e-6)
    assert not found[6:].any()  # skewness is 0, not the noise of rounding
    one = moments(torch.tensor([[[2.0], [0.0]]]))[0]  # a single time
    assert one.tolist() == [1, 0, 0, 0, 0, 0]
    assert torch.isfinite(moments(torch.zeros(1, 2, 4))).all()
