"""Frame indices of clips, and the fairness of triplets."""

import numpy as np
import pytest

from rspnet.data.sampling import (
    clip_indices,
    clip_span,
    even_starts,
    pace_of,
    sample_triplet,
    share_frames,
)


def test_indices_by_hand():
    assert clip_indices(3, 4, 1) == [3, 4, 5, 6]
    assert clip_indices(3, 4, 2) == [3, 5, 7, 9]
    assert clip_span(16, 2) == 31
    # A video of 5 frames is played in a loop.
    assert clip_indices(3, 4, 2, video_length=5) == [3, 0, 2, 4]
    assert clip_indices(0, 3, 2, video_length=1) == [0, 0, 0]


def test_frames_at_another_rate_by_hand():
    # 30 frames per second shown at 20: every 1.5th frame, of two equally near the later.
    assert pace_of(30.0, 20.0) == 1.5
    assert pace_of(30.0, None, stride=2) == 2.0
    assert pace_of(25.0, 25.0, stride=3) == 3.0
    assert clip_indices(10, 5, 1, pace=1.5) == [10, 12, 13, 15, 16]
    assert clip_indices(10, 5, 2, pace=1.5) == [10, 13, 16, 19, 22]
    assert clip_span(5, 1, 1.5) == 7
    assert clip_span(5, 2, 1.5) == 13
    with pytest.raises(ValueError, match="rates and strides are positive, got 25"):
        pace_of(25.0, 0.0)


def test_triplets_at_another_rate_stay_inside():
    rng = np.random.default_rng(2)
    for _ in range(100):
        t = sample_triplet(24, 8, 1, 2, rng, pace=1.6)
        for clip in (t.query, t.same_speed, t.other_speed):
            assert 0 <= clip.indices[0] <= clip.indices[-1] < 24


def test_clips_share_their_frames():
    clips = [[4, 5, 6], [5, 7, 9], [4, 4, 5]]
    wanted, places = share_frames(clips)
    assert wanted == [4, 5, 6, 7, 9]
    assert [[wanted[p] for p in row] for row in places] == clips


def test_even_starts_touch_both_ends():
    assert even_starts(100, 1, 16) == [42]
    assert even_starts(26, 3, 16) == [0, 5, 10]
    assert even_starts(10, 3, 16) == [0, 0, 0]


def test_triplets_stay_inside_and_have_the_right_speeds():
    rng = np.random.default_rng(0)
    for _ in range(200):
        t = sample_triplet(33, 16, 2, 1, rng)
        assert (t.query.speed, t.same_speed.speed, t.other_speed.speed) == (2, 2, 1)
        for clip in (t.query, t.same_speed, t.other_speed):
            assert clip.indices[0] >= 0
            assert clip.indices[-1] < 33


def test_distances_to_the_query_do_not_tell_the_speed():
    rng = np.random.default_rng(1)
    draws = [sample_triplet(90, 16, 1, 2, rng) for _ in range(4000)]
    same = np.array([abs(t.same_speed.start - t.query.start) for t in draws])
    other = np.array([abs(t.other_speed.start - t.query.start) for t in draws])
    # Two samples of one distribution: quartiles agree within a frame, neither is nearer.
    quartiles = [0.25, 0.5, 0.75]
    assert np.abs(np.quantile(same, quartiles) - np.quantile(other, quartiles)).max() <= 1.5
    assert abs((same < other).mean() - (other < same).mean()) < 0.03


def test_errors():
    rng = np.random.default_rng(0)
    with pytest.raises(ValueError, match="needs 31 frames, the video has 30"):
        sample_triplet(30, 16, 1, 2, rng)
    with pytest.raises(ValueError, match="another speed"):
        sample_triplet(90, 16, 2, 2, rng)
    with pytest.raises(ValueError, match="speed >= 1"):
        clip_indices(0, 16, 0)
    with pytest.raises(ValueError, match="at least one frame, got video_length=0"):
        clip_indices(0, 16, video_length=0)
    with pytest.raises(ValueError, match="num_clips is positive"):
        even_starts(30, 0, 16)
