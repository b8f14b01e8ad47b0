"""The deterministic view of evaluation."""

import numpy as np
import pytest
import torch

from rspnet.data import transforms
from rspnet.data.transforms import (
    IMAGENET_MEAN,
    IMAGENET_STD,
    centre_crop,
    eval_clips,
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


class Pixels:
    """A video of noise that notes the bytes of what it gave at once."""

    def __init__(self, height, width, num_frames=40):
        self.given = []
        self.asked = []
        self.frames = np.random.default_rng(0).integers(
            0, 256, (num_frames, height, width, 3), np.uint8
        )

    def __len__(self):
        return len(self.frames)

    def get_frames(self, indices):
        found = self.frames[list(indices)]
        self.given.append(found.nbytes)
        self.asked += list(indices)
        return found


CLIPS = [[0, 2, 4, 6], [4, 5, 6, 7], [30, 20, 10, 39]]


@pytest.mark.parametrize("frames_at_once", [0.5, 1, 3.9, 1000])
@pytest.mark.parametrize("shape", [(48, 64), (64, 48), (24, 24), (12, 20)])
def test_pieces_give_what_all_at_once_gives(shape, frames_at_once, monkeypatch):
    video = Pixels(*shape)
    one = video.frames[0].nbytes
    limit = round(frames_at_once * one)
    monkeypatch.setattr(transforms, "_PIECE_BYTES", limit)
    frames, places = eval_clips(video, CLIPS, 24)
    for clip, place in zip(CLIPS, places, strict=True):
        for index, n in zip(clip, place, strict=True):
            naive = eval_frames(video.frames[index : index + 1], 24)[0]
            assert frames[n].tobytes() == naive.tobytes()
    # Each frame once, in the order of the file, and no piece above the limit but single frames.
    assert video.asked == [0, 2, 4, 5, 6, 7, 10, 20, 30, 39]
    assert max(video.given) <= max(limit, one)
    assert len(frames) == 10


def test_frames_of_8k_are_decoded_few_at_a_time(monkeypatch):
    sizes = []

    class Large:
        def __len__(self):
            return 64

        def get_frames(self, indices):
            # Memory that is never touched: the view of it is not looked at here.
            sizes.append(len(indices) * 4320 * 7680 * 3)
            return np.broadcast_to(np.uint8(7), (len(indices), 4320, 7680, 3))

    monkeypatch.setattr(transforms, "eval_frames", lambda frames, size: frames[:, :size, :size])
    frames, _ = eval_clips(Large(), [list(range(64))], 8)
    assert frames.shape == (64, 8, 8, 3)
    assert max(sizes) <= 200e6
    assert sum(sizes) == 64 * 4320 * 7680 * 3


def test_small_frames_are_still_decoded_many_at_once():
    video = Pixels(12, 16)
    eval_clips(video, [list(range(40))], 12)
    assert len(video.given) == 2
