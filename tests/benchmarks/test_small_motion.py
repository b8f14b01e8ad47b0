"""The talking head moves where and as fast as is said, and that is what is measured."""

import cv2
import numpy as np
import pytest

from analysis.core.grid import Grid
from analysis.core.statistics import rank_correlation
from analysis.regions.flow import cell_means, movement
from benchmarks.small_motion import NUM_FRAMES, SIZE, measure, talking_head
from tests.factories import tiny_branch


def test_the_wall_stands_still_and_the_head_has_its_speed() -> None:
    frames, moves = talking_head(77, 0, 1.0)
    assert frames.shape == (NUM_FRAMES, SIZE, SIZE, 3)
    still = (moves == 0).all(axis=0).astype(np.uint8)
    wall = cv2.erode(still, np.ones((11, 11), np.uint8)) > 0  # clear of the head's soft edge
    assert wall.any()
    assert frames[:, wall].astype(float).std(axis=0).max() < 2
    # 3 pixels to either side in 12 frames, 1 up and down in 9: at most so fast.
    assert moves.max() <= 2 * np.pi * np.hypot(3 / 12, 1 / 9)
    half, _ = talking_head(77, 0, 0.5)
    assert not np.array_equal(frames, half)
    found, grid = movement(frames[:8]), Grid.even((2, 7, 7), (8, SIZE, SIZE))
    assert rank_correlation(cell_means(found, grid), cell_means(moves[:8], grid)) > 0.3


def test_every_map_gets_a_number_a_video() -> None:
    model = tiny_branch(0, size=48)
    videos = [talking_head(77, index, 1.0) for index in range(2)]
    videos = [(frames[:, :48, :48], moves[:, :48, :48]) for frames, moves in videos]
    found = measure(model, model, videos, seed=0)
    assert len(found) == 6
    assert all(len(values) == 2 and np.isfinite(values).all() for values in found.values())
    assert set(found.pop("RSP's order")) <= {0, 0.5, 1}
    assert all(abs(value) <= 1 for values in found.values() for value in values)
    # The same branch, clip by clip: a map is its two parts.
    assert found["RSP's margin map"] != pytest.approx(found["that of the static clip"])
