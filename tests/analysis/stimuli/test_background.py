"""Moving parts before other backgrounds."""

import numpy as np
import pytest

from analysis.core.clip import ClipInfo, View
from analysis.stimuli.background import (
    moving_region,
    swap_background,
    swap_synthetic_background,
    with_background,
)
from rspnet.data.synthetic.videos import draw_factors, render_backdrop, render_video
from rspnet.data.transforms import eval_frames


def view_of(frames: np.ndarray) -> View:
    return View(frames, ClipInfo())


def test_what_moves_stays_and_the_rest_is_of_the_other_clip() -> None:
    rng = np.random.default_rng(0)
    square = rng.integers(0, 256, (12, 12, 3), np.uint8)
    frames = np.full((6, 64, 64, 3), 90, np.uint8)
    for t in range(6):
        frames[t, 20:32, 20 + t : 32 + t] = square
    other = view_of(np.full_like(frames, 200))
    own = view_of(frames)
    region = moving_region(own)
    assert region.mean() == pytest.approx(0.2, abs=0.01)
    assert region[20:32, 20:37].all()
    swapped = swap_background(own, other)
    assert (swapped.frames[:, region] == frames[:, region]).all()
    assert (swapped.frames[:, ~region] == 200).all()
    assert (swap_background(other, own).frames == frames[3]).all()  # nothing moves


def test_an_actor_is_put_before_another_set() -> None:
    own, other = draw_factors(3, 0), draw_factors(3, 1)
    video = render_video(3, 0, num_frames=2)
    still = ~video.masks["actor"].any(axis=0)
    differs = np.abs(video.frames[:, still].astype(int) - render_backdrop(own)[still]).max()
    assert (video.frames[0] == render_backdrop(own)).mean() > 0.5
    assert differs > 0  # outlines shine through
    view = view_of(eval_frames(video.frames, 112))
    swapped = swap_synthetic_background(view, own, other)
    truth = eval_frames(render_video(3, 0, set_id=other.set_id, prop=other.prop,
                                     num_frames=2).frames, 112)  # fmt: skip
    off = np.abs(swapped.frames.astype(int) - truth).max(axis=-1) > 16
    assert off.mean() < 0.02  # outlines alone


def test_shapes_that_do_not_fit_are_refused() -> None:
    view = view_of(np.zeros((2, 8, 8, 3), np.uint8))
    with pytest.raises(ValueError, match=r"takes a region .* got \(4, 4\)"):
        with_background(view, np.ones((4, 4), bool), view.frames[0])
