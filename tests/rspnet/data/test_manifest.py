"""The table of video files."""

import csv
import os
import shutil
from pathlib import Path

import pytest
from pyarrow import parquet

from rspnet.commands import parse_config
from rspnet.data import manifest, sources
from rspnet.data.manifest import known_files, main, manifests_in, read_manifest, write_manifest
from rspnet.data.video.reader import VideoReader
from rspnet.train import find_videos
from rspnet.training.config import TrainConfig


@pytest.fixture
def videos(tmp_path, video_folder):
    shutil.copytree(video_folder, tmp_path / "videos")
    (tmp_path / "videos" / "bad.mp4").write_text("no video")
    return tmp_path / "videos"


def test_the_table_says_what_the_files_are(videos):
    result = write_manifest(videos, num_workers=1, progress=False)
    assert result.path == videos / "manifest.parquet"
    assert (result.num_valid, result.num_unchanged) == (4, 0)
    ((name, reason),) = result.invalid
    assert name == "bad.mp4"
    rows = {row["path"]: row for row in read_manifest(result.path)}
    assert rows["bad.mp4"]["reason"] == reason
    assert rows["bad.mp4"]["num_frames"] == 0
    row = rows[str(Path("class0") / "v0.mp4")]
    with VideoReader(videos / "class0" / "v0.mp4") as reader:
        assert (row["num_frames"], row["fps"]) == (len(reader), reader.fps) == (40, 25.0)
        assert (row["height"], row["width"]) == (reader.height, reader.width) == (24, 32)
        assert ("decord" in row["decoders"]) == (not reader.why_not_decord)
    assert row["size"] == (videos / "class0" / "v0.mp4").stat().st_size
    # Any reader of Parquet reads it.
    assert parquet.read_table(str(result.path)).num_rows == 5


def test_files_that_have_not_changed_are_not_opened_again(videos, monkeypatch):
    write_manifest(videos, num_workers=1, progress=False)
    looked = []
    look = manifest.describe_video
    monkeypatch.setattr(manifest, "describe_video", lambda path: looked.append(path) or look(path))
    assert write_manifest(videos, num_workers=1, progress=False).num_unchanged == 5
    assert looked == []
    changed = videos / "class1" / "v1.mp4"
    os.utime(changed, ns=(1, 1))
    (videos / "class0" / "v0.mp4").unlink()
    result = write_manifest(videos, num_workers=1, progress=False)
    assert looked == [changed]
    assert (result.num_valid, result.num_unchanged) == (3, 3)


def test_one_that_is_stopped_keeps_what_it_has_found(videos, monkeypatch):
    look, looked = manifest.describe_video, []

    def interrupted(path: Path):
        if len(looked) == 2:
            raise KeyboardInterrupt
        looked.append(path)
        return look(path)

    monkeypatch.setattr(manifest, "describe_video", interrupted)
    assert main([str(videos), "--num_workers=1"]) == 130
    monkeypatch.setattr(manifest, "describe_video", look)
    result = write_manifest(videos, num_workers=1, progress=False)
    assert (result.num_unchanged, result.num_valid) == (2, 4)


def test_training_counts_no_frames_that_the_table_has(videos, tmp_path, monkeypatch):
    write_manifest(videos, num_workers=1, progress=False)
    assert manifests_in([videos, tmp_path]) == [videos / "manifest.parquet"]
    opened = []
    count = sources._count_frames
    monkeypatch.setattr(sources, "_count_frames", lambda p: opened.append(p) or count(p))
    words = [f"--data.root={videos}", "--data.num_frames=8", "--num_workers=0"]
    scan = find_videos(parse_config(TrainConfig, words))
    assert opened == []
    assert [source.num_frames for source in scan.usable] == [40] * 4
    assert [path.name for path, _ in scan.unreadable] == ["bad.mp4"]
    # A file that has changed since is looked at.
    changed = videos / "class0" / "v2.mp4"
    os.utime(changed, ns=(1, 1))
    find_videos(parse_config(TrainConfig, words))
    assert opened == [changed]


def test_a_table_elsewhere_has_paths_from_where_it_lies(videos, tmp_path):
    table = tmp_path / "tables" / "m.parquet"
    write_manifest(videos, table, num_workers=1, progress=False)
    path = videos / "class0" / "v0.mp4"
    assert known_files([path], [table]) == {path: (40, 25.0, "")}


def test_mistakes_end_with_a_sentence(tmp_path, videos, capsys):
    assert main([str(tmp_path / "none")]) == 2
    assert "no folder" in capsys.readouterr().err
    (tmp_path / "other.parquet").write_text("something else")
    with pytest.raises(ValueError, match="is no manifest of videos"):
        read_manifest(tmp_path / "other.parquet")
    with (tmp_path / "a.csv").open("w") as file:
        csv.writer(file).writerow(["x"])
    assert main([str(videos), f"--out={tmp_path / 'a.csv'}"]) == 2
    assert "is no manifest of videos" in capsys.readouterr().err


def test_names_that_are_not_utf8_are_written_and_read_back(videos, tmp_path, capsys, monkeypatch):
    good, bad = (os.fsdecode(name) for name in (b"caf\xe9/\xff.mp4", b"bad\xe9.mp4"))
    (videos / good).parent.mkdir()
    shutil.copy(videos / "class0" / "v0.mp4", videos / good)
    (videos / bad).write_text("no video")
    assert main([str(videos), "--num_workers=1"]) == 0
    out = capsys.readouterr().out
    assert "5 valid videos, 2 invalid" in out
    assert r"  bad\xe9.mp4: " in out
    rows = {row["path"]: row for row in read_manifest(videos / "manifest.parquet")}
    assert rows[good]["num_frames"] == 40
    known = known_files([videos / good, videos / bad], [videos / "manifest.parquet"])
    assert known[videos / good] == (40, 25.0, "")
    assert r"bad\xe9.mp4: " in known[videos / bad][2]
    monkeypatch.setattr(manifest, "describe_video", None)
    assert write_manifest(videos, num_workers=1, progress=False).num_unchanged == 7
