"""Optical flow of movements that are known, and saliency of pictures that are simple."""

import cv2
import numpy as np
import pytest

from analysis.core.grid import Grid
from analysis.core.statistics import rank_correlation
from analysis.regions.flow import (
    cell_means,
    local_contrast,
    movement,
    spectral_residual,
    visible_change,
)


def texture(height: int, width: int, seed: int = 0) -> np.ndarray:
    """A smooth random picture with contrasts everywhere, (H, W, 3) uint8."""
    rng = np.random.default_rng(seed)
    noise = rng.normal(size=(height, width)).astype(np.float32)
    grey = cv2.GaussianBlur(noise, (0, 0), 2.0)
    grey = 128 + 50 * grey / grey.std()
    return np.clip(grey, 0, 255).astype(np.uint8)[..., None].repeat(3, axis=-1)


def pan(speed: int, num_frames: int = 6) -> np.ndarray:
    """The whole picture moves to the left by so many pixels a frame."""
    wide = texture(112, 112 + speed * num_frames)
    return np.stack([wide[:, t * speed : t * speed + 112] for t in range(num_frames)])


def with_square(frames: np.ndarray, speed: int) -> tuple[np.ndarray, np.ndarray]:
    """A square of another texture moves down over the frames; and where it is."""
    square = texture(40, 40, seed=1)
    frames, inside = frames.copy(), np.zeros(frames.shape[:3], bool)
    for t in range(len(frames)):
        top = 10 + speed * t
        frames[t, top : top + 40, 30:70] = square
        inside[t, top : top + 40, 30:70] = True
    return frames, inside


def inner(mask: np.ndarray, pixels: int = 6) -> np.ndarray:
    kernel = np.ones((2 * pixels + 1, 2 * pixels + 1), np.uint8)
    return np.stack([cv2.erode(m.astype(np.uint8), kernel) for m in mask]).astype(bool)


@pytest.mark.parametrize("speed", [1, 2, 3])
def test_a_pan_has_its_speed_until_the_camera_is_taken_away(speed: int) -> None:
    frames = pan(speed)
    found = movement(frames, remove_camera=False)
    assert found.shape == (6, 112, 112)
    assert np.median(found) == pytest.approx(speed, abs=0.05)
    assert np.median(movement(frames)) < 0.05
    assert movement(frames).mean() < 0.1


def test_what_turns_and_grows_with_the_camera_is_taken_away_as_well() -> None:
    wide = texture(200, 200)
    frames = []
    for t in range(4):
        turned = cv2.getRotationMatrix2D((100, 100), 1.0 * t, 1 + 0.01 * t)
        frames.append(cv2.warpAffine(wide, turned, (200, 200))[44:156, 44:156])
    clip = np.stack(frames)
    assert movement(clip, remove_camera=False).mean() > 0.5
    assert movement(clip).mean() < 0.1


@pytest.mark.parametrize("camera", [0, 2])
def test_a_square_has_its_own_speed_over_a_still_or_panned_ground(camera: int) -> None:
    still = np.repeat(texture(112, 112)[None], 6, axis=0)
    frames, inside = with_square(pan(camera) if camera else still, speed=3)
    found = movement(frames)
    # Its speed over the picture and, as the ground goes away under it, over the ground.
    expected = np.hypot(3, camera)
    assert np.median(found[inner(inside)]) == pytest.approx(expected, abs=0.15)
    assert np.median(found[inner(~inside, 8)]) < 0.1
    on_cells = cell_means(found, Grid.even((2, 7, 7), frames.shape[:3]))
    assert on_cells[:, :, 2:4].mean() > 5 * on_cells[:, :, 5:].mean()


def swaying_head(pixels: float, num_frames: int = 8) -> tuple[np.ndarray, np.ndarray]:
    """A textured head down to the lower rim sways before a plain wall; and where it is.

    The camera and its wall stand still, but for its noise: one grey level.
    """
    rng, head = np.random.default_rng(0), texture(112, 160)[..., 0].astype(np.float32) / 2 + 40
    oval = np.zeros((112, 160), np.float32)
    cv2.ellipse(oval, (80, 90), (30, 60), 0, 0, 360, 1.0, -1)
    wall = np.linspace(150, 170, 112)[:, None]
    frames, inside = [], []
    for t in range(num_frames):
        shift = 24 + pixels * (3 * np.sin(t / 3 * np.pi))
        matrix = np.array([[1, 0, -shift], [0, 1, 0]], np.float32)
        one, alpha = (cv2.warpAffine(v, matrix, (112, 112)) for v in (head, oval))
        frame = alpha * one + (1 - alpha) * wall + rng.normal(0, 1, (112, 112))
        frames.append(np.clip(frame, 0, 255).astype(np.uint8)[..., None].repeat(3, axis=-1))
        inside.append(alpha > 0.5)
    return np.stack(frames), np.stack(inside)


@pytest.mark.parametrize("pixels", [0.3, 1.0])
def test_a_head_before_a_plain_wall_is_not_taken_for_the_camera(pixels: float) -> None:
    """The wall has no texture: any homography that fits the head explains it as well."""
    frames, inside = swaying_head(pixels)
    found = movement(frames)
    assert found[inside].mean() > 5 * found[~inside].mean()
    grid = Grid.even((2, 7, 7), frames.shape[:3])
    assert rank_correlation(cell_means(found, grid), cell_means(inside * 1.0, grid)) > 0.6


def test_what_does_not_change_visibly_does_not_move() -> None:
    first = np.full((48, 48), 100, np.uint8)
    second = first.copy()
    second[:, :16] = 104
    found = visible_change(first, second)
    np.testing.assert_allclose(found[:, :6], 4, atol=0.1)
    np.testing.assert_allclose(found[:, 30:], 0, atol=1e-5)
    # A camera that went two columns to the left explains what a shift did.
    moving = texture(48, 60)[..., 0]
    camera = np.zeros((48, 48, 2), np.float32) + np.array([2, 0], np.float32)
    a, b = moving[:, 10:58], moving[:, 8:56]
    assert visible_change(a, b).mean() > 10
    assert visible_change(a, b, camera)[:, 12:34].max() < 0.1


def test_a_still_clip_and_an_empty_one_do_not_move() -> None:
    still = np.repeat(texture(64, 64)[None], 4, axis=0)
    np.testing.assert_allclose(movement(still), 0, atol=1e-3)
    np.testing.assert_allclose(movement(np.full((3, 64, 64, 3), 90, np.uint8)), 0, atol=1e-3)


def test_frames_have_the_mean_of_the_steps_beside_them() -> None:
    wide = texture(112, 140)
    frames = np.stack([wide[:, at : at + 112] for at in (0, 1, 4)])  # 1 pixel, then 3
    medians = np.median(movement(frames, remove_camera=False), axis=(1, 2))
    np.testing.assert_allclose(medians, [1, 2, 3], atol=0.05)


def test_the_odd_one_out_is_salient() -> None:
    frame = texture(112, 112) // 8 + 100
    frame[48:60, 78:90] = 255
    found = spectral_residual(frame)
    assert found.shape == (112, 112)
    assert found.mean() == pytest.approx(1)
    row, column = np.unravel_index(found.argmax(), found.shape)
    assert abs(row - 54) < 6
    assert abs(column - 84) < 6
    assert (spectral_residual(np.full((40, 60, 3), 7, np.uint8)) == 0).all()


def test_contrast_is_a_standard_deviation() -> None:
    board = np.indices((60, 60)).sum(axis=0) % 2 * 100
    frame = np.repeat(board[..., None], 3, axis=-1).astype(np.uint8)
    np.testing.assert_allclose(local_contrast(frame)[20:40, 20:40], 50, atol=0.2)
    np.testing.assert_allclose(local_contrast(np.full((9, 9, 3), 200, np.uint8)), 0, atol=1e-4)


def test_means_of_cells_are_those_of_their_territories() -> None:
    rng = np.random.default_rng(0)
    grid = Grid((4, 7, 7), (16, 112, 112), (4.0, 16.0, 16.0), (0.0, 0.0, 0.0))
    values = rng.normal(size=grid.clip)
    place = [grid.cell_of(axis) for axis in range(3)]
    expected = np.zeros(grid.cells)
    for cell in np.ndindex(grid.cells):
        expected[cell] = values[np.ix_(*(p == c for p, c in zip(place, cell, strict=True)))].mean()
    np.testing.assert_allclose(cell_means(values, grid), expected, atol=1e-12)
    still = cell_means(values[:1], grid)
    np.testing.assert_allclose(still, still[:1].repeat(4, axis=0))


def test_shapes_are_checked() -> None:
    with pytest.raises(ValueError, match="at least two, got 1"):
        movement(np.zeros((1, 8, 8, 3), np.uint8))
    with pytest.raises(ValueError, match=r"frames are uint8 \(T, H, W, 3\), got float64"):
        movement(np.zeros((2, 8, 8, 3)))
    grid = Grid.even((2, 2, 2), (4, 8, 8))
    with pytest.raises(ValueError, match="with 4 frames or 1, got"):
        cell_means(np.zeros((3, 8, 8)), grid)
    with pytest.raises(ValueError, match=r"values have \(8, 8\) pixels"):
        cell_means(np.zeros((4, 8, 9)), grid)
