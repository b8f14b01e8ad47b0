"""The frame index of a video, and the choice of a decoder."""

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from rspnet.data._video.checks import VideoError, check_file
from rspnet.data._video.container import (
    Matrix,
    describe,
    find_stream,
    open_container,
    orientation,
)
from rspnet.data._video.packets import (
    Order,
    Packets,
    list_packets,
    order_by_decoding,
    order_by_times,
)

# Containers that can be searched: the place of a packet in the file names it, after a seek too.
_SEEKABLE = frozenset(("mov", "matroska", "avi", "flv"))
# Codecs for which a seek was found to give the frames of a sequential decode.
_EXACT_SEEK = frozenset(
    [
        "h264",
        "hevc",
        "vp8",
        "vp9",
        "av1",
        "mpeg4",
        "mpeg2video",
        "mjpeg",
        "png",
        "prores",
        "ffv1",
        "rawvideo",
        "huffyuv",
    ]
)


@dataclass(frozen=True)
class VideoIndex:
    """What is known of a video before any frame of it is converted to RGB.

    Attributes:
        num_frames: Frames that a sequential decode gives.
        fps: Average frames per second.
        height: Pixels, after rotation.
        width: Pixels, after rotation.
        matrix: Signed permutation (a, b, c, d) that turns stored pixels upright.
        order: The packet of each frame, counted in the order of decoding. None: the file can't be
            searched, its frames are counted from the start.
        places: The number of each packet, by its position in the file.
        entries: One row for each packet that decoding can begin at: its number, its frame, and
            the time to seek to.
        why_not_decord: Why decord can't serve this file, empty if it can.
    """

    num_frames: int
    fps: float
    height: int
    width: int
    matrix: Matrix
    order: Order | None
    places: dict[int, int]
    entries: NDArray[np.int64]
    why_not_decord: str


def read_index(path: Path) -> VideoIndex:
    """The index of a video; a process remembers the last 1,024 until the files change.

    Raises:
        VideoError: The file is missing, empty, no video, cut off or corrupt.
    """
    try:
        stat = path.stat()
        identity = (stat.st_ino, stat.st_size, stat.st_mtime_ns)
    except OSError:
        identity = (-1, -1, -1)
    return _read_index(path, Path.cwd() if not path.is_absolute() else path, identity)


@lru_cache(maxsize=1024)
def _read_index(path: Path, _anchor: Path, _identity: tuple[int, int, int]) -> VideoIndex:
    import av

    check_file(path)
    try:
        with open_container(path) as container:
            packets = list_packets(path, container, find_stream(path, container))
        order = order_by_times(packets)
        timed = order is not None
        num_frames = len(packets)
        if order is None:
            order, num_frames = order_by_decoding(path)
    except (av.FFmpegError, OSError) as error:
        raise VideoError(path, f"corrupt: {describe(error)}") from error
    matrix = orientation(packets.first)
    height, width = packets.first.height, packets.first.width
    if matrix[0] == 0:
        height, width = width, height
    if not _searchable(packets):
        order = None
    return VideoIndex(
        num_frames=num_frames,
        fps=packets.fps,
        height=height,
        width=width,
        matrix=matrix,
        order=order,
        places={place: number for number, place in enumerate(packets.places)},
        entries=_entries(packets, order),
        why_not_decord=_why_not_decord(packets, matrix, timed=timed and order is not None),
    )


def _searchable(packets: Packets) -> bool:
    return (
        bool(packets.containers & _SEEKABLE)
        and packets.codec in _EXACT_SEEK
        and min(packets.places) >= 0
        and len(set(packets.places)) == len(packets)
    )


def _entries(packets: Packets, order: Order | None) -> NDArray[np.int64]:
    rows: list[tuple[int, int, int]] = []
    if order is not None:
        frame_of = {int(number): frame for frame, number in enumerate(order)}
        times = packets.dts if "avi" in packets.containers else packets.pts
        for number, time in enumerate(times):
            usable = packets.keys[number] and packets.facts[number].entry and number in frame_of
            if usable and time is not None:
                rows.append((number, frame_of[number], time))
    return np.array(rows, np.int64).reshape(-1, 3)


def _why_not_decord(packets: Packets, matrix: Matrix, *, timed: bool) -> str:
    """See :class:`rspnet.data.video.VideoReader` for the reasons behind the reasons."""
    if not packets.containers & {"mov", "matroska"}:
        return f"container {'/'.join(sorted(packets.containers))}"
    if packets.codec not in ("h264", "vp9"):
        return f"codec {packets.codec}"
    if packets.first.format.name not in ("yuv420p", "yuvj420p"):
        return f"pixel format {packets.first.format.name}"
    if matrix != (1, 0, 0, 1):
        return "rotated or mirrored"
    if not timed:
        return "presentation times don't give the order of frames"
    if any(k and not f.closed for k, f in zip(packets.keys, packets.facts, strict=True)):
        return "key frames that frames before them lean on"
    if packets.num_video_streams > 1:
        return "more than one video stream"
    return ""
