"""The frame index of a video, and the choice of a decoder."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from rspnet.data.video.checks import VideoError, check_file
from rspnet.data.video.container import (
    Matrix,
    describe,
    find_stream,
    open_container,
    orientation,
)
from rspnet.data.video.packets import (
    Integers,
    Packets,
    list_packets,
    order_by_decoding,
    order_by_times,
)

if TYPE_CHECKING:
    from av.container import InputContainer

# Containers that can be searched: the place of a packet in the file names it, after a seek too.
_SEEKABLE = frozenset(("mov", "matroska", "avi", "flv"))
# Codecs for which a seek was found to give the frames of a sequential decode.
_SEEK_CODECS = frozenset(
    ("h264", "hevc", "vp8", "vp9", "av1", "mpeg4", "mpeg2video", "mjpeg", "png", "prores", "ffv1")
)
# Indices are kept until they hold this many frames together (about 40 MB).
_MAX_REMEMBERED = 1_000_000


@dataclass(frozen=True)
class VideoIndex:
    """What is known of a video before any frame of it is converted to RGB.

    Attributes:
        num_frames: Frames that a sequential decode gives.
        fps: Average frames per second.
        height: Pixels, after rotation.
        width: Pixels, after rotation.
        matrix: Signed permutation (a, b, c, d) that turns stored pixels upright.
        packet_of: The packet of each frame; packets are counted in the order of decoding. None:
            the file can't be searched, its frames are counted from the start.
        frame_of: The frame of each packet, -1 for none.
        places: Position of the packets in the file, in bytes, sorted.
        packet_at: The packet at each of these positions.
        entries: One row for each packet that decoding can begin at: the packet, its frame, and
            the time to seek to.
        why_not_decord: Why decord is not exact for this file, empty if it is.
    """

    num_frames: int
    fps: float
    height: int
    width: int
    matrix: Matrix
    packet_of: Integers | None
    frame_of: Integers
    places: Integers
    packet_at: Integers
    entries: Integers
    why_not_decord: str


_remembered: dict[tuple[Path, Path, int, int, int], VideoIndex] = {}


def open_index(path: Path) -> "tuple[VideoIndex, InputContainer | None]":
    """The index of a video, and its container where it had to be opened for that.

    A process remembers indices until the files change, so that opening a file again is cheap.

    Raises:
        VideoError: The file is missing, empty, no video, cut off or corrupt.
    """
    check_file(path)
    stat = path.stat()
    anchor = path if path.is_absolute() else Path.cwd()
    key = (path, anchor, stat.st_ino, stat.st_size, stat.st_mtime_ns)
    known = _remembered.pop(key, None)
    if known is not None:
        _remembered[key] = known  # the last used stand last
        return known, None
    index, container = _read_index(path)
    _remembered[key] = index
    total = sum(i.num_frames for i in _remembered.values())
    while total > _MAX_REMEMBERED and len(_remembered) > 1:
        total -= _remembered.pop(next(iter(_remembered))).num_frames
    return index, container


def forget() -> None:
    """Forget all indices."""
    _remembered.clear()


def _read_index(path: Path) -> "tuple[VideoIndex, InputContainer]":
    import av

    container = open_container(path)
    try:
        packets = list_packets(path, container, find_stream(path, container))
        order = order_by_times(packets)
        timed, num_frames = order is not None, len(packets)
        if order is None:
            order, num_frames = order_by_decoding(path)
    except (av.FFmpegError, OSError) as error:
        container.close()
        raise VideoError(path, f"corrupt: {describe(error)}") from error
    except VideoError:
        container.close()
        raise
    matrix = orientation(packets.first)
    height, width = packets.first.height, packets.first.width
    if matrix[0] == 0:
        height, width = width, height
    if not _searchable(packets):
        order = None
    frame_of = np.full(len(packets), -1)
    if order is not None:
        frame_of[order] = np.arange(len(order))
    packet_at = np.argsort(packets.places)
    index = VideoIndex(
        num_frames=num_frames,
        fps=packets.fps,
        height=height,
        width=width,
        matrix=matrix,
        packet_of=order,
        frame_of=frame_of,
        places=np.array(packets.places)[packet_at],
        packet_at=packet_at,
        entries=_entries(packets, frame_of),
        why_not_decord=_why_not_decord(packets, matrix, timed=timed and order is not None),
    )
    return index, container


def _searchable(packets: Packets) -> bool:
    return (
        bool(packets.containers & _SEEKABLE)
        and packets.codec in _SEEK_CODECS
        and min(packets.places) >= 0
        and len(set(packets.places)) == len(packets)
    )


def _entries(packets: Packets, frame_of: Integers) -> Integers:
    times = packets.dts if "avi" in packets.containers else packets.pts
    rows = [
        (number, int(frame_of[number]), time)
        for number, time in enumerate(times)
        if packets.keys[number]
        and packets.facts[number].entry
        and frame_of[number] >= 0
        and time is not None
    ]
    return np.array(rows, np.int64).reshape(-1, 3)


def _why_not_decord(packets: Packets, matrix: Matrix, *, timed: bool) -> str:
    """See :class:`rspnet.data.video.reader.VideoReader`."""
    if not packets.containers & {"mov", "matroska"}:
        return f"container {'/'.join(sorted(packets.containers))}"
    if packets.codec not in ("h264", "vp9"):
        return f"codec {packets.codec}"
    if packets.first.format.name not in ("yuv420p", "yuvj420p"):
        return f"pixel format {packets.first.format.name}"
    if matrix != (1, 0, 0, 1):
        return "rotated or mirrored"
    if packets.first.height % 2 or packets.first.width % 2:
        return "odd height or width"
    if not timed:
        return "presentation times don't give the order of frames"
    if any(k and not f.closed for k, f in zip(packets.keys, packets.facts, strict=True)):
        return "key frames that frames around them reach over"
    if packets.num_video_streams > 1:
        return "more than one video stream"
    return ""
