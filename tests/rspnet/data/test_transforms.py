"""The deterministic view of evaluation."""

import numpy as np
import pytest
import torch

from rspnet.data.transforms import (
    IMAGENET_MEAN,
    IMAGENET_STD,
    centre_crop,
    eval_frames,
    load_clip,
    normalise,
    resize_short_side,
)


class Numbers:
    """A video of 20 frames whose frame t is filled with the value 10 t."""

    def __len__(self):
        return 20

    def get_frames(self, indices):
        return np.stack([np.full((12, 16, 3), 10 * i, np.uint8) for i in indices])


def test_normalise_by_hand():
    frames = np.zeros((2, 4, 4, 3), np.uint8)
    frames[1, 2, 3] = (255, 51, 0)
    clip = normalise(frames)
    assert clip.shape == (3, 2, 4, 4)
    assert clip.dtype == torch.float32
    for c, value in enumerate((1.0, 0.2, 0.0)):
        expected = (value - IMAGENET_MEAN[c]) / IMAGENET_STD[c]
        assert clip[c, 1, 2, 3].item() == pytest.approx(expected, rel=1e-5)
    batch = normalise(np.stack([frames, frames]))
    assert batch.shape == (2, 3, 2, 4, 4)
    assert batch.is_contiguous(memory_format=torch.channels_last_3d)


def test_resize_and_crop():
    frames = np.zeros((1, 30, 60, 3), np.uint8)
    frames[:, :, 20:40] = 200
    assert resize_short_side(frames, 15).shape == (1, 15, 30, 3)
    assert resize_short_side(frames.transpose(0, 2, 1, 3), 15).shape == (1, 30, 15, 3)
    middle = eval_frames(frames, 15)
    assert middle.shape == (1, 15, 15, 3)
    assert (middle[0, :, 4:11] == 200).all()
    with pytest.raises(ValueError, match="hold no crop"):
        centre_crop(frames, 31)


def test_load_clip_gives_the_frames_that_the_clip_was_made_from():
    clip, frames = load_clip(Numbers(), 2, 4, speed=3, size=12)
    assert frames[:, 0, 0, 0].tolist() == [20, 50, 80, 110]
    assert torch.equal(clip, normalise(frames))
    _, looped = load_clip(Numbers(), 18, 4, size=12)
    assert looped[:, 0, 0, 0].tolist() == [180, 190, 0, 10]
    with pytest.raises(ValueError, match=r"start is in 0\.\.19"):
        load_clip(Numbers(), 20, 4)


def test_normalise_refuses_other_shapes():
    with pytest.raises(ValueError, match="uint8 with the shape"):
        normalise(np.zeros((2, 4, 4, 3), np.float32))
