"""Shares inside masks by hand."""

import numpy as np
import pytest

from analysis.core.grid import Grid
from analysis.regions.motion import InsideShare, cell_coverage, moving_pixels, share_inside

GRID = Grid.even((1, 2, 2), (1, 4, 4))


def test_coverage_of_cells_by_hand() -> None:
    mask = np.zeros((4, 4, 6), bool)
    mask[:2, :2, :3] = True  # all of cell (0, 0, 0)
    mask[2, 2:, 3:] = True  # one of the two frames of cell (1, 1, 1)
    mask[3, 0, 0] = True  # one of 12 pixels of cell (1, 0, 0)
    grid = Grid.even((2, 2, 2), (4, 4, 6))
    expected = np.zeros((2, 2, 2))
    expected[0, 0, 0], expected[1, 1, 1], expected[1, 0, 0] = 1, 0.5, 1 / 12
    np.testing.assert_allclose(cell_coverage(mask, grid), expected, atol=1e-7)


def test_coverage_counts_each_pixel_for_the_cell_whose_territory_it_is_in() -> None:
    rng = np.random.default_rng(0)
    mask = rng.random((16, 112, 112)) > 0.6
    grid = Grid((4, 7, 7), (16, 112, 112), (4, 16, 16), (0, 0, 0))
    covered, pixels = np.zeros(grid.cells), np.zeros(grid.cells)
    place = [grid.cell_of(axis) for axis in range(3)]
    for t, y, x in np.ndindex(16, 112, 112):
        cell = place[0][t], place[1][y], place[2][x]
        covered[cell] += mask[t, y, x]
        pixels[cell] += 1
    np.testing.assert_allclose(cell_coverage(mask, grid), covered / pixels, atol=1e-12)
    with pytest.raises(ValueError, match="give a finer one"):
        cell_coverage(mask[:2], grid)


def test_share_counts_positive_contributions_by_coverage() -> None:
    values = np.array([[[3.0, -5.0], [1.0, 0.0]]])
    mask = np.zeros((1, 4, 4), bool)
    mask[:, :2] = True  # upper row of cells
    assert share_inside(values, mask, GRID) == InsideShare(0.75, 0.5)
    assert share_inside(values, mask, GRID).ratio == 1.5
    mask[:, :, 1:] = False  # half of cell (0, 0)
    assert share_inside(values, mask, GRID).share == pytest.approx(1.5 / 4)
    assert share_inside(-np.ones((1, 2, 2)), mask, GRID).share == 0.0


def test_an_even_map_knows_nothing() -> None:
    mask = np.random.default_rng(0).random((8, 12, 12)) > 0.7
    grid = Grid.even((4, 3, 3), mask.shape)
    assert share_inside(np.ones((4, 3, 3)), mask, grid).ratio == pytest.approx(1, abs=1e-5)


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
        cell_coverage(np.zeros((2, 2), bool), GRID)
    with pytest.raises(ValueError, match=r"a map on this grid has the shape"):
        share_inside(np.zeros((2, 2)), np.zeros((1, 2, 2), bool), GRID)
    with pytest.raises(ValueError, match=r"frames are \(T, H, W, 3\)"):
        moving_pixels(np.zeros((4, 8, 8), np.uint8))
