"""VideoReader against a sequential decode with PyAV."""

from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from rspnet.data.video import VideoError, VideoReader

NUM_BITS = 10


def painted(num_frames: int, height: int = 96, width: int = 128) -> np.ndarray:
    """Frames with their number painted in as a row of black and white squares."""
    y, x = np.mgrid[:height, :width]
    ground = np.stack([x * 255 // width, y * 255 // height, (x + y) % 256], -1).astype(np.uint8)
    frames = np.repeat(ground[None], num_frames, 0)
    for i, frame in enumerate(frames):
        frame[40 + i % 30 : 56 + i % 30, i % 100 : i % 100 + 16] = (255, i % 256, 0)
        for bit in range(NUM_BITS):
            frame[:12, bit * 12 : bit * 12 + 12] = 255 * (i >> bit & 1)
    return frames


def painted_number(frame: np.ndarray) -> int:
    return sum(
        int(frame[4:8, bit * 12 + 4 : bit * 12 + 8].mean() > 127) << bit for bit in range(10)
    )


def write(path: Path, frames: np.ndarray, codec: str, **options: Any) -> Path:
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=25, options=options.get("options", {}))
        stream.height, stream.width = frames.shape[1:3]
        stream.pix_fmt = "yuv420p"
        stream.codec_context.max_b_frames = options.get("num_b_frames", 0)
        stream.codec_context.gop_size = options.get("gop", 12)
        for image in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
        container.mux(stream.encode())
    return path


def sequential(path: Path) -> np.ndarray:
    with av.open(str(path)) as container:
        return np.stack([f.to_ndarray(format="rgb24") for f in container.decode(video=0)])


def test_frame_numbers_painted_in_are_read_back(tmp_path: Path) -> None:
    path = write(tmp_path / "n.mp4", painted(70), "libx264", num_b_frames=3, gop=250)
    with VideoReader(path) as reader:
        wanted = [69, 0, 33, 33, 1, 68]
        assert [painted_number(f) for f in reader.get_frames(wanted)] == wanted


@pytest.mark.parametrize("backend", ["auto", "pyav"])
@pytest.mark.parametrize(
    ("name", "codec", "options"),
    [
        ("b.avi", "mpeg4", {"num_b_frames": 2}),
        ("p.avi", "mpeg4", {}),
        ("b.mp4", "libx264", {"num_b_frames": 3, "gop": 15}),
    ],
)
def test_equals_sequential_decode(
    tmp_path: Path, name: str, codec: str, options: dict[str, Any], backend: Any
) -> None:
    path = write(tmp_path / name, painted(40), codec, **options)
    expected = sequential(path)
    rng = np.random.default_rng(0)
    with VideoReader(path, backend=backend) as reader:
        assert len(reader) == len(expected) == 40
        assert (reader.height, reader.width, reader.fps) == (96, 128, 25)
        for _ in range(8):
            indices = rng.integers(0, 40, size=rng.integers(1, 20))
            np.testing.assert_array_equal(reader.get_frames(indices), expected[indices])


def test_errors_name_file_and_reason(tmp_path: Path) -> None:
    with pytest.raises(VideoError, match=r"gone\.mp4: there is no such file"):
        VideoReader(tmp_path / "gone.mp4")
    (tmp_path / "empty.avi").touch()
    with pytest.raises(VideoError, match=r"empty\.avi: the file is empty"):
        VideoReader(tmp_path / "empty.avi")
