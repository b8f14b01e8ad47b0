"""Clips to explain: which frames, at which speed, in which view."""

import re

import numpy as np
import pytest

from analysis.core.clip import ClipInfo, View, load_view, speed_indices, view_masks
from rspnet.data.transforms import eval_frames, normalise


class Numbered:
    """A video of 12 x 20 pixels; every pixel of frame t is t, but for a white column at 0."""

    def __len__(self) -> int:
        return 40

    def get_frames(self, indices: list[int]) -> np.ndarray:
        frames = np.empty((len(indices), 12, 20, 3), np.uint8)
        frames[:] = np.array(indices, np.uint8)[:, None, None, None]
        frames[:, :, 0] = 255
        return frames


def test_speeds_pick_the_nearest_frame() -> None:
    assert speed_indices(3, 4, 1, 40) == [3, 4, 5, 6]
    assert speed_indices(3, 4, 2, 40) == [3, 5, 7, 9]
    halves = speed_indices(0, 5, 0.5, 40)
    assert halves[::2] == [0, 1, 2]
    assert all(abs(index - t * 0.5) <= 0.5 for t, index in enumerate(halves))
    assert speed_indices(0, 4, 4, 13) == [0, 4, 8, 12]


def test_a_clip_beyond_the_video_names_what_it_needs() -> None:
    message = "4 frames at 4x from frame 1 on need a video of 14 frames, this one has 13"
    with pytest.raises(ValueError, match=re.escape(message)):
        speed_indices(1, 4, 4, 13)


def test_a_view_knows_its_frames_and_shows_the_centre() -> None:
    view = load_view(Numbered(), 3, 12, start=5, speed=2, name="n")
    assert view.info == ClipInfo("n", (5, 7, 9), 2)
    assert view.frames.shape == (3, 12, 12, 3)
    # The centre crop leaves the white column out.
    np.testing.assert_array_equal(view.frames[:, 0, 0, 0], [5, 7, 9])
    assert view.frames.max() == 9
    assert view.clip.shape == (3, 3, 12, 12)
    np.testing.assert_array_equal(view.clip.numpy(), normalise(view.frames).numpy())


def test_other_frames_of_the_same_place_have_the_same_shape() -> None:
    view = load_view(Numbered(), 3, 12)
    other = view.with_frames(255 - view.frames)
    assert other.info == view.info
    assert other.frames[0, 0, 0, 0] == 255
    for wrong in (view.frames[:2], view.frames.astype(float)):
        with pytest.raises(ValueError, match="frames are uint8"):
            view.with_frames(wrong)


def test_masks_get_the_view_of_the_frames() -> None:
    masks = np.zeros((6, 12, 20), bool)
    masks[2, 3:7, 6:9] = True
    shown = view_masks(masks, [1, 2], 12)
    assert not shown[0].any()
    # The crop starts at column 4.
    expected = np.zeros((12, 12), bool)
    expected[3:7, 2:5] = True
    np.testing.assert_array_equal(shown[1], expected)
    big = view_masks(masks, [2], 24)
    np.testing.assert_allclose(big.mean(), expected.mean(), rtol=0.35)
    assert eval_frames(np.zeros((1, 12, 20, 3), np.uint8), 24).shape[1:3] == big.shape[1:]
    with pytest.raises(ValueError, match="masks are booleans"):
        view_masks(masks.astype(np.uint8), [0], 12)


def test_view_is_a_plain_value() -> None:
    frames = np.zeros((1, 2, 2, 3), np.uint8)
    assert View(frames, ClipInfo()).info == ClipInfo("", (), 1)
