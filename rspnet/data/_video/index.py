"""The frame index of a video: what lies where, found by reading packets without decoding them."""

import os
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from rspnet.data._video.checks import VideoError, check_file

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.video.frame import VideoFrame
    from av.video.stream import VideoStream

# Demuxers that make "video" of text, of playlists and of scripts naming other files.
_NOT_VIDEO = frozenset(("tty", "hls", "dash", "concat", "sdp", "rtsp", "xbin", "bin", "idf", "adf"))
# Codecs where every packet is one frame, so that packets can be counted instead of frames.
_PACKET_IS_FRAME = frozenset(("h264", "hevc", "vp9", "av1", "mpeg4", "mjpeg"))


@dataclass(frozen=True)
class VideoIndex:
    """What is known of a video before any frame of it is converted to RGB.

    Attributes:
        num_frames: Frames that a sequential decode gives.
        fps: Average frames per second.
        height: Pixels, after rotation.
        width: Pixels, after rotation.
        matrix: Signed permutation (a, b, c, d) that turns stored pixels upright.
        stream: Position of the video stream among all streams.
        pts: Presentation time of each frame in presentation order, in the stream's time base; None
            where times are missing or doubled, so that frames can only be counted.
        packets: Decode order of the packet of each presentation time.
        key_pts: Presentation times of the key frames, in decode order.
        key_dts: Times to seek to for them.
        decord: Why decord can't serve this file, empty if it can.
    """

    num_frames: int
    fps: float
    height: int
    width: int
    matrix: tuple[int, int, int, int]
    stream: int
    pts: NDArray[np.int64] | None
    packets: dict[int, int]
    key_pts: NDArray[np.int64]
    key_dts: NDArray[np.int64]
    decord: str


def read_index(path: Path) -> VideoIndex:
    """The index of a video; remembered per process until the file changes.

    Raises:
        VideoError: The file is missing, empty, no video, cut off or corrupt.
    """
    try:
        stat = path.stat()
        key = (str(path), stat.st_size, stat.st_mtime_ns)
    except OSError:
        key = (str(path), -1, -1)
    return _read_index(*key)


@lru_cache(maxsize=1024)
def _read_index(name: str, _size: int, _mtime: int) -> VideoIndex:
    import av

    path = Path(name)
    check_file(path)
    try:
        with open_container(path) as container:
            stream = find_stream(path, container)
            return _build(path, container, stream)
    except (av.FFmpegError, OSError) as error:
        raise VideoError(path, f"corrupt: {describe(error)}") from error


def describe(error: Exception) -> str:
    """FFmpeg's words, without the name of its function."""
    return str(getattr(error, "strerror", None) or error)


def open_container(path: Path) -> "InputContainer":
    """Open a file that passed :func:`check_file`.

    Raises:
        VideoError: FFmpeg knows no such format.
    """
    import av

    try:
        container = av.open(os.fspath(path), metadata_errors="replace")
    except (av.FFmpegError, OSError, ValueError) as error:
        raise VideoError(path, f"not a video that FFmpeg can open: {describe(error)}") from error
    names = set(container.format.name.split(","))
    if names & _NOT_VIDEO:
        container.close()
        raise VideoError(path, f"not a video: FFmpeg takes it for {container.format.long_name!r}")
    return container


def find_stream(path: Path, container: "InputContainer") -> "VideoStream":
    """The first video stream that is no cover picture, set to decode in one thread."""
    from av.stream import Disposition

    for stream in container.streams.video:
        if not stream.disposition & Disposition.attached_pic:
            stream.codec_context.thread_count = 1
            return stream
    others = sorted(s.type for s in container.streams)
    raise VideoError(path, f"no video stream: it holds {', '.join(others) or 'no stream at all'}")


def orientation(frame: "VideoFrame") -> tuple[int, int, int, int]:
    """The display matrix of a frame, rounded to a signed permutation.

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


def _build(path: Path, container: "InputContainer", stream: "VideoStream") -> VideoIndex:
    context = stream.codec_context
    pts: list[int | None] = []
    key_pts: list[int] = []
    key_dts: list[int] = []
    packets: dict[int, int] = {}
    discarded = open_gop = False
    for packet in container.demux(stream):
        if packet.size == 0:
            continue
        if packet.is_corrupt:
            raise VideoError(
                path, f"cut off or damaged: packet {len(pts)} of its video stream is not whole"
            )
        discarded |= packet.is_discard
        if packet.pts is not None:
            packets[packet.pts] = len(pts)
            open_gop |= bool(key_pts) and packet.pts < key_pts[-1]
            if packet.is_keyframe:
                key_pts.append(packet.pts)
                key_dts.append(packet.pts if packet.dts is None else packet.dts)
        pts.append(packet.pts)
    if not pts:
        raise VideoError(path, "its video stream holds no frames")
    packed = context.name == "mpeg4" and context.has_b_frames
    times = sorted(p for p in pts if p is not None)
    timed = (
        len(packets) == len(pts)
        and context.name in _PACKET_IS_FRAME
        and not discarded
        and not packed
        and bool(key_pts)
        and key_pts[0] == times[0]
    )
    # The container is read to its end: what is needed of it is taken before it is opened again.
    position, rate = stream.index, _frame_rate(stream, times)
    why_not_decord = _why_not_decord(container, stream)
    first, frame_times = _decode(path, container, only_first=timed)
    if not timed:
        known = {p for p in frame_times if p is not None}
        if len(known) == len(frame_times) and known <= packets.keys():
            times, timed = sorted(known), frame_times == sorted(known) and bool(key_pts)
    matrix = orientation(first)
    if not timed or discarded:
        why_not_decord = why_not_decord or "presentation times are missing, doubled or cut"
    elif matrix != (1, 0, 0, 1):
        why_not_decord = why_not_decord or "rotated"
    elif open_gop:
        why_not_decord = why_not_decord or "open groups of pictures"
    num_frames = len(times) if timed else len(frame_times)
    height, width = first.height, first.width
    if matrix[0] == 0:
        height, width = width, height
    return VideoIndex(
        num_frames=num_frames,
        fps=rate,
        height=height,
        width=width,
        matrix=matrix,
        stream=position,
        pts=np.array(times, np.int64) if timed else None,
        packets=packets,
        key_pts=np.array(key_pts, np.int64),
        key_dts=np.array(key_dts, np.int64),
        decord=why_not_decord,
    )


def _decode(
    path: Path, container: "InputContainer", *, only_first: bool
) -> tuple["VideoFrame", list[int | None]]:
    """Decode from the start without conversion: first frame, and the times of all."""
    container.close()
    times: list[int | None] = []
    first: VideoFrame | None = None
    with open_container(path) as again:
        for frame in again.decode(find_stream(path, again)):
            first = first or frame
            times.append(frame.pts)
            if only_first:
                break
    if first is None:
        raise VideoError(path, "corrupt: not one frame of its video stream can be decoded")
    return first, times


def _frame_rate(stream: "VideoStream", times: list[int]) -> float:
    rate: Fraction | None = stream.average_rate or stream.guessed_rate
    if rate:
        return float(rate)
    if len(times) > 1 and stream.time_base and times[-1] > times[0]:
        return (len(times) - 1) / float((times[-1] - times[0]) * stream.time_base)
    return 25.0


def _why_not_decord(container: "InputContainer", stream: "VideoStream") -> str:
    context = stream.codec_context
    formats = set(container.format.name.split(","))
    if "mov" not in formats:
        return f"container {container.format.name}"
    if context.name != "h264":
        return f"codec {context.name}"
    if context.pix_fmt != "yuv420p":
        return f"pixel format {context.pix_fmt}"
    if len(container.streams.video) > 1:
        return "more than one video stream"
    return ""
