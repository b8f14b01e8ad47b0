"""Clips of labelled videos."""

from pathlib import Path

import numpy as np
import pytest
import torch

from rspnet.data.datasets.labelled import load_video_set
from rspnet.data.labelled_clips import ActionClips, ActionsConfig, ClipPlan, collate_labelled
from rspnet.data.stream import SampleKey
from rspnet.data.video.reader import VideoReader


def test_even_clips_by_hand():
    plan = ClipPlan(num_frames=4, size=8)
    assert plan.even(10, 25.0, 3) == [[0, 1, 2, 3], [3, 4, 5, 6], [6, 7, 8, 9]]
    # A video shorter than the clip is played in a loop.
    assert plan.even(3, 25.0, 2) == [[0, 1, 2, 0], [0, 1, 2, 0]]
    # 30 frames per second shown at 15: every second frame.
    halved = ClipPlan(num_frames=4, size=8, fps=15.0)
    assert halved.even(10, 30.0, 2) == [[0, 2, 4, 6], [3, 5, 7, 9]]


def test_covering_clips_take_the_whole_video():
    plan = ClipPlan(num_frames=4, size=8, sampling="cover")
    # Segments of 3 frames; two clips look at 1/4 and 3/4 of each.
    assert plan.even(12, 25.0, 2) == [[0, 3, 6, 9], [2, 5, 8, 11]]
    assert plan.even(2, 25.0, 1) == [[0, 0, 1, 1]]
    rng = np.random.default_rng(0)
    for _ in range(50):
        drawn = plan.draw(12, 25.0, rng)
        assert [i // 3 for i in drawn] == [0, 1, 2, 3]


def test_drawn_clips_stay_inside_and_reach_both_ends():
    plan, rng = ClipPlan(num_frames=4, size=8), np.random.default_rng(1)
    starts = set()
    for _ in range(200):
        drawn = plan.draw(9, 25.0, rng)
        assert drawn == list(range(drawn[0], drawn[0] + 4))
        starts.add(drawn[0])
    assert starts == set(range(6))


def test_test_clips_are_the_frames_of_the_fixed_view(video_folder):
    path = next(video_folder.rglob("*.mp4"))
    plan = ClipPlan(num_frames=8, size=24)
    with VideoReader(path) as reader:
        clips = plan.test_clips(reader, 3)
        expected = reader.get_frames(range(16, 24))
    assert clips.shape == (3, 8, 24, 24, 3)
    # 24 x 32 pixels: the short side fits, the middle 24 columns are kept.
    assert np.array_equal(clips[1], expected[:, :, 4:28])


def test_samples_follow_from_seed_and_position(video_folder, tmp_path):
    videos = load_video_set(ActionsConfig(name="folder", root=str(video_folder)))
    plan, augment = ClipPlan(num_frames=8, size=16), ActionsConfig().augment
    clips = ActionClips(videos, plan, augment, seed=3)
    a, b = clips[SampleKey(5, 2, 0, 1)], clips[SampleKey(5, 2, 1, 0)]
    assert torch.equal(a.clip, b.clip)
    assert a.label == videos.classes.index(videos.videos[2].label) == b.label
    assert not torch.equal(a.clip, clips[SampleKey(6, 2, 0, 1)].clip)
    assert not torch.equal(
        a.clip, ActionClips(videos, plan, augment, 4)[SampleKey(5, 2, 0, 1)].clip
    )
    batch = collate_labelled([a, clips[SampleKey(6, 0, 0, 1)]])
    assert batch.clips.shape == (2, 8, 16, 16, 3)
    assert batch.labels.tolist() == [a.label, videos.classes.index(videos.videos[0].label)]


def test_a_bad_video_gives_its_place_to_the_next_and_is_named(video_folder, tmp_path):
    for label in ("class0", "class1"):
        (tmp_path / label).mkdir()
    (tmp_path / "class0" / "a.mp4").write_text("no video")
    good = next((video_folder / "class1").glob("*.mp4"))
    (tmp_path / "class1" / "b.mp4").symlink_to(good)
    videos = load_video_set(ActionsConfig(name="folder", root=str(tmp_path)))
    clips = ActionClips(videos, ClipPlan(num_frames=8, size=16), ActionsConfig().augment, 0)
    sample = clips[SampleKey(0, 0, 0, 1)]
    assert sample.label == 1
    ((index, reason),) = sample.failures
    assert (index, Path(videos.videos[index].path).name) == (0, "a.mp4")
    assert reason


def test_settings_out_of_range_are_refused():
    with pytest.raises(ValueError, match="num_clips is positive, got 0"):
        ActionsConfig(num_clips=0)
