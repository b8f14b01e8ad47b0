"""Histograms of colour, flow and gradients: values by hand."""

from pathlib import Path

import numpy as np
import pytest

from benchmarks.small_scale.histograms import (
    colour_histogram,
    count_directions,
    fewer_fields,
    flow_histogram,
    hellinger,
    histograms,
    hog_histogram,
)


def test_hellinger_is_bhattacharyya() -> None:
    p, q = np.array([1.0, 3.0, 0.0]), np.array([2.0, 0.0, 2.0])
    found = float(hellinger(p) @ hellinger(q))
    assert found == pytest.approx(np.sqrt(0.25 * 0.5))
    assert np.linalg.norm(hellinger(p)) == pytest.approx(1)
    assert hellinger(np.zeros(4)).tolist() == [0.5] * 4


def test_colours_by_hand() -> None:
    # 42 is the last value of the first sixth, 43 the first of the second.
    frames = np.array([[[[0, 0, 42]], [[0, 0, 43]]], [[[255] * 3], [[0, 43, 0]]]], np.uint8)
    expected = np.zeros(216)
    expected[[0, 1, 215, 6]] = 0.5  # a quarter of all pixels each
    np.testing.assert_allclose(colour_histogram(frames), expected)


def test_directions_by_hand() -> None:
    x, y = np.zeros((8, 8)), np.zeros((8, 8))
    x[0, 1] = 2  # right, field 0
    y[7, 7] = 3  # down, field 15
    x[3, 0] = y[3, 0] = -1  # up and left, field 4
    x[4, 2], y[4, 2] = 1, -1e-9  # right but for a hair upwards, field 9
    found = count_directions(x, y, 8, 2 * np.pi, -np.pi / 8)
    expected = np.zeros(128)
    expected[0 * 8 + 0], expected[15 * 8 + 2] = 2, 3
    expected[4 * 8 + 5], expected[9 * 8 + 0] = np.sqrt(2), 1
    np.testing.assert_allclose(found, expected)


def test_half_a_turn_makes_opposites_one() -> None:
    x = np.array([[3.0, -4.0], [0, 0]]).repeat(2, 0).repeat(2, 1)
    found = count_directions(x, np.zeros((4, 4)), 9, np.pi, 0.0).reshape(16, 9)
    assert found[:, 0].tolist() == [3, 3, 4, 4, 3, 3, 4, 4] + [0] * 8
    assert found[:, 1:].sum() == 0


def test_flow_of_what_moves_right() -> None:
    rng = np.random.default_rng(0)
    wide = np.kron(rng.integers(0, 255, (20, 40)), np.ones((4, 4))).astype(np.uint8)
    frames = np.stack([wide[:, 40 - 2 * t : 104 - 2 * t] for t in range(4)])
    found = flow_histogram(frames[..., None].repeat(3, axis=-1)).reshape(4, 4, 8) ** 2
    assert found[..., 0].sum() > 0.9
    # Fields at the borders see things come in; those within have an even share.
    np.testing.assert_allclose(found[1:3, 1:3, 0], 1 / 16, rtol=0.25)


def test_flow_of_a_still_is_even() -> None:
    frames = np.full((3, 32, 32, 3), 90, np.uint8)
    np.testing.assert_allclose(flow_histogram(frames), 1 / np.sqrt(128), rtol=1e-6)


def test_fewer_fields_by_hand() -> None:
    shares = np.zeros((4, 4, 8))
    shares[0, 1, 3], shares[1, 0, 3], shares[2, 3, 7], shares[3, 3, 0] = 0.1, 0.2, 0.3, 0.4
    found = fewer_fields(np.sqrt(shares).reshape(1, 1, 128).astype(np.float32))
    four = np.zeros((2, 2, 8))
    four[0, 0, 3], four[1, 1, 7], four[1, 1, 0] = 0.1 + 0.2, 0.3, 0.4
    np.testing.assert_allclose(found["2 x 2"], four.reshape(1, 1, 32), rtol=1e-6)
    np.testing.assert_allclose(found["1 x 1"][0, 0], four.sum(axis=(0, 1)), rtol=1e-6)
    np.testing.assert_allclose(found["no directions"][0, 0], shares.sum(2).ravel(), rtol=1e-6)


def test_gradients_of_an_edge() -> None:
    frames = np.zeros((2, 16, 16, 3), np.uint8)
    frames[:, :, 8:] = 200
    found = hog_histogram(frames).reshape(4, 4, 9) ** 2
    # The edge lies between the second and the third field, and both sides of it see it.
    np.testing.assert_allclose(found[:, 1:3, 0], 1 / 8, rtol=1e-6)
    assert found.sum() == pytest.approx(1)
    turned = hog_histogram(frames.swapaxes(1, 2)).reshape(4, 4, 9) ** 2
    np.testing.assert_allclose(turned[1:3, :, 4], 1 / 8, rtol=1e-6)  # 90 of 180 degrees
    np.testing.assert_array_equal(hog_histogram(255 - frames), hog_histogram(frames))


def test_of_a_file(video_folder: Path) -> None:
    found = histograms(video_folder / "class0" / "v0.mp4", 24)
    assert {name: row.shape for name, row in found.items()} == {
        "colour": (1, 216),
        "flow": (1, 128),
        "hog": (1, 144),
    }
    # The square moves to the right by 2 pixels a frame.
    assert (found["flow"].reshape(16, 8) ** 2).sum(axis=0).argmax() == 0
