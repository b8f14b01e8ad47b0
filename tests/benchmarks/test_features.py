"""What is read out of a model's features."""

import numpy as np
import pytest
import torch

from benchmarks.small_scale.features import grid_features


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
