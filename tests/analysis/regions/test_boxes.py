"""Regions of interest by hand, and upsampling."""

import numpy as np
import pytest

from analysis.core.grid import Box
from analysis.regions.boxes import largest_component, region_of_interest, smallest_set


def test_smallest_set_takes_the_largest_cells_until_the_share_is_reached() -> None:
    values = np.array([[[5.0, -9.0, 1.0], [3.0, 1.0, 0.0]]])  # positive total 10
    assert smallest_set(values, 0.5).astype(int).tolist() == [[[1, 0, 0], [0, 0, 0]]]
    assert smallest_set(values, 0.51).astype(int).tolist() == [[[1, 0, 0], [1, 0, 0]]]
    # Ties are taken in reading order.
    assert smallest_set(values, 0.9).astype(int).tolist() == [[[1, 0, 1], [1, 0, 0]]]
    assert smallest_set(values, 1.0).astype(int).tolist() == [[[1, 0, 1], [1, 1, 0]]]


def test_smallest_set_is_the_smallest_of_all_subsets() -> None:
    rng = np.random.default_rng(0)
    for _ in range(20):
        values = rng.normal(size=(1, 2, 4))
        positive = np.clip(values, 0, None).ravel()
        share = float(rng.uniform(0.1, 0.9))
        need = share * positive.sum()
        sums = [
            (bin(bits).count("1"), positive[[bool(bits >> i & 1) for i in range(8)]].sum())
            for bits in range(256)
        ]
        fewest = min(count for count, total in sums if total >= need - 1e-12)
        chosen = smallest_set(values, share)
        assert chosen.sum() == fewest
        assert values[chosen].sum() >= need - 1e-9


def test_no_positive_cell_gives_no_region() -> None:
    region = region_of_interest(-np.ones((2, 3, 3)))
    assert (region.box, region.boxes, region.share, region.area) == (None, (None, None), 0.0, 0.0)
    assert not region.mask.any()


def test_component_with_the_largest_total_wins_over_the_largest_cell() -> None:
    mask = np.array([[[True, False, True], [False, False, True]]])
    weight = np.array([[[5.0, 9.0, 3.0], [9.0, 9.0, 3.0]]])
    assert largest_component(mask, weight).astype(int).tolist() == [[[0, 0, 1], [0, 0, 1]]]
    # Corners do not connect, times do.
    mask = np.array([[[True, False], [False, True]], [[True, False], [False, False]]])
    found = largest_component(mask, np.ones((2, 2, 2)))
    assert found.astype(int).tolist() == [[[1, 0], [0, 0]], [[1, 0], [0, 0]]]


def test_region_by_hand() -> None:
    values = np.zeros((2, 4, 5))
    values[0, 1, 2:4] = 3.0
    values[1, 2, 3] = 0.0
    values[1, 1:3, 3] = 2.0
    values[0, 3, 0] = 1.0
    values[1, 0, 0] = -50.0
    region = region_of_interest(values, share=0.9)
    assert region.box == Box(2, 1, 4, 3)
    assert region.boxes == (Box(2, 1, 4, 2), Box(3, 1, 4, 3))
    assert region.share == pytest.approx(10 / 11)
    assert region.area == pytest.approx(4 / 40)


@pytest.mark.parametrize("share", [0.0, -0.1, 1.1])
def test_share_is_checked(share: float) -> None:
    with pytest.raises(ValueError, match="share is above 0"):
        region_of_interest(np.ones((1, 2, 2)), share)


def test_map_is_checked() -> None:
    with pytest.raises(ValueError, match=r"shape \(T', H', W'\)"):
        region_of_interest(np.ones((2, 2)))
    with pytest.raises(ValueError, match="not finite"):
        region_of_interest(np.full((1, 2, 2), np.nan))
