"""H.264 that every browser plays, written by PyAV."""

import tempfile
from collections.abc import Iterable, Iterator
from fractions import Fraction
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from rspnet.files import atomic_path

if TYPE_CHECKING:
    from rspnet.data.video.reader import VideoReader

Frames = NDArray[np.uint8]

# A chunk of decoded frames in bytes; 4K video must not fill the memory of many processes.
_CHUNK_BYTES = 64 * 2**20


def write_video(
    path: str | Path,
    frames: Frames | Iterable[Frames],
    fps: float | Fraction,
    *,
    crf: int = 18,
    preset: str = "medium",
    gop: int | None = None,
    num_b_frames: int | None = None,
    threads: int = 1,
) -> None:
    """Write frames to an H.264 MP4 (yuv420p, index first), atomically.

    Args:
        path: The file, ``*.mp4``.
        frames: (N, H, W, 3) uint8 RGB, or one (H, W, 3) after the other. A side with an odd
            number of pixels is padded by one, repeating the last row or column.
        fps: Frames per second; a fraction, such as :attr:`VideoReader.rate`, is kept.
        crf: Quality, 0 (lossless) to 51.
        preset: x264's trade of time for size.
        gop: Most frames from one key frame to the next; nothing leaves it to x264 (250).
        num_b_frames: Most B-frames in a row; nothing leaves it to x264.
        threads: Encoder threads. x264 gives the same bytes for one number of threads, but for
            rare runs on pictures of less than about 100 pixels, where its rate control may
            spend a few bits otherwise.

    Raises:
        ValueError: There are no frames, or they differ in shape or type.
    """
    options = _options(crf, preset, gop, num_b_frames)
    with atomic_path(path) as temporary:
        _encode(str(temporary), frames, fps, options, threads)


def encode_video(
    frames: Frames | Iterable[Frames],
    fps: float | Fraction,
    *,
    crf: int = 18,
    preset: str = "medium",
    gop: int | None = None,
    num_b_frames: int | None = None,
    threads: int = 1,
) -> bytes:
    """The bytes of what :func:`write_video` writes."""
    # Moving the index to the front reads the file again, so memory alone is not enough.
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "clip.mp4"
        _encode(str(path), frames, fps, _options(crf, preset, gop, num_b_frames), threads)
        return path.read_bytes()


def _options(crf: int, preset: str, gop: int | None, num_b_frames: int | None) -> dict[str, str]:
    if not 0 <= crf <= 51:
        raise ValueError(f"crf is between 0 and 51, got {crf}")
    options = {"crf": str(crf), "preset": preset}
    if gop is not None:
        options["g"] = str(gop)
    if num_b_frames is not None:
        options["bf"] = str(num_b_frames)
    return options


def _encode(
    target: str,
    frames: Frames | Iterable[Frames],
    fps: float | Fraction,
    options: dict[str, str],
    threads: int,
) -> None:
    import av

    if fps <= 0:
        raise ValueError(f"fps is positive, got {fps}")
    stream_of_frames = iter(frames)
    first = next(stream_of_frames, None)
    if first is None:
        raise ValueError("there are no frames to write")
    _check(first, first)
    height, width = first.shape[:2]
    pad = ((0, height % 2), (0, width % 2), (0, 0))
    with av.open(target, "w", format="mp4", options={"movflags": "+faststart"}) as container:
        stream = container.add_stream("libx264", rate=_rate(fps), options=options)
        stream.height, stream.width = height + height % 2, width + width % 2
        stream.pix_fmt = "yuv420p"
        stream.thread_count = threads
        for image in chain([first], stream_of_frames):
            _check(image, first)
            padded = np.pad(image, pad, mode="edge") if any(p for _, p in pad) else image
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(padded), format="rgb24")
            for packet in stream.encode(frame):
                container.mux(packet)
        for packet in stream.encode():
            container.mux(packet)


def _rate(fps: float | Fraction) -> Fraction:
    """A fraction whose terms fit into a file. Below 1 fps it is the seconds that are rounded."""
    most = 1_000_000 if isinstance(fps, Fraction) else 1001
    rate = Fraction(fps)
    return rate.limit_denominator(most) if rate >= 1 else 1 / (1 / rate).limit_denominator(most)


def copy_frames(reader: "VideoReader", short_side: int) -> Iterator[Frames]:
    """The frames of a video for a small copy, (H, W, 3) uint8 RGB each.

    They have the shape that the video is shown with, in square pixels, whatever its pixels are.

    Args:
        reader: The video.
        short_side: Height or width, whichever is less, in pixels, even; shorter ones are kept.

    Raises:
        VideoError: A frame can't be decoded.
    """
    import cv2

    height, width = _even_size(*reader.display_size, short_side)
    shrinks = height <= reader.height and width <= reader.width
    how = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    step = max(1, min(64, _CHUNK_BYTES // (reader.height * reader.width * 3)))
    for start in range(0, len(reader), step):
        for frame in reader.get_frames(range(start, min(start + step, len(reader)))):
            if (height, width) != frame.shape[:2]:
                small = cv2.resize(frame, (width, height), interpolation=how)
                yield small.astype(np.uint8, copy=False)
            else:
                yield frame


def _even_size(height: int, width: int, short_side: int) -> tuple[int, int]:
    """Height and width with this short side, never more than there are, even where they change."""
    scale = short_side / min(height, width)
    if scale >= 1:
        return height, width
    # Python rounds halves to even; any even number near will do.
    long_side = max(short_side, 2 * round(max(height, width) * scale / 2))
    return (short_side, long_side) if height <= width else (long_side, short_side)


def _check(image: Frames, first: Frames) -> None:
    if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8:
        raise ValueError(f"a frame is (H, W, 3) uint8, got {image.shape} {image.dtype}")
    if image.shape != first.shape:
        raise ValueError(f"all frames have one shape, got {first.shape} and {image.shape}")
