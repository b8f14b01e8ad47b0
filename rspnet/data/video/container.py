"""Opening a file with PyAV, and what its container says about the video stream in it."""

import os
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from rspnet.data.video.checks import VideoError, describe

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.packet import Packet
    from av.video.codeccontext import VideoCodecContext
    from av.video.frame import VideoFrame
    from av.video.stream import VideoStream

Matrix = tuple[int, int, int, int]

# Demuxers that make "video" of text, of playlists and of scripts that name other files.
_NOT_VIDEO = frozenset(("tty", "hls", "dash", "concat", "sdp", "rtsp", "xbin", "bin", "idf", "adf"))


def open_container(path: Path, options: dict[str, str] | None = None) -> "InputContainer":
    """Open a file, whatever its name: all files are opened here.

    Args:
        path: A file that passed :func:`rspnet.data.video.checks.check_file`.
        options: FFmpeg's, such as ``format_whitelist``.

    Raises:
        VideoError: FFmpeg knows no such format, or it is no format of videos.
    """
    import av

    # Without the prefix FFmpeg takes what stands before a colon in a relative path for a protocol.
    name = f"file:{os.fspath(path)}"
    try:
        # Titles come in any encoding; only PyAV < 19 minds.
        container = av.open(name, options=options or {}, metadata_errors="replace")
    except (av.FFmpegError, OSError, ValueError) as error:
        raise VideoError(path, f"not a video that FFmpeg can open: {describe(error)}") from error
    if _NOT_VIDEO & set(container.format.name.split(",")):
        name = container.format.long_name
        container.close()
        raise VideoError(path, f"not a video: FFmpeg takes it for {name!r}")
    return container


def find_stream(path: Path, container: "InputContainer") -> "VideoStream":
    """The video stream of a file, set to decode in one thread with tags: all choose it here.

    It is the first that is more than a picture, such as cover art or a thumbnail.

    Raises:
        VideoError: There is none, or FFmpeg has no decoder for it.
    """
    from av.stream import Disposition

    pictures = Disposition.attached_pic | Disposition.timed_thumbnails
    streams = [s for s in container.streams.video if not s.disposition & pictures]
    stream = next((s for s in streams if s.frames != 1), streams[0] if streams else None)
    if stream is None:
        kinds = sorted({"picture" if s.type == "video" else s.type for s in container.streams})
        held = ", ".join(kinds) or "no stream at all"
        raise VideoError(path, f"no video stream: it holds {held}")
    context: VideoCodecContext | None = stream.codec_context
    if context is None:
        raise VideoError(
            path,
            "codec not supported: FFmpeg has no decoder for its video stream (encrypted, or of "
            "an unknown kind)",
        )
    if not context.is_open:
        context.thread_count = 1
        context.copy_opaque = True  # for decode_tagged
    return stream


def decode_tagged(
    context: "VideoCodecContext", packet: "Packet[VideoStream]", number: int
) -> "list[tuple[int | None, VideoFrame | None]]":
    """Decode a packet; frames come with the number of the packet that holds them.

    Numbers travel through the decoder's reordering. Presentation times do so too, but some
    containers (AVI) have none, and FFmpeg's guesses are others after a seek. A packet that can't be
    decoded comes with its number and no frame.
    """
    import av

    if packet.size:
        # A new object each time: PyAV < 19 loses one that is attached twice.
        packet.opaque = (number,)
    try:
        frames = context.decode(packet)
    except MemoryError:
        raise  # not the packet's fault
    except av.FFmpegError:
        return [(number, None)]
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


def frame_rate(stream: "VideoStream", times: Sequence[int | None]) -> Fraction:
    """Average frames per second.

    Headers hold a nominal rate, which counts where the presentation times fit to it.

    Args:
        stream: The stream.
        times: Presentation time of each frame, in the stream's time base.
    """
    nominal = stream.average_rate or stream.guessed_rate
    formats = set(stream.container.format.name.split(","))
    known = [t for t in times if t is not None]
    unit, num_steps = stream.time_base, len(known) - 1
    span = known[-1] - known[0] if known else 0
    # MOV counts frames by their total duration; AVI has one rate, and shows some frames longer.
    counted = "avi" in formats or ("mov" in formats and stream.frames > 0)
    # Where transport streams were joined or cut, their times jump.
    jumps = known != sorted(known) or (bool(formats & {"mpegts", "mpeg"}) and has_gaps(known, 50))
    if counted or jumps or len(known) < len(times) or not unit or span <= 0:
        return nominal if nominal and nominal > 0 else Fraction(25)
    if nominal and abs(num_steps / nominal / unit - span) <= 1:
        return nominal  # to within the rounding of the times
    return num_steps / (span * unit)


def has_gaps(times: Sequence[int], factor: float = 1.5) -> bool:
    """Whether sorted times lie further apart somewhere than is usual for them."""
    steps = np.diff(times)
    return len(steps) > 0 and bool(steps.max() > factor * np.median(steps))


def ends_within_packet(path: Path, stream_id: int) -> bool:
    """Whether the last packet of a transport stream is cut off, and is one of this stream."""
    with path.open("rb") as file:
        # Of 192 bytes (M2TS) the first four are no part of the packet itself.
        before = 0 if file.read(189)[::188] == b"GG" else 4
        rest = path.stat().st_size % (188 + before)
        file.seek(-rest, os.SEEK_END)
        head = file.read(rest)[before:]
    if rest == 0 or head[:1] not in (b"G", b""):
        return False
    return len(head) < 3 or int.from_bytes(head[1:3], "big") & 0x1FFF == stream_id


def pixel_aspect(stream: "VideoStream") -> Fraction:
    """Width of a pixel by its height, as stored; 1 where the file says nothing sensible."""
    ratio = stream.sample_aspect_ratio
    return ratio if ratio and Fraction(1, 10) <= ratio <= 10 else Fraction(1)
