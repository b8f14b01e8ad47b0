"""Writing H.264: what is read back, and what is refused."""

import io
from pathlib import Path

import av
import numpy as np
import pytest

from rspnet.data.video.encode import encode_video, write_video
from rspnet.data.video.reader import VideoReader


def frames(num: int = 12, height: int = 48, width: int = 64) -> np.ndarray:
    y, x = np.mgrid[:height, :width]
    clip = np.empty((num, height, width, 3), np.uint8)
    for t in range(num):
        clip[t] = np.stack([x * 3 + t, y * 4, (x + y + 5 * t) % 200], -1)
    return clip


def test_what_is_written_is_read_back(tmp_path: Path) -> None:
    path = tmp_path / "new" / "a.mp4"
    write_video(path, frames(), 12.5, crf=4)
    with VideoReader(path) as reader:
        assert (len(reader), reader.height, reader.width, reader.fps) == (12, 48, 64, 12.5)
        assert np.abs(reader.get_frames(range(12)).astype(int) - frames()).mean() < 4
    assert [p.name for p in path.parent.iterdir()] == ["a.mp4"]


def test_bytes_play_while_they_load(tmp_path: Path) -> None:
    still = np.repeat(frames(1, 96, 128), 12, axis=0)
    data = encode_video(still, 25, gop=5, num_b_frames=0)
    assert data.index(b"moov") < data.index(b"mdat")
    with av.open(io.BytesIO(data)) as container:
        stream = container.streams.video[0]
        assert (stream.codec_context.name, stream.pix_fmt) == ("h264", "yuv420p")
        keys = [p.is_keyframe for p in container.demux(stream) if p.size]
    assert keys == [t % 5 == 0 for t in range(12)]
    write_video(tmp_path / "a.mp4", iter(still), 25, gop=5, num_b_frames=0)
    assert (tmp_path / "a.mp4").read_bytes() == data


def test_odd_sides_are_padded_by_their_edge(tmp_path: Path) -> None:
    clip = np.zeros((3, 33, 47, 3), np.uint8)
    clip[:, :, -1] = 200
    write_video(tmp_path / "a.mp4", clip, 25, crf=2)
    with VideoReader(tmp_path / "a.mp4") as reader:
        assert (reader.height, reader.width) == (34, 48)
        assert reader.get_frames([1])[0, :, -2:].min() > 150


@pytest.mark.parametrize(
    ("clip", "options", "message"),
    [
        (frames(0), {}, "no frames to write"),
        (frames().astype(np.float32), {}, r"uint8, got .* float32"),
        (frames()[..., 0], {}, r"\(H, W, 3\)"),
        ([frames()[0], frames(1, 50, 64)[0]], {}, "one shape"),
        (frames(), {"fps": 0}, "fps is positive"),
        (frames(), {"crf": 60}, "crf is between 0 and 51"),
    ],
)
def test_mistakes_leave_no_file(
    tmp_path: Path, clip: np.ndarray, options: dict[str, float], message: str
) -> None:
    fps = options.pop("fps", 25)
    with pytest.raises(ValueError, match=message):
        write_video(tmp_path / "a.mp4", clip, fps, **options)  # type: ignore[arg-type]
    assert list(tmp_path.iterdir()) == []
