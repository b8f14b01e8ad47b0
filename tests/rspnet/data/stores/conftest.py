"""Tar shards of the videos of a folder, and a cache folder of the test's own."""

import shutil
import tarfile
from pathlib import Path

import pytest


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch) -> Path:
    monkeypatch.setenv("RSPNET_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def videos(tmp_path, video_folder) -> Path:
    return shutil.copytree(video_folder, tmp_path / "videos")


@pytest.fixture
def shards(tmp_path, videos) -> Path:
    """Two tars of two videos each, beside a file for each video that is none."""
    folder = tmp_path / "shards"
    folder.mkdir()
    files = sorted(videos.rglob("*.mp4"))
    for number in range(2):
        with tarfile.open(folder / f"shard-{number}.tar", "w") as archive:
            for path in files[number::2]:
                notes = path.with_suffix(".json")
                notes.write_text("{}")
                archive.add(path, path.relative_to(videos))
                archive.add(notes, notes.relative_to(videos))
                notes.unlink()
    return folder
