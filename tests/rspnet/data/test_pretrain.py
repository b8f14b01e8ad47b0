"""The stream of samples: order, balance, independence of workers, bad videos."""

import re
import shutil
from collections import Counter
from dataclasses import replace
from itertools import permutations
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader

from rspnet.commands import parse_config
from rspnet.data.augment import AugmentConfig
from rspnet.data.listing import expand_roots, list_videos
from rspnet.data.pretrain import DataConfig, PretrainDataset, collate, training_videos
from rspnet.data.sources import FileSource, FrameCache, scan_files
from rspnet.data.stream import SampleKey, SampleStream
from rspnet.data.video.reader import VideoReader

PLAIN = AugmentConfig(
    min_area=1, max_ratio=1, gray=0, brightness=0, contrast=0, saturation=0, hue=0, flip=0
)


class Counting:
    """A square video whose frame t is filled with t."""

    num_frames = 40
    fps = 25.0

    def __init__(self, number=0, broken=False):
        self.path = Path(f"{number}.mp4")
        self.broken = broken
        self.asked = []

    def get_frames(self, indices):
        if self.broken:
            raise ValueError("no frame today")
        self.asked.append(list(indices))
        return np.stack([np.full((8, 8, 3), i, np.uint8) for i in indices])


def batches(stream):
    return list(iter(stream))


def test_every_epoch_shows_each_video_once():
    keys = [key for batch in batches(SampleStream(7, 3, 0, 0, 14)) for key in batch]
    assert [key.position for key in keys] == list(range(42))
    for epoch in range(6):
        assert sorted(key.video for key in keys[7 * epoch : 7 * epoch + 7]) == list(range(7))
    orders = {tuple(k.video for k in keys[7 * e : 7 * e + 7]) for e in range(6)}
    assert len(orders) > 1


@pytest.mark.parametrize("batch_size", [4, 5])
def test_half_of_the_queries_have_either_speed(batch_size):
    stream = batches(SampleStream(100, batch_size, 0, 0, 20))
    for batch in stream:
        speeds = Counter(key.speed for key in batch)
        assert abs(speeds[0] - speeds[1]) == batch_size % 2
    total = Counter(key.speed for batch in stream for key in batch)
    assert total[0] == total[1]


def test_of_three_speeds_every_ordered_pair_comes_equally_often():
    stream = SampleStream(5, 6, 0, 0, 4, num_speeds=3)
    for batch in batches(stream):
        assert Counter((key.speed, key.other) for key in batch) == {
            (0, 1): 1, (1, 0): 1, (0, 2): 1, (2, 0): 1, (1, 2): 1, (2, 1): 1,
        }  # fmt: skip
    with pytest.raises(ValueError, match="a sample has two speeds, got num_speeds=1"):
        SampleStream(5, 6, 0, 0, 4, num_speeds=1)


def test_a_stream_that_begins_later_is_the_rest_of_the_whole():
    whole = batches(SampleStream(7, 3, 5, 0, 9))
    assert batches(SampleStream(7, 3, 5, 4, 9)) == whole[4:]
    assert batches(SampleStream(7, 3, 6, 0, 9)) != whole
    assert len(SampleStream(7, 3, 5, 4, 9)) == 5


@pytest.mark.parametrize("speeds", [(1, 2), (1, 4, 2)])
def test_clips_have_the_speeds_of_their_key(speeds):
    config = DataConfig(num_frames=8, size=8, speeds=speeds, augment=PLAIN)
    dataset = PretrainDataset([Counting()], config, seed=1)
    stream = SampleStream(1, 12, 0, 0, 1, num_speeds=len(speeds))
    seen = set()
    for key in (key for batch in batches(stream) for key in batch):
        query, same, other = (clip[:, 0, 0, 0].int() for clip in dataset[key].clips)
        speed, opposite = config.speeds[key.speed], config.speeds[key.other]
        assert set(query.diff().tolist()) == {speed}
        assert set(same.diff().tolist()) == {speed}
        assert set(other.diff().tolist()) == {opposite}
        seen.add((speed, opposite))
    assert seen == set(permutations(speeds, 2))


def test_only_the_frames_of_the_clips_are_asked_for_and_each_once():
    source = Counting()
    dataset = PretrainDataset([source], DataConfig(num_frames=4, size=8, augment=PLAIN), seed=0)
    dataset[batches(SampleStream(1, 1, 0, 0, 1))[0][0]]
    (asked,) = source.asked
    assert len(asked) == len(set(asked)) <= 12


@pytest.mark.parametrize("shared", ["crops", "colours"])
def test_a_share_of_the_samples_has_one_crop_or_one_jitter(shared):
    plain = {"max_ratio": 1, "gray": 0, "hue": 0, "contrast": 0, "saturation": 0}
    plain |= {"brightness": 0, "flip": 1} if shared == "crops" else {"min_area": 1, "flip": 0}
    config = DataConfig(
        num_frames=2, size=8, augment=AugmentConfig(**plain), **{f"shared_{shared}": 0.25}
    )

    class Ramp(Counting):
        def get_frames(self, indices):
            ramp = np.linspace(80, 120, 64).round().astype(np.uint8)
            return np.broadcast_to(ramp[None, None, :, None], (len(indices), 64, 64, 3))

    dataset = PretrainDataset([Ramp()], config, seed=0)
    keys = [key for batch in batches(SampleStream(1, 10, 0, 0, 40)) for key in batch]
    same = [all(torch.equal(dataset[key].clips[0], c) for c in dataset[key].clips) for key in keys]
    # 400 draws of 0.25: 100, with a standard deviation of 8.7; few more by chance.
    assert 70 < sum(same) < 140


class Marked(Counting):
    """A square video whose pixels say where they are: red counts columns, green rows."""

    def get_frames(self, indices):
        column, row = np.meshgrid(np.arange(64), np.arange(64))
        frame = np.stack([column, row, np.zeros_like(row)], axis=-1).astype(np.uint8)
        return np.repeat(frame[None], len(indices), axis=0)


@pytest.mark.parametrize(("shared", "sizes"), [(1.0, 1), (0.0, 3)])
def test_three_clips_may_have_one_zoom_at_places_of_their_own(shared, sizes):
    augment = replace(PLAIN, min_area=0.25, max_ratio=2)
    config = DataConfig(num_frames=2, size=64, shared_crops=0, shared_zooms=shared, augment=augment)
    places = set()
    for key in next(iter(SampleStream(9, 9, 3, 0, 1))):
        sample = PretrainDataset([Marked(i) for i in range(9)], config, seed=3)[key]
        spans = set()
        for clip in sample.clips:
            first, last = clip[0, 0, 0].int(), clip[0, -1, -1].int()
            spans.add(tuple((last - first)[:2].tolist()))
            places.add(tuple(first.tolist()))
        assert len(spans) == sizes
    assert len(places) > 20


def test_the_keys_may_have_one_view_and_the_query_another():
    augment = replace(AugmentConfig(), min_area=0.25)
    config = DataConfig(num_frames=2, size=64, shared_crops=0, shared_keys=1, augment=augment)
    dataset = PretrainDataset([Marked(i) for i in range(9)], config, seed=3)
    for key in next(iter(SampleStream(9, 9, 3, 0, 1))):
        query, same, other = dataset[key].clips
        # Marked videos stand still: clips of one view are equal whatever their speed.
        assert torch.equal(same, other)
        assert not torch.equal(query, same)


def test_c_k_may_be_one_frame_throughout():
    config = DataConfig(num_frames=4, size=16, frozen_keys=0.5)
    plain = DataConfig(num_frames=4, size=16)
    frozen = []
    for position in range(40):
        key = SampleKey(position, 0, 0, 1)
        clips, before = (
            PretrainDataset([Counting()], c, seed=0)[key].clips for c in (config, plain)
        )
        assert torch.equal(clips[0], before[0])
        assert torch.equal(clips[1], before[1])
        frozen.append(bool((clips[2] == clips[2][:1]).all()))
        assert torch.equal(clips[2], before[2][[2] * 4] if frozen[-1] else before[2])
    assert 10 <= sum(frozen) <= 30


def test_the_stream_does_not_depend_on_the_number_of_workers(video_folder):
    videos = scan_files(list_videos(video_folder), 31).usable
    dataset = PretrainDataset(videos, DataConfig(size=16), seed=3)

    def first_batches(num_workers):
        loader = DataLoader(
            dataset,
            batch_sampler=SampleStream(len(dataset), 3, 3, 0, 2),
            num_workers=num_workers,
            collate_fn=collate,
        )
        return [(b.query, b.same_speed, b.other_speed, b.video) for b in loader]

    for alone, shared in zip(first_batches(0), first_batches(2), strict=True):
        for a, b in zip(alone, shared, strict=True):
            assert torch.equal(a, b)


def test_an_unreadable_video_gives_its_place_to_the_next_and_is_named():
    dataset = PretrainDataset(
        [Counting(0, broken=True), Counting(1)], DataConfig(num_frames=4, size=8), seed=0
    )
    keys = [key for batch in batches(SampleStream(2, 2, 0, 0, 1)) for key in batch]
    samples = {key.video: dataset[key] for key in keys}
    assert samples[0].video == 1
    assert samples[0].failures == ((0, "no frame today"),)
    assert samples[1].failures == ()
    assert len(collate(list(samples.values())).failures) == 1
    unmatchable = PretrainDataset([Counting(0, broken=True)], DataConfig(num_frames=4), seed=0)
    with pytest.raises(ValueError, match="none of 1 videos can be read: no frame today"):
        unmatchable[keys[0]]


def test_scan_tells_bad_from_short(video_folder, tmp_path):
    bad = tmp_path / "bad.mp4"
    bad.write_text("no video")
    good = list_videos(video_folder)
    scan = scan_files([*good, bad], needed=40)
    assert [source.path for source in scan.usable] == good
    assert [path for path, _ in scan.unreadable] == [bad]
    assert "bad.mp4" in scan.unreadable[0][1]
    assert len(scan_files(good, needed=41).too_short) == 4


def test_cache_gives_the_frames_of_the_file_and_notices_a_change(video_folder, tmp_path):
    paths = list_videos(video_folder)
    bad = tmp_path / "bad.mp4"
    bad.write_text("no video")
    cache = FrameCache(tmp_path / "cache", short_side=24)
    for _ in range(2):  # built, then reused
        scan = cache.scan([paths[0], bad, *paths[1:]], needed=31)
        assert [path for path, _ in scan.unreadable] == [bad]
        for source in scan.usable:
            with VideoReader(source.path) as reader:
                expected = reader.get_frames([5, 0, 33])
            np.testing.assert_array_equal(source.get_frames([5, 0, 33]), expected)
    assert len(list((tmp_path / "cache").iterdir())) == 2  # no leftovers
    bad.write_text("still no video")
    cache.scan([paths[0], bad, *paths[1:]], needed=31)
    assert len(list((tmp_path / "cache").glob("*.frames"))) == 2
    small = FrameCache(tmp_path / "cache", short_side=12).scan(paths, 31).usable[0]
    assert small.get_frames([0]).shape == (1, 12, 16, 3)


def test_roots_are_folders_files_or_lists(video_folder, tmp_path):
    paths = list_videos(video_folder)
    listing = tmp_path / "some.txt"
    listing.write_text(f"{paths[1]}\n\n{paths[0]}\n")
    assert expand_roots([listing, paths[2], video_folder]) == [
        paths[1],
        paths[0],
        paths[2],
        paths[3],
    ]
    with pytest.raises(ValueError, match="expected a folder, a video, or a .txt list"):
        expand_roots([tmp_path / "nothing"])
    (tmp_path / "empty").mkdir()
    with pytest.raises(ValueError, match="no videos below"):
        expand_roots([tmp_path / "empty"])


def test_file_source_reads_the_file(video_folder):
    path = list_videos(video_folder)[0]
    with VideoReader(path) as reader:
        np.testing.assert_array_equal(
            FileSource(path, 40, 25.0).get_frames([7, 3]), reader.get_frames([7, 3])
        )


def test_bad_settings_are_named():
    for speeds in ((2, 2), (1,), (0, 1), (1, 2, 1)):
        with pytest.raises(ValueError, match="two or more different positive integers"):
            DataConfig(speeds=speeds)
    with pytest.raises(ValueError, match="max_unreadable is between 0 and 1"):
        DataConfig(max_unreadable=5)
    assert DataConfig(num_frames=16, speeds=(1, 2)).frames_needed(25.0) == 31
    assert DataConfig(num_frames=16, speeds=(1, 4, 2)).frames_needed(25.0) == 61


def test_a_labelled_set_gives_the_videos_of_its_split(tmp_path: Path) -> None:
    for name in ("train/walk/b.mp4", "train/jump/a.mp4", "test/walk/c.mp4"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    root = str(tmp_path)

    def names(**settings: str) -> list[str]:
        found = training_videos(DataConfig(root=root, **settings))  # type: ignore[arg-type]
        return [path.relative_to(tmp_path).as_posix() for path in found]

    assert names(name="folder") == ["train/jump/a.mp4", "train/walk/b.mp4"]
    assert names(name="folder", split="test") == ["test/walk/c.mp4"]
    assert names() == ["test/walk/c.mp4", "train/jump/a.mp4", "train/walk/b.mp4"]
    with pytest.raises(ValueError, match="Did you mean 'ucf101'"):
        DataConfig(name="ucf11")
    with pytest.raises(ValueError, match="has a single root"):
        DataConfig(name="ucf101", root=[root, root])
    with pytest.raises(ValueError, match="give its name"):
        DataConfig(root=root, annotations="lists")


@pytest.mark.parametrize("root", ["", " ", [], ["videos", ""]])
def test_an_empty_root_is_refused(root):
    with pytest.raises(ValueError, match=r"root is a folder .* is a variable unset"):
        DataConfig(root=root)


@pytest.mark.parametrize("root", ["null", "#clips", "~nobody-of-this-name", "~"])
def test_an_odd_root_is_a_path_like_any_other(root, tmp_path, monkeypatch, video_folder):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    for config in (
        parse_config(DataConfig, ["--root", root]),
        parse_config(DataConfig, ["--root", root, "--name", "folder"]),
    ):
        with pytest.raises(ValueError, match=re.escape(str(tmp_path) if root == "~" else root)):
            training_videos(config)
    if root != "~nobody-of-this-name":
        shutil.copytree(video_folder, Path(root).expanduser(), dirs_exist_ok=True)
        assert len(training_videos(DataConfig(root=root))) == 4
        assert len(training_videos(DataConfig(root=root, name="folder"))) == 4
    assert parse_config(DataConfig, []).root is None
