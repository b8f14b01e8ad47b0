"""VideoReader against a sequential decode with PyAV, and against frame numbers painted in."""

import os
import pickle
import struct
import subprocess
import sys
import wave
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rspnet.data.video.reader import VideoError, VideoReader
from tests.rspnet.data.video.making import (
    destroy,
    painted,
    painted_number,
    sequential,
    textured,
    write,
)


def turn_clockwise(path: Path) -> None:
    """Write a display matrix that turns the picture by 90 degrees into an MP4 file."""
    data = bytearray(path.read_bytes())
    at = data.index(b"tkhd") + 4 + 40
    one = 1 << 16
    data[at : at + 36] = struct.pack(">9i", 0, one, 0, -one, 0, 0, 0, 0, 1 << 30)
    path.write_bytes(data)


KINDS: dict[str, tuple[str, str, dict[str, Any]]] = {
    "MPEG-4 AVI without B-frames": ("a.avi", "mpeg4", {}),
    "MPEG-4 AVI with B-frames": ("b.avi", "mpeg4", {"num_b_frames": 2}),
    "H.264, B-frames, one key frame": ("c.mp4", "libx264", {"num_b_frames": 3, "gop": 250}),
    "H.264, B-frames, short GOP": ("d.mkv", "libx264", {"num_b_frames": 3, "gop": 9}),
    "H.264, open GOP": (
        "e.mp4",
        "libx264",
        {"num_b_frames": 3, "gop": 9, "options": {"x264-params": "open-gop=1"}},
    ),
    "VP9": ("f.webm", "libvpx-vp9", {"gop": 20, "options": {"cpu-used": "8"}}),
    "H.264, variable rate": (
        "g.mp4",
        "libx264",
        {"num_b_frames": 2, "times": [i * 4 + (i % 3) + 30 * (i > 20) for i in range(60)]},
    ),
}


@pytest.fixture(scope="module", params=KINDS)
def kind(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    name, codec, options = KINDS[request.param]
    return write(tmp_path_factory.mktemp("video") / name, painted(60), codec, **options)


def test_frames_are_those_of_a_sequential_decode(kind: Path) -> None:
    expected = sequential(kind)
    assert len(expected) == 60
    rng = np.random.default_rng(0)
    with VideoReader(kind) as reader:
        assert (len(reader), reader.height, reader.width) == (60, 96, 128)
        np.testing.assert_array_equal(reader.get_frames(range(60)), expected)
        for _ in range(12):
            indices = rng.integers(0, 60, size=rng.integers(1, 20))
            frames = reader.get_frames(indices)
            assert (frames.shape[0], frames.dtype) == (len(indices), np.uint8)
            np.testing.assert_array_equal(frames, expected[indices])


def test_painted_numbers_are_the_indices(kind: Path) -> None:
    wanted = [59, 0, 33, 33, 1, 58, 17]
    with VideoReader(kind) as reader:
        assert [painted_number(f) for f in reader.get_frames(wanted)] == wanted


@pytest.mark.skipif(find_spec("decord") is None, reason="decord has no wheel for this platform")
def test_decord_serves_only_where_it_is_exact(kind: Path) -> None:
    exact = {"c.mp4", "d.mkv", "f.webm"}
    if kind.name in exact:
        expected = sequential(kind)
        with VideoReader(kind, backend="decord") as reader:
            np.testing.assert_array_equal(
                reader.get_frames([40, 3, 3, 59]), expected[[40, 3, 3, 59]]
            )
    elif kind.suffix == ".avi":
        with pytest.raises(
            ValueError, match=r"decord is not exact for this file \(container avi\)"
        ):
            VideoReader(kind, backend="decord")


@pytest.mark.skipif(find_spec("decord") is None, reason="decord has no wheel for this platform")
@pytest.mark.parametrize(
    "what", ["one frame in two hours", "damage", "other frames", "no such file"]
)
def test_decord_is_compared_before_it_serves(
    what: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import decord

    times = [720000 * i for i in range(20)] if what == "one frame in two hours" else None
    path = write(tmp_path / "a.mp4", textured(20), num_b_frames=3, gop=5, times=times)
    if what == "damage":
        destroy(path, 9, head=False)
    elif what == "other frames":
        batch = decord.VideoReader.get_batch
        monkeypatch.setattr(
            decord.VideoReader, "get_batch", lambda self, i: batch(self, [max(k - 1, 0) for k in i])
        )
    elif what == "no such file":
        path = path.rename(tmp_path / os.fsdecode(b"caf\xe9.mp4"))
    with pytest.raises(ValueError, match="decord is not exact for this file"):
        VideoReader(path, backend="decord")
    assert len(VideoReader(path)) == 20


def test_rate_is_the_average(tmp_path: Path) -> None:
    with VideoReader(write(tmp_path / "a.mp4", painted(10))) as reader:
        assert reader.fps == 25
    # 10 frames, 0.1 s apart but for one gap of 0.6 s; the last is given 1/25 s.
    path = write(tmp_path / "b.mp4", painted(10), times=[10 * i + 50 * (i > 4) for i in range(10)])
    with VideoReader(path) as reader:
        assert reader.fps == pytest.approx(10 / 1.44)


def test_rotation_is_applied(tmp_path: Path) -> None:
    path = write(tmp_path / "r.mp4", painted(20), num_b_frames=2)
    upright = sequential(path)
    turn_clockwise(path)
    with VideoReader(path) as reader:
        assert (reader.height, reader.width) == (128, 96)
        frames = reader.get_frames([11, 4])
    np.testing.assert_array_equal(frames, np.rot90(upright[[11, 4]], -1, axes=(1, 2)))


def test_only_the_frames_asked_for_are_decoded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from rspnet.data.video import decoders

    path = write(tmp_path / "long.mp4", painted(300), gop=30)
    decoded = []
    original = decoders.decode_tagged

    def count(context: Any, packet: Any, number: int) -> Any:
        decoded.append(number)
        return original(context, packet, number)

    monkeypatch.setattr(decoders, "decode_tagged", count)
    with VideoReader(path) as reader:
        assert painted_number(reader.get_frames([215])[0]) == 215
    # From the key frame 210 on, and a few packets that the decoder holds back.
    assert min(decoded) == 210
    assert len(decoded) <= 12


def test_bad_indices_are_refused(kind: Path) -> None:
    with VideoReader(kind) as reader:
        assert reader.get_frames([]).shape == (0, 96, 128, 3)
        for wrong in ([60], [-1], [0, 99]):
            with pytest.raises(ValueError, match=r"numbered 0 to 59, got (60|-1|99)"):
                reader.get_frames(wrong)
        with pytest.raises(ValueError, match="whole numbers"):
            reader.get_frames(np.array([0.5]))
        with pytest.raises(ValueError, match="whole numbers"):
            reader.get_frames(np.zeros((2, 2), int))


def test_reader_is_pickled_and_used_after_a_fork(kind: Path) -> None:
    with VideoReader(kind) as reader:
        expected = reader.get_frames([5, 50])
        again = pickle.loads(pickle.dumps(reader))
        np.testing.assert_array_equal(again.get_frames([5, 50]), expected)
        again.close()
        child = os.fork()
        if child == 0:
            same = bool((reader.get_frames([5, 50]) == expected).all())
            os._exit(0 if same else 1)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        np.testing.assert_array_equal(reader.get_frames([5, 50]), expected)


def test_a_replaced_file_is_read_anew(tmp_path: Path) -> None:
    path = write(tmp_path / "a.mp4", painted(20))
    assert len(VideoReader(path)) == 20
    write(tmp_path / "a.mp4", painted(31))
    assert len(VideoReader(path)) == 31


def bad_file(what: str, folder: Path) -> Path:
    if what == "missing":
        return folder / "gone.mp4"
    if what == "folder":
        return folder
    path = folder / ("bad.avi" if "AVI" in what else "bad.mp4")
    if what == "empty":
        path.touch()
    elif what == "text":
        path.write_text("This is no video.\n" * 50)
    elif what == "audio":
        path = folder / "bad.wav"
        with wave.open(str(path), "wb") as sound:
            sound.setparams((1, 2, 8000, 0, "NONE", ""))
            sound.writeframes(bytes(16000))
    else:
        codec = "mpeg4" if "AVI" in what else "libx264"
        data = write(path, painted(40), codec).read_bytes()
        path.write_bytes(data[: int(len(data) * 0.6)])
    return path


@pytest.mark.parametrize(
    ("what", "reason"),
    [
        ("missing", "there is no such file"),
        ("folder", "not a file"),
        ("empty", r"the file is empty \(0 bytes\)"),
        ("text", "not a video"),
        ("audio", "no video stream: it holds audio"),
        ("cut-off AVI", "cut off: its list of frames promises"),
        ("cut-off MP4", "cut off"),
    ],
)
def test_errors_name_file_and_reason(what: str, reason: str, tmp_path: Path) -> None:
    path = bad_file(what, tmp_path)
    with pytest.raises(VideoError, match=reason) as caught:
        VideoReader(path)
    assert str(caught.value).startswith(f"{path}: ")


def test_everything_works_without_decord(tmp_path: Path) -> None:
    kind = write(tmp_path / "a.mp4", painted(5))
    code = (
        "import sys; sys.modules['decord'] = None\n"
        "from rspnet import VideoReader\n"
        f"print(VideoReader({str(kind)!r}).get_frames([3]).shape)"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "(1, 96, 128, 3)"


def test_real_files_as_published(real_data: Path) -> None:
    # The header says 20 frames and the file holds 17: fine. The H.264 file is really corrupt.
    with VideoReader(real_data / "originals" / "jhmdb_catch.avi") as reader:
        assert len(reader) == 17
        np.testing.assert_array_equal(reader.get_frames([16, 2]), sequential(reader.path)[[16, 2]])
    with VideoReader(real_data / "originals" / "corrupted.mp4") as reader:
        expected = sequential(reader.path)
        assert len(reader) == len(expected) == 49
        np.testing.assert_array_equal(reader.get_frames(range(29)), expected[:29])
        with pytest.raises(VideoError, match="corrupt: frame 29"):
            reader.get_frames([3, 29])
