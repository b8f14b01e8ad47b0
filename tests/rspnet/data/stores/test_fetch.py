"""What pointers point to, fetched and kept."""

import errno
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import fsspec
import numpy as np
import pytest

from rspnet import VideoError, VideoReader
from rspnet.data.manifest import main, read_manifest, write_manifest
from rspnet.data.stores import fetch
from rspnet.data.stores.fetch import StoreError, local_file
from rspnet.data.stores.pointers import file_size, root_path
from rspnet.data.stores.shards import write_pointers
from rspnet.training.changes import describe_videos


@pytest.fixture
def pointers(shards) -> list[Path]:
    folder, _ = write_pointers(f"{shards}/*.tar")
    return sorted(folder.rglob("*.mp4"))


def fetched(cache: Path) -> list[Path]:
    return sorted((cache / "fetched").iterdir())


def test_frames_are_those_of_the_file(pointers, videos):
    for path, file in zip(pointers, sorted(videos.rglob("*.mp4")), strict=True):
        with VideoReader(path) as reader, VideoReader(file) as expected:
            assert np.array_equal(reader.get_frames([3, 39]), expected.get_frames([3, 39]))
        assert local_file(path).read_bytes() == file.read_bytes()
        assert local_file(file) == file
        assert file_size(str(path)) == file_size(str(file)) == file.stat().st_size
    described = [
        describe_videos((p, 40) for p in paths) for paths in (pointers, videos.rglob("*.mp4"))
    ]
    assert described[0] == describe_videos((p, 40) for p in sorted(videos.rglob("*.mp4")))


def test_a_file_is_fetched_once_and_again_after_it_was_removed(pointers, cache, monkeypatch):
    opened = []
    open_store = fetch.open_store
    monkeypatch.setattr(fetch, "open_store", lambda a: opened.append(a) or open_store(a))
    with VideoReader(pointers[0]) as reader:
        frames = reader.get_frames([5])
        assert len(opened) == 1
        for path in fetched(cache):
            path.unlink()
        reader.close()
        assert np.array_equal(reader.get_frames([5]), frames)
    assert len(opened) == 2
    path = local_file(pointers[0])
    path.write_bytes(b"cut off")
    assert local_file(pointers[0]).stat().st_size == file_size(str(pointers[0]))
    assert len(opened) == 3


def test_what_was_not_used_for_longest_goes_first(pointers, cache, monkeypatch):
    monkeypatch.setattr(fetch, "_IN_USE", -1.0)
    largest = max(file_size(str(path)) for path in pointers)
    monkeypatch.setenv("RSPNET_FETCHED_GB", str(3 * largest * 8 / 7 / 1e9))  # room for three
    files = [local_file(path) for path in pointers[:3]]
    for age, file in zip((30, 10, 20), files, strict=True):
        os.utime(file, (file.stat().st_atime - age,) * 2)
    local_file(pointers[0])  # used again
    files.append(local_file(pointers[3]))
    assert [file.exists() for file in files] == [True, True, False, True]
    monkeypatch.setattr(fetch, "_IN_USE", 10.0)
    monkeypatch.setenv("RSPNET_FETCHED_GB", str(largest / 1e9))
    local_file(pointers[2])  # what is in use stays
    assert len(fetched(cache)) >= 2


def test_elsewhere_by_the_environment(pointers, tmp_path, monkeypatch):
    monkeypatch.setenv("RSPNET_FETCHED", str(tmp_path / "scratch"))
    assert local_file(pointers[0]).parent == tmp_path / "scratch"


@pytest.mark.parametrize("limit", ["0", "-1", "much", "nan", "inf"])
def test_the_limit_is_a_number(pointers, limit, monkeypatch):
    monkeypatch.setenv("RSPNET_FETCHED_GB", limit)
    with pytest.raises(StoreError, match=f"positive number of gigabytes, got '{limit}'"):
        local_file(pointers[0])


def test_a_video_larger_than_the_limit_is_refused(pointers, monkeypatch):
    monkeypatch.setenv("RSPNET_FETCHED_GB", "1e-7")
    with pytest.raises(StoreError, match="may take 100: raise RSPNET_FETCHED_GB"):
        local_file(pointers[0])


def test_a_full_disk_is_a_sentence_and_leaves_nothing(pointers, monkeypatch, tmp_path):
    monkeypatch.setenv("RSPNET_FETCHED", str(tmp_path / "scratch"))

    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(StoreError, match="scratch is full: free some space, lower RSPNET"):
        local_file(pointers[0])
    assert list((tmp_path / "scratch").iterdir()) == []


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (os.utime, "was changed since its manifest was written"),
        (lambda path: os.truncate(path, 2000), "was changed since"),
        (os.unlink, "there is no file://"),
    ],
)
def test_a_tar_that_was_changed_is_an_error_of_its_videos(pointers, shards, change, sentence):
    change(shards / "shard-0.tar")
    with pytest.raises(VideoError, match=sentence) as error:
        VideoReader(pointers[0])
    assert error.value.path == pointers[0]
    assert len(VideoReader(pointers[1])) == 40


def test_several_threads_share_a_folder_that_is_too_small(pointers, videos, monkeypatch):
    largest = max(file_size(str(path)) for path in pointers)
    monkeypatch.setenv("RSPNET_FETCHED_GB", str(1.5 * largest / 1e9))
    files = [path.read_bytes() for path in sorted(videos.rglob("*.mp4"))]
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda path: local_file(path).read_bytes(), pointers * 8))
    assert found == files * 8


def test_errors_of_a_video_name_the_pointer():
    store = fsspec.filesystem("memory")
    store.pipe("/bad/v.mp4", b"no video")
    folder, _ = write_pointers("memory://bad")
    with pytest.raises(VideoError, match="not a video that") as error:
        VideoReader(folder / "v.mp4")
    assert error.value.path == folder / "v.mp4"
    (folder / "v.mp4").write_text("damaged")
    with pytest.raises(VideoError, match="damaged pointer"):
        VideoReader(folder / "v.mp4")


def test_no_file_outside_the_cache_is_a_pointer(pointers, tmp_path):
    stranger = tmp_path / "clip.mp4"
    stranger.write_bytes(pointers[0].read_bytes())
    assert local_file(stranger) == stranger
    with pytest.raises(VideoError):
        VideoReader(stranger)


def test_an_outage_stops_the_manifest_and_it_resumes(videos, monkeypatch, capsys):
    store = fsspec.filesystem("memory")
    for path in videos.rglob("*.mp4"):
        store.pipe(f"/outage/{path.relative_to(videos)}", path.read_bytes())
    cat_file, read = type(store).cat_file, []

    def fails(self, path, **where):
        if len(read) == 2:
            raise ConnectionError("no route to host")
        read.append(path)
        return cat_file(self, path, **where)

    monkeypatch.setattr(type(store), "cat_file", fails)
    assert main(["memory://outage"]) == 2
    assert "can't be read (ConnectionError: no route to host)" in capsys.readouterr().err
    folder = root_path("memory://outage")
    assert [row["reason"] for row in read_manifest(folder / "manifest.parquet")] == ["", ""]
    monkeypatch.setattr(type(store), "cat_file", cat_file)
    result = write_manifest("memory://outage", num_workers=0, progress=False)
    assert (result.num_valid, result.num_unchanged) == (4, 2)
