"""Files that a visitor sends: what is taken, and what is said of what is not."""

import io
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from dashboard import uploads
from dashboard.upload_limits import Limits
from dashboard.upload_worker import copy_small
from dashboard.uploads import MOST_FILES, Shelf, title_of
from dashboard.viewer import ASSETS
from rspnet import VideoReader
from rspnet.data.encode import encode_video
from tests.dashboard.conftest import draw

LIMITS = Limits(least_frames=16)


@pytest.fixture
def shelf() -> Iterator[Shelf]:
    shelf = Shelf()
    yield shelf
    shelf.close()


def grey(num_frames: int, height: int, width: int, fps: float = 25.0) -> bytes:
    frame = np.full((height, width, 3), 90, np.uint8)
    return encode_video((frame for _ in range(num_frames)), fps, preset="ultrafast")


def small(num_frames: int) -> bytes:
    return encode_video(draw(num_frames, 0), 25.0, preset="ultrafast")


def damaged() -> bytes:
    data = bytearray(small(40))
    place = data.index(b"mdat") + 4
    data[place + 2000 :: 5] = bytes(len(data[place + 2000 :: 5]))
    return bytes(data)


def test_a_video_becomes_a_small_copy(shelf: Shelf) -> None:
    data = grey(20, 300, 400, 24.0)
    video = shelf.add("../../etc/my <i>walk.mov", io.BytesIO(data), LIMITS)
    assert video.title == "my i walk (yours)"
    assert video.path.parent == shelf.folder()
    # What was sent is gone; nobody else of this system enters.
    assert [path.name for path in shelf.folder().iterdir()] == [video.path.name]
    assert shelf.folder().stat().st_mode & 0o077 == 0
    with VideoReader(video.path) as reader:
        assert (len(reader), reader.height, reader.width) == (20, 256, 342)
        assert reader.fps == pytest.approx(24.0)
    assert shelf.find(video.name) == video
    shelf.remove(video.name)
    assert not video.path.exists()
    assert shelf.find(video.name) is None


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: b"This is no video. " * 50, "it is no video, whatever its name says"),
        # A playlist makes FFmpeg read what it names; a picture has one frame.
        (lambda: b"#EXTM3U\n#EXTINF:1,\nfile:///etc/passwd\n", "it is no video"),
        (lambda: b"ffconcat version 1.0\nfile '/etc/passwd'\n", "it is no video"),
        (lambda: (ASSETS / "icon.png").read_bytes(), "is no video"),
        (lambda: small(40)[:2000], "cut off"),
        (lambda: small(40)[:40], "begins as a video does, but is damaged or cut off"),
        (damaged, "it can't be decoded: corrupt"),
        (lambda: small(1), "it has 1 frame, and a clip of this model takes 16"),
        (lambda: grey(2, 4320, 7680), r"7680 x 4320 pixels \(33.2 million\), at most 8.3 million"),
        (lambda: grey(21_600, 16, 16, 2.0), r"it has 21,600 frames \(3 h 0 min\), at most 3,000"),
    ],
    ids=["text", "playlist", "list", "picture", "half", "head", "damaged", "one", "8K", "3 hours"],
)
def test_what_is_not_taken(tmp_path: Path, make: Callable[[], bytes], said: str) -> None:
    source, target = tmp_path / "sent", tmp_path / "copy.mp4"
    source.write_bytes(make())
    with pytest.raises(ValueError, match=said):
        copy_small(source, target, LIMITS)
    assert [path.name for path in tmp_path.iterdir()] == ["sent"]


@pytest.mark.parametrize(
    ("limits", "said"),
    [
        (replace(LIMITS, seconds=0.3), "it took more than 0.3 s to decode"),
        (replace(LIMITS, memory=40 * 2**20), "memory"),
    ],
    ids=["time", "memory"],
)
def test_a_decoder_that_runs_on_is_ended(shelf: Shelf, limits: Limits, said: str) -> None:
    begun = time.monotonic()
    with pytest.raises(ValueError, match=rf"^big is not taken: .*{said}"):
        shelf.add("big.mp4", io.BytesIO(grey(20, 1080, 1920)), limits)
    assert time.monotonic() - begun < 30
    assert list(shelf.folder().iterdir()) == []
    assert shelf.videos == []


def test_a_decoder_that_crashes_is_said(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "/bin/false")
    with pytest.raises(ValueError, match="the decoder gave up on it"):
        shelf.add("a.mp4", io.BytesIO(b"x"), LIMITS)


@pytest.mark.parametrize(
    ("data", "said"),
    [(b"", r"it is empty \(0 bytes\)"), (bytes(2**20 + 1), "it has more than 1 MB")],
)
def test_sizes(shelf: Shelf, data: bytes, said: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(subprocess, "Popen", None)  # no process is started for these
    with pytest.raises(ValueError, match=rf"^a is not taken: {said}"):
        shelf.add("a.mp4", io.BytesIO(data), replace(LIMITS, megabytes=1))


def test_sessions_have_folders_of_their_own(monkeypatch: pytest.MonkeyPatch) -> None:
    def convert(source: Path, target: Path, limits: Limits) -> None:
        target.write_bytes(source.read_bytes())

    monkeypatch.setattr(uploads, "_convert", convert)
    mine, others = Shelf(), Shelf()
    videos = [mine.add("a.mp4", io.BytesIO(b"x"), LIMITS) for _ in range(MOST_FILES)]
    assert len({video.name for video in videos}) == MOST_FILES
    with pytest.raises(ValueError, match="there are 5 uploads, the most at a time"):
        mine.add("b.mp4", io.BytesIO(b"x"), LIMITS)
    assert others.find(videos[0].name) is None
    assert mine.folder() != others.folder()
    folder = mine.folder()
    mine.close()
    assert not folder.exists()
    left = others.folder()
    del others  # as when nothing of a session is left
    assert not left.exists()


@pytest.mark.parametrize(
    ("name", "title"),
    [
        ("walk_1.mp4", "walk 1"),
        ("..\\..\\win.mp4", "win"),
        ("/etc/passwd", "passwd"),
        ("<script>`x`</script>.mp4", "script"),
        ("\u202e\n.mp4", "Untitled"),
        ("läufer " * 9 + ".mp4", "läufer läufer läufer läufer läufer lä..."),
    ],
)
def test_titles(name: str, title: str) -> None:
    assert title_of(name) == title
