"""Rates, shapes of pixels, the choice of a stream, names of files, codecs that nobody knows."""

import os
import pickle
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from rspnet.data.video.container import find_stream, open_container
from rspnet.data.video.encode import copy_frames, encode_video, write_video
from rspnet.data.video.reader import VideoError, VideoReader
from tests.rspnet.data.video.making import painted, painted_number, sequential, write


def test_an_unknown_codec_is_a_video_error(tmp_path: Path) -> None:
    path = write(tmp_path / "a.mp4", painted(5))
    path.write_bytes(path.read_bytes().replace(b"avc1", b"drmi"))
    with pytest.raises(VideoError, match=r"a\.mp4: codec not supported"):
        VideoReader(path)


@pytest.mark.parametrize("error", [AttributeError("no"), RuntimeError(), av.FFmpegError(1, "x")])
def test_whatever_goes_wrong_in_a_file_is_a_video_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    from rspnet.data.video import decoders, index

    def fail(*_: Any) -> Any:
        raise error

    path = write(tmp_path / "a.mp4", painted(5))
    reader = VideoReader(path)
    monkeypatch.setattr(decoders, "decode_tagged", fail)
    with pytest.raises(VideoError, match=r"a\.mp4: corrupt: \w"):
        reader.get_frames([3])
    monkeypatch.setattr(index, "list_packets", fail)
    index.forget()
    with pytest.raises(VideoError, match=r"a\.mp4: corrupt: \w"):
        VideoReader(path)


def test_memory_that_runs_out_is_not_the_files_fault(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reader = VideoReader(write(tmp_path / "a.mp4", painted(5)))

    def fail(*_: Any, **__: Any) -> Any:
        raise type("ArrayMemoryError", (MemoryError,), {})  # as NumPy's

    monkeypatch.setattr(np, "empty", fail)
    with pytest.raises(MemoryError):
        reader.get_frames([3])


def test_rates_are_those_of_the_times(tmp_path: Path) -> None:
    """Headers of Matroska hold a nominal rate, here 25 fps."""
    steady = write(tmp_path / "a.mkv", painted(10), times=[10 * i for i in range(10)])
    uneven = write(
        tmp_path / "b.webm", painted(10), "libvpx", times=[3, 7, 10, 14, 18, 21, 25, 29, 33, 36]
    )
    nominal = write(tmp_path / "c.mkv", painted(50), rate=Fraction(30000, 1001))
    assert VideoReader(steady).fps == 10
    assert VideoReader(uneven).rate == Fraction(900, 33)
    assert VideoReader(nominal).rate == Fraction(30000, 1001)


@pytest.mark.parametrize("rate", [Fraction(1, 3600), Fraction(11800, 389), Fraction(1, 7)])
def test_copies_keep_rates_as_fractions(tmp_path: Path, rate: Fraction) -> None:
    path = tmp_path / "a.mp4"
    write_video(path, painted(5), rate)
    reader = VideoReader(path)
    assert (reader.rate, reader.fps) == (rate, float(rate))
    write_video(path, painted(5), reader.fps)
    assert VideoReader(path).fps == pytest.approx(float(rate), rel=1e-6)
    assert encode_video(painted(3), 25) == encode_video(painted(3), Fraction(25))


def turned(path: Path) -> Path:
    from tests.rspnet.data.video.test_reader import turn_clockwise

    turn_clockwise(path)
    return path


def test_pixels_that_are_not_square(tmp_path: Path) -> None:
    options: dict[str, Any] = {"aspect": Fraction(2, 1), "num_b_frames": 2}
    upright = write(tmp_path / "a.mp4", painted(8), **options)
    with VideoReader(upright) as reader:
        assert (reader.height, reader.width) == (96, 128)
        assert (reader.sample_aspect_ratio, reader.display_size) == (2, (96, 256))
        np.testing.assert_array_equal(reader.get_frames([5]), sequential(upright)[[5]])
        assert {f.shape for f in copy_frames(reader, 1000)} == {(96, 256, 3)}
        small = list(copy_frames(reader, 48))
        assert {f.shape for f in small} == {(48, 128, 3)}
    write_video(tmp_path / "copy.mp4", small, 25)
    with VideoReader(tmp_path / "copy.mp4") as copy:
        assert (copy.sample_aspect_ratio, copy.display_size) == (1, (48, 128))
    with VideoReader(turned(write(tmp_path / "b.mp4", painted(8), **options))) as reader:
        assert (reader.height, reader.width) == (128, 96)
        assert (reader.sample_aspect_ratio, reader.display_size) == (Fraction(1, 2), (256, 96))
    with VideoReader(write(tmp_path / "c.mp4", painted(3))) as reader:
        assert (reader.sample_aspect_ratio, reader.display_size) == (1, (96, 128))


@pytest.mark.parametrize("marked", [True, False])
def test_pictures_are_no_video(tmp_path: Path, marked: bool) -> None:
    video, cover = write(tmp_path / "v.mp4", painted(12)), tmp_path / "a.mp4"
    with av.open(str(video)) as source, av.open(str(cover), "w") as out:
        picture: Any = out.add_stream("mjpeg", rate=25)
        picture.width, picture.height, picture.pix_fmt = 64, 48, "yuvj420p"
        if marked:
            picture.disposition = av.stream.Disposition.attached_pic.value  # an integer for PyAV 17
        copy = out.add_stream_from_template(source.streams.video[0])
        image = av.VideoFrame.from_ndarray(painted(1, 48, 64)[0], format="rgb24")
        out.mux(picture.encode(image))
        out.mux(picture.encode())
        for packet in source.demux(video=0):
            if packet.size:
                packet.stream = copy
                out.mux(packet)
    with open_container(cover) as container:
        assert {s.codec_context.name for s in container.streams.video} == {"mjpeg", "h264"}
        assert find_stream(cover, container).codec_context.name == "h264"
    with VideoReader(cover) as reader:
        assert (len(reader), reader.height, reader.width) == (12, 96, 128)
        assert painted_number(reader.get_frames([9])[0]) == 9


@pytest.mark.parametrize("name", [b"caf\xe9.mp4", b"12:30:05.mp4", b"a:b/c.mp4", b"50%d.mp4"])
def test_names_of_any_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: bytes) -> None:
    monkeypatch.chdir(tmp_path)
    path = Path(os.fsdecode(name))
    path.parent.mkdir(exist_ok=True)
    write(tmp_path / "plain.mp4", painted(12))
    (tmp_path / "plain.mp4").rename(path)
    for given in (path, path.absolute()):
        with VideoReader(given) as reader:
            assert painted_number(reader.get_frames([9])[0]) == 9
            str(reader).encode()
            again = pickle.loads(pickle.dumps(reader))
            with pytest.raises(ValueError, match="numbered 0 to 11") as wrong:
                again.get_frames([12])
            str(wrong.value).encode()
    path.write_bytes(path.read_bytes()[:400])
    with pytest.raises(VideoError) as caught:
        VideoReader(path)
    assert caught.value.path == path
    shown = name.decode("utf-8", "backslashreplace")
    assert str(caught.value).startswith(f"{shown}: cut off")
