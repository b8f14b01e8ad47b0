"""Noise that moves as a clip does."""

import numpy as np
import pytest

from analysis.stimuli.noise import carried_noise


def textured(height: int, width: int) -> np.ndarray:
    rng = np.random.default_rng(0)
    coarse = rng.integers(0, 256, size=(height // 4, width // 4, 3), dtype=np.uint8)
    return coarse.repeat(4, axis=0).repeat(4, axis=1)


def test_noise_moves_with_the_picture() -> None:
    picture = textured(64, 128)
    frames = np.stack([picture[:, 3 * t : 3 * t + 64] for t in range(4)])  # 3 pixels to the left
    noise = carried_noise(frames, np.random.default_rng(1))
    inner = slice(12, 52)
    moved = noise[1:, inner, 12:49] == noise[:-1, inner, 15:52]
    assert moved.all(axis=-1).mean() > 0.95
    stays = noise[1:, inner, 12:49] == noise[:-1, inner, 12:49]
    assert stays.all(axis=-1).mean() < 0.05


def test_each_frame_is_noise_and_what_rests_stays() -> None:
    picture = textured(64, 64)
    frames = np.stack([picture] * 6)
    for t in range(6):  # a square moves over a picture at rest
        frames[t, 20:40, 8 + 4 * t : 28 + 4 * t] = textured(80, 80)[30:50, 30:50]
    noise = carried_noise(frames, np.random.default_rng(2))
    assert (noise[:, 50:] == noise[0, 50:]).all()
    for frame in noise:  # colours are not blended, and none is lost
        assert abs(frame.mean() - 127.5) < 4
        assert abs(frame.std() - 73.9) < 3
    still = abs(np.corrcoef(noise[3, ..., 0].ravel(), frames[3, ..., 0].ravel())[0, 1])
    assert still < 0.05  # a frame alone says nothing of the picture


def test_other_arrays_are_refused() -> None:
    with pytest.raises(ValueError, match="frames are uint8"):
        carried_noise(np.zeros((2, 8, 8, 3), np.float32), np.random.default_rng(0))
