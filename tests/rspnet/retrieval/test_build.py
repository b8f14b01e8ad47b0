"""Galleries that are stopped and gone on with: the same to the bit, and nothing is done twice."""

import shutil
from pathlib import Path

import numpy as np
import pytest

from rspnet.files import folder_lock
from rspnet.models import Branch
from rspnet.retrieval.build import BEGUN, build_gallery
from rspnet.retrieval.gallery import Gallery, embed_videos, protocol_for
from rspnet.retrieval.store import FEATURES, Protocol, part_path, read_manifest
from rspnet.retrieval.vectors import Views, load_views
from tests.factories import tiny_branch


@pytest.fixture(scope="module")
def branch() -> Branch:
    return tiny_branch(0, arch="resnet18")


@pytest.fixture
def files(video_folder: Path, tmp_path: Path) -> list[Path]:
    """Seven videos, the third and the last of them none."""
    root, one = tmp_path / "videos" / "walk", sorted(video_folder.rglob("*.mp4"))[0]
    root.mkdir(parents=True)
    paths = [root / f"{n}.mp4" for n in range(7)]
    for number, path in enumerate(paths):
        if number in (2, 6):
            path.write_text("no video")
        else:
            shutil.copy(one, path)
    return paths


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the files that are decoded, in order."""
    names: list[str] = []

    def load(path: Path, protocol: Protocol) -> Views:
        names.append(Path(path).name)
        return load_views(path, protocol)

    monkeypatch.setattr("rspnet.retrieval.vectors.load_views", load)
    return names


def same(one: Gallery, other: Gallery) -> None:
    assert one.paths == other.paths
    assert one.labels == other.labels
    assert one.skipped == other.skipped
    assert one.clip_starts == other.clip_starts
    for name in FEATURES:
        assert np.array_equal(one.vectors[name], other.vectors[name])


def test_a_stop_loses_nothing(
    branch: Branch, files: list[Path], tmp_path: Path, opened: list[str]
) -> None:
    folder, protocol = tmp_path / "gallery", protocol_for(branch, num_clips=2, short="refuse")
    told: list[int] = []

    def build(stop_at: int) -> Gallery | None:
        return build_gallery(
            branch, files, folder, protocol, part_size=3,
            is_stopped=lambda: len(opened) == stop_at, on_video=told.append,
        )  # fmt: skip

    assert build(0) is None  # nothing at all is done
    assert build(2) is None  # in the first part
    assert told[-1] == 2
    with pytest.raises(ValueError, match="not complete"):
        Gallery.load(folder)
    assert build(5) is None  # in the second
    found = build(-1)
    assert found is not None
    assert told[-1] == 7
    assert opened == [path.name for path in files]  # each once
    assert not (folder / BEGUN).exists()
    assert read_manifest(folder).num_shards == 3
    same(found, embed_videos(branch, files, protocol, progress=False))
    same(found, Gallery.load(folder))
    assert build(-1) is not None
    assert len(opened) == 2 * 7  # embed_videos has opened each as well, the finished folder none
    found.save(folder)  # another way to write it takes its place
    same(found, Gallery.load(folder))


def test_damaged_parts_are_made_anew_and_others_stay(
    branch: Branch, files: list[Path], tmp_path: Path, opened: list[str]
) -> None:
    folder, protocol = tmp_path / "gallery", protocol_for(branch, num_clips=1)
    whole = build_gallery(branch, files, folder, protocol, part_size=3)
    part_path(folder, 1).write_bytes(b"torn")
    (folder / BEGUN).write_bytes(b"torn")
    opened.clear()
    again = build_gallery(branch, files, folder, protocol, part_size=3)
    assert whole is not None
    assert again is not None
    same(whole, again)
    assert opened == [path.name for path in files[3:6]]


def test_other_files_are_another_gallery(
    branch: Branch, files: list[Path], tmp_path: Path, opened: list[str]
) -> None:
    folder, protocol = tmp_path / "gallery", protocol_for(branch, num_clips=1)
    stopped = build_gallery(
        branch, files, folder, protocol, is_stopped=lambda: len(opened) == 2
    )  # fmt: skip
    assert stopped is None
    shutil.copy(files[0], files[2])  # the same name, another file
    found = build_gallery(branch, files, folder, protocol)
    assert found is not None
    assert found.paths == tuple(files[:6])
    assert len(opened) == 2 + 7


def test_what_cannot_be_built(branch: Branch, tmp_path: Path) -> None:
    bad = tmp_path / "a.mp4"
    bad.write_text("no video")
    with pytest.raises(ValueError, match="none of 1 videos can be embedded; the first:"):
        build_gallery(branch, [bad], tmp_path / "gallery")
    assert not (tmp_path / "gallery").exists()  # it is tried again
    with pytest.raises(ValueError, match="which is no part of a gallery"):
        build_gallery(branch, [bad], tmp_path)
    with pytest.raises(ValueError, match="part_size is at least 1, got 0"):
        build_gallery(branch, [bad], tmp_path / "other", part_size=0)


def test_another_part_in_its_place_is_made_anew_and_writers_are_alone(
    branch: Branch, files: list[Path], tmp_path: Path, opened: list[str]
) -> None:
    folder, protocol = tmp_path / "gallery", protocol_for(branch, num_clips=1)
    whole = build_gallery(branch, files, folder, protocol, part_size=3)
    shutil.copy(part_path(folder, 0), part_path(folder, 1))
    opened.clear()
    again = build_gallery(branch, files, folder, protocol, part_size=3)
    assert whole is not None
    assert again is not None
    same(whole, again)
    assert opened == [path.name for path in files[3:6]]
    with folder_lock(folder), pytest.raises(ValueError, match="is being written by process"):
        build_gallery(branch, files, folder, protocol, part_size=3)
