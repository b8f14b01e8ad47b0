"""Opening a file with PyAV, and what its container says about the video stream in it."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from rspnet.data.video.checks import VideoError

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.packet import Packet
    from av.video.codeccontext import VideoCodecContext
    from av.video.frame import VideoFrame
    from av.video.stream import VideoStream

Matrix = tuple[int, int, int, int]

# Demuxers that make "video" of text, of playlists and of scripts that name other files.
_NOT_VIDEO = frozenset(("tty", "hls", "dash", "concat", "sdp", "rtsp", "xbin", "bin", "idf", "adf"))


def describe(error: Exception) -> str:
    """FFmpeg's words, without the name of its function."""
    return str(getattr(error, "strerror", None) or error)


def open_container(path: Path) -> "InputContainer":
    """Open a file that passed :func:`rspnet.data.video.checks.check_file`.

    Raises:
        VideoError: FFmpeg knows no such format, or it is no format of videos.
    """
    import av

    try:
        try:
            container = av.open(os.fspath(path))
        except UnicodeDecodeError:  # a title in another encoding; only PyAV < 19 minds
            container = av.open(os.fspath(path), metadata_errors="replace")
    except (av.FFmpegError, OSError, ValueError) as error:
        raise VideoError(path, f"not a video that FFmpeg can open: {describe(error)}") from error
    if _NOT_VIDEO & set(container.format.name.split(",")):
        name = container.format.long_name
        container.close()
        raise VideoError(path, f"not a video: FFmpeg takes it for {name!r}")
    return container


def find_stream(path: Path, container: "InputContainer") -> "VideoStream":
    """The first video stream that is no cover picture, set to decode in one thread with tags.

    Raises:
        VideoError: There is none.
    """
    from av.stream import Disposition

    for stream in container.streams.video:
        if not stream.disposition & Disposition.attached_pic:
            context = stream.codec_context
            if not context.is_open:
                context.thread_count = 1
                context.copy_opaque = True  # for decode_tagged
            return stream
    others = sorted({s.type for s in container.streams})
    raise VideoError(path, f"no video stream: it holds {', '.join(others) or 'no stream at all'}")


def decode_tagged(
    context: "VideoCodecContext", packet: "Packet[VideoStream]", number: int
) -> "list[tuple[int | None, VideoFrame]]":
    """Decode a packet; frames come with the number of the packet that holds them.

    Numbers travel through the decoder's reordering. Presentation times do so too, but some
    containers (AVI) have none, and FFmpeg's guesses are others after a seek.
    """
    if packet.size:
        # A new object each time: PyAV < 19 loses one that is attached twice.
        packet.opaque = (number,)
    frames = context.decode(packet)
    return [(f.opaque[0] if isinstance(f.opaque, tuple) else None, f) for f in frames]


def orientation(frame: "VideoFrame") -> Matrix:
    """The display matrix of a frame, rounded to a signed permutation (a, b, c, d).

    Stored pixel (x, y) is shown at (a x + c y, b x + d y), up to a shift.
    """
    side_data: Any = frame.side_data  # its stub knows a few kinds only
    try:
        m = np.frombuffer(side_data["DISPLAYMATRIX"], np.int32)
    except KeyError:
        return 1, 0, 0, 1
    a, b, c, d = (int(v) for v in (m[0], m[1], m[3], m[4]))
    if abs(a) + abs(d) >= abs(b) + abs(c):
        return (-1 if a < 0 else 1), 0, 0, (-1 if d < 0 else 1)
    return 0, (-1 if b < 0 else 1), (-1 if c < 0 else 1), 0


def frame_rate(stream: "VideoStream", pts: list[int]) -> float:
    """Average frames per second: what the container says, else from the presentation times."""
    rate = stream.average_rate or stream.guessed_rate
    if rate:
        return float(rate)
    span = (max(pts) - min(pts)) * float(stream.time_base or 0) if pts else 0.0
    return (len(pts) - 1) / span if span > 0 else 25.0
