"""Files that are damaged, lossy or cut off: read where frames are whole, refused where not."""

import warnings
from pathlib import Path

import numpy as np
import pytest

from rspnet.data.video.reader import VideoError, VideoReader
from tests.rspnet.data.video.making import (
    decode,
    destroy,
    packets_of,
    painted,
    remux,
    sequential,
    textured,
    write,
)


def refused(reader: VideoReader, expected: np.ndarray) -> list[int]:
    """Frames that can't be had; the others are exact, by themselves and with others."""
    numbers = []
    for number in range(len(reader)):
        try:
            frame = reader.get_frames([number])[0]
        except VideoError:
            numbers.append(number)
        else:
            np.testing.assert_array_equal(frame, expected[number])
    whole = [n for n in range(len(reader)) if n not in numbers]
    np.testing.assert_array_equal(reader.get_frames(whole[::-1]), expected[whole[::-1]])
    return numbers


@pytest.mark.parametrize(("num_b_frames", "place"), [(0, 15), (3, 15), (3, 16)])
def test_frames_behind_a_later_key_frame_are_whole(
    tmp_path: Path, num_b_frames: int, place: int
) -> None:
    options = {"x264-params": "scenecut=0"}
    path = write(
        tmp_path / "a.mp4", textured(40), gop=10, num_b_frames=num_b_frames, options=options
    )
    original = sequential(path)
    destroy(path, place, head=False)
    changed = np.flatnonzero((sequential(path) != original).any((1, 2, 3))).tolist()
    assert changed
    with VideoReader(path) as reader:
        assert len(reader) == 40
        assert refused(reader, original) == changed
        np.testing.assert_array_equal(reader.get_frames([9, 22]), original[[9, 22]])
        message = f"corrupt: frame {changed[0]} can't be decoded as it was recorded"
        with pytest.raises(VideoError, match=message):
            reader.get_frames([9, changed[0], 22])


def test_a_packet_that_can_not_be_decoded_costs_its_group_of_pictures(tmp_path: Path) -> None:
    path = write(tmp_path / "a.mp4", painted(60), gop=10)
    destroy(path, 35, head=True)
    expected = sequential(path)
    with VideoReader(path) as reader:
        assert len(reader) == len(expected) == 59
        assert refused(reader, expected) == list(range(35, 39))


def lose(data: bytes, number: int) -> bytes:
    """Lose a packet of the video, counted from 0, in a transport stream that FFmpeg wrote."""
    parts = [data[i : i + 188] for i in range(0, len(data), 188)]
    video = [i for i, p in enumerate(parts) if int.from_bytes(p[1:3], "big") & 0x1FFF == 256]
    return b"".join(p for i, p in enumerate(parts) if i != video[number])


def by_time(path: Path) -> dict[int, np.ndarray]:
    return {f.pts or 0: f.to_ndarray(format="rgb24") for f in decode(path)}


@pytest.mark.parametrize("codec", ["libx264", "mpeg2video"])
@pytest.mark.parametrize("num_b_frames", [0, 2])
def test_lossy_transport_streams_give_their_whole_frames(
    tmp_path: Path, codec: str, num_b_frames: int
) -> None:
    source = write(tmp_path / "a.ts", textured(36), codec, gop=12, num_b_frames=num_b_frames)
    original, data, num_refused = by_time(source), source.read_bytes(), 0
    path = tmp_path / "b.ts"
    for lost in range(8, 8 + 5 * 13, 5):
        path.write_bytes(lose(data, lost))
        times = list(by_time(path))
        with VideoReader(path) as reader:
            assert len(reader) == len(times)
            for number, time in enumerate(times):
                try:
                    frame = reader.get_frames([number])[0]
                except VideoError:
                    num_refused += 1
                else:
                    np.testing.assert_array_equal(frame, original[time], f"{lost}: {number}")
    assert 13 <= num_refused <= 13 * 12


def test_joined_transport_streams_lose_no_frame(tmp_path: Path) -> None:
    first, second = (write(tmp_path / f"{n}.ts", painted(n), gop=10) for n in (25, 30))
    path = tmp_path / "joined.ts"
    path.write_bytes(first.read_bytes() + second.read_bytes())
    with VideoReader(path) as reader:
        assert (len(reader), reader.fps) == (55, 25)
        expected = np.concatenate([sequential(first), sequential(second)])
        np.testing.assert_array_equal(reader.get_frames(range(55)), expected)


@pytest.mark.parametrize(("name", "size"), [("a.ts", 188), ("a.m2ts", 192)])
def test_a_transport_stream_may_end_within_a_packet(tmp_path: Path, name: str, size: int) -> None:
    path = write(tmp_path / name, textured(20), gop=10)
    expected, data = sequential(path), path.read_bytes()
    empty = b"G\x1f\xff"  # M2TS is filled up with packets of nothing
    parts = [data[i : i + size] for i in range(0, len(data), size)]
    path.write_bytes(b"".join(p for p in parts if p[size - 188 :][:3] != empty)[:-100])
    with VideoReader(path) as reader:
        assert len(reader) == 20
        assert refused(reader, expected) == [19]


def test_a_wrong_riff_size_does_not_matter(tmp_path: Path) -> None:
    path = write(tmp_path / "a.avi", painted(20), "mpeg4")
    data = bytearray(path.read_bytes())
    data[4:8] = (len(data) + 4096).to_bytes(4, "little")
    path.write_bytes(data)
    with VideoReader(path) as reader:
        np.testing.assert_array_equal(reader.get_frames(range(20)), sequential(path))


def test_a_live_recording_is_read_to_its_end(tmp_path: Path) -> None:
    path = write(tmp_path / "a.webm", painted(40), "libvpx", gop=10, muxer={"live": "1"})
    expected = sequential(path)
    path.write_bytes(path.read_bytes()[: sum(packets_of(path)[33]) - 5])
    with VideoReader(path) as reader:
        assert 33 <= len(reader) <= 34
        np.testing.assert_array_equal(reader.get_frames(range(33)), expected[:33])


def test_a_recording_that_promises_more_is_cut_off(tmp_path: Path) -> None:
    path = write(tmp_path / "a.flv", painted(20), "flv")
    whole = path.read_bytes()
    path.write_bytes(whole[: sum(packets_of(path)[13]) - 20])
    with pytest.raises(VideoError, match="cut off: its header promises"):
        VideoReader(path)
    path.write_bytes(path.read_bytes().replace(b"filesize", b"fileless"))  # as live recorders do
    expected = sequential(path)
    with VideoReader(path) as reader:
        assert len(reader) == len(expected)
        assert refused(reader, expected) == [13]
    path.write_bytes(whole[: packets_of(path)[13][0]])
    assert len(VideoReader(path)) == 13


def test_frames_of_other_sizes_are_scaled_to_the_first(tmp_path: Path) -> None:
    small = write(tmp_path / "s.ivf", painted(10, 48, 64), "libvpx")
    large = write(tmp_path / "l.ivf", painted(10), "libvpx")
    path = tmp_path / "a.ivf"
    path.write_bytes(large.read_bytes() + small.read_bytes()[32:])
    with VideoReader(path) as reader:
        assert (len(reader), reader.height, reader.width) == (20, 96, 128)
        np.testing.assert_array_equal(reader.get_frames(range(10)), sequential(large))
        with pytest.warns(UserWarning, match="changes from 128 x 96 to 64 x 48 pixels") as said:
            frames = reader.get_frames(range(10, 20))
        assert len(said) == 1
        shrunk = frames.reshape(10, 48, 2, 64, 2, 3).mean((2, 4))
        assert np.abs(shrunk - sequential(small)).mean() < 4
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            reader.get_frames([15])


@pytest.mark.parametrize(
    ("name", "codec", "options", "lost"),
    [
        ("a.mp4", "libx264", {}, {12}),
        ("a.mkv", "libx264", {"bf": "2"}, {24}),
        ("a.mp4", "libx265", {"x265-params": "log-level=0:keyint=12:bframes=2"}, {5}),
        ("a.webm", "libvpx", {}, {0}),
        ("a.avi", "mpeg4", {"bf": "2"}, {12, 13}),
    ],
)
def test_frames_that_lost_their_references_do_not_count(
    tmp_path: Path, name: str, codec: str, options: dict[str, str], lost: set[int]
) -> None:
    num_b_frames = int(options.get("bf", 0))
    source = write(tmp_path / name, painted(40), codec, options=options, num_b_frames=num_b_frames)
    path = remux(source, tmp_path / f"lossy{source.suffix}", lost)
    expected = sequential(path)
    assert len(expected) < 40 - len(lost)
    with VideoReader(path) as reader:
        assert len(reader) == len(expected)
        np.testing.assert_array_equal(reader.get_frames(range(len(reader))), expected)
        np.testing.assert_array_equal(reader.get_frames([20, 3]), expected[[20, 3]])
