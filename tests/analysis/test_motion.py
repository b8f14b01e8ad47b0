"""Shares inside masks by hand."""

import numpy as np
import pytest

from analysis.motion import InsideShare, cell_coverage, moving_pixels, share_inside


def test_coverage_of_cells_by_hand() -> None:
    mask = np.zeros((4, 4, 6), bool)
    mask[:2, :2, :3] = True  # all of cell (0, 0, 0)
    mask[2, 2:, 3:] = True  # one of the two frames of cell (1, 1, 1)
    mask[3, 0, 0] = True  # one of 12 pixels of cell (1, 0, 0)
    expected = np.zeros((2, 2, 2))
    expected[0, 0, 0], expected[1, 1, 1], expected[1, 0, 0] = 1, 0.5, 1 / 12
    np.testing.assert_allclose(cell_coverage(mask, (2, 2, 2)), expected, atol=1e-7)


def test_coverage_where_the_grid_does_not_divide_the_pixels() -> None:
    mask = np.zeros((1, 3, 3), bool)
    mask[0, :, 1] = True  # the middle third lies half in either of two columns
    np.testing.assert_allclose(cell_coverage(mask, (1, 1, 2)), [[[1 / 3, 1 / 3]]], atol=1e-7)
    rng = np.random.default_rng(0)
    mask = rng.random((16, 20, 28)) > 0.6
    for grid in ((4, 7, 7), (1, 3, 5), (16, 20, 28)):
        assert cell_coverage(mask, grid).mean() == pytest.approx(mask.mean(), abs=1e-6)


def test_share_counts_positive_contributions_by_coverage() -> None:
    values = np.array([[[3.0, -5.0], [1.0, 0.0]]])
    mask = np.zeros((1, 4, 4), bool)
    mask[:, :2] = True  # upper row of cells
    assert share_inside(values, mask) == InsideShare(0.75, 0.5)
    assert share_inside(values, mask).ratio == 1.5
    mask[:, :, 1:] = False  # half of cell (0, 0)
    assert share_inside(values, mask).share == pytest.approx(1.5 / 4)
    assert share_inside(-np.ones((1, 2, 2)), mask).share == 0.0


def test_an_even_map_knows_nothing() -> None:
    mask = np.random.default_rng(0).random((8, 12, 12)) > 0.7
    assert share_inside(np.ones((4, 3, 3)), mask).ratio == pytest.approx(1, abs=1e-5)


def test_moving_pixels_are_those_of_a_moving_block() -> None:
    frames = np.full((6, 40, 60, 3), 60, np.uint8)
    frames[:, 5:15, 40:55] = 200  # at rest
    for t in range(6):
        frames[t, 20:32, 5 + 4 * t : 17 + 4 * t] = 220
    moving = moving_pixels(frames)
    assert moving.shape == (6, 40, 60)
    assert not moving[:, :18].any()
    # The front edge between one frame and the next: columns 17 to 20 after frame 0.
    assert moving[0, 22:30, 17:21].all()
    assert moving[1, 22:30, 17:21].all()
    assert not moving[0, :, 30:].any()
    assert not moving_pixels(np.repeat(frames[:1], 5, 0)).any()


def test_shapes_are_checked() -> None:
    with pytest.raises(ValueError, match=r"a mask has the shape \(T, H, W\)"):
        cell_coverage(np.zeros((2, 2), bool), (1, 1, 1))
    with pytest.raises(ValueError, match=r"a map has the shape"):
        share_inside(np.zeros((2, 2)), np.zeros((1, 2, 2), bool))
    with pytest.raises(ValueError, match=r"frames are \(T, H, W, 3\)"):
        moving_pixels(np.zeros((4, 8, 8), np.uint8))
