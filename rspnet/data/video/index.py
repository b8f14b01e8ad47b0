"""The frame index of a video, and the choice of a decoder."""

from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from rspnet.data.video.checks import check_file, check_flv
from rspnet.data.video.container import (
    Matrix,
    ends_within_packet,
    find_stream,
    frame_rate,
    open_container,
    orientation,
)
from rspnet.data.video.packets import (
    Integers,
    Packets,
    damaged_packets,
    disposable_packets,
    entries_of,
    entry_before,
    leaning,
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


@dataclass
class VideoIndex:
    """What is known of a video before any frame of it is converted to RGB.

    Attributes:
        num_frames: Frames that a sequential decode gives, damaged ones too.
        rate: Average frames per second.
        pixel_aspect: Width of a pixel by its height, after rotation.
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
        times: Presentation time of each frame in seconds; empty where not all are known.
        disposable: Whether no other frame leans on each packet.
        damaged: Whether each frame leans on damage that was found when the file was opened.
        why_not_decord: Why decord is not exact for this file, empty if nothing is known.
        decord_differs: The same from decord's own table of the file; None: not compared yet.
        decoded: Whether all frames were decoded once, so that ``damaged`` is complete.
    """

    num_frames: int
    rate: Fraction
    pixel_aspect: Fraction
    height: int
    width: int
    matrix: Matrix
    packet_of: Integers | None
    frame_of: Integers
    places: Integers
    packet_at: Integers
    entries: Integers
    times: NDArray[np.float64]
    disposable: NDArray[np.bool_]
    damaged: NDArray[np.bool_]
    why_not_decord: str
    decoded: bool
    decord_differs: str | None = None


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
    container = open_container(path)
    try:
        return _index(path, container), container
    except BaseException:
        container.close()
        raise


def _index(path: Path, container: "InputContainer") -> VideoIndex:
    stream = find_stream(path, container)
    packets = list_packets(path, container, stream)
    if "flv" in packets.containers and len(packets) - 1 in packets.damaged:
        check_flv(path)
    searchable = _searchable(packets)
    by_times = order_by_times(packets) if searchable else None
    sure, found = True, set[int]()
    if by_times is not None:
        order = by_times
    else:
        numbers, sure, found = order_by_decoding(path)
        order = np.array(numbers, np.int64)
        found |= damaged_packets(packets)
        if "mpegts" in packets.containers and ends_within_packet(path, stream.id):
            found.add(len(packets) - 1)
    frame_of = np.full(len(packets) + 1, -1)  # one past the last, where the decoder is emptied
    frame_of[order] = np.arange(len(order))
    frame_of = frame_of[:-1]
    entries = np.array(entries_of(packets, frame_of, found), np.int64)
    disposable = disposable_packets(packets)
    damaged = np.zeros(len(order), bool)
    if found:
        frames = frame_of[entries]
        rows = [entry_before(entries, frames, int(p), n) for n, p in enumerate(order)]
        begin = np.array([entries[row] if row >= 0 else -1 for row in rows])
        damaged = leaning(begin, order, found, disposable)
    matrix = orientation(packets.first)
    height, width, aspect = packets.first.height, packets.first.width, packets.pixel_aspect
    if matrix[0] == 0:
        height, width, aspect = width, height, 1 / aspect
    searchable = searchable and sure
    known = _entries(packets, entries, frame_of) if searchable else []
    packet_at = np.argsort(packets.places)
    times = [packets.pts[number] for number in order] if sure else packets.pts
    timed = by_times is not None and None not in times
    return VideoIndex(
        num_frames=len(order),
        rate=frame_rate(stream, times),
        pixel_aspect=aspect,
        height=height,
        width=width,
        matrix=matrix,
        packet_of=order if searchable else None,
        frame_of=frame_of,
        places=np.array(packets.places)[packet_at],
        packet_at=packet_at,
        entries=np.array(known, np.int64).reshape(-1, 3),
        times=np.array(times if timed else [], float) * float(stream.time_base or 0),
        disposable=disposable,
        damaged=damaged,
        why_not_decord=_why_not_decord(packets, matrix, timed=timed),
        decoded=by_times is None,
    )


def _searchable(packets: Packets) -> bool:
    return (
        bool(packets.containers & _SEEKABLE)
        and packets.codec in _SEEK_CODECS
        and min(packets.places) >= 0
        and len(set(packets.places)) == len(packets)
    )


def _entries(packets: Packets, entries: Integers, frame_of: Integers) -> list[tuple[int, ...]]:
    times = packets.dts if "avi" in packets.containers else packets.pts
    return [(n, int(frame_of[n]), t) for n in entries if (t := times[n]) is not None]


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
    moments = zip(packets.pts, packets.dts, strict=True)
    if any(p is not None and d is not None and p - d >= 1 << 28 for p, d in moments):
        return "frames so far apart that its FFmpeg ignores their order"
    if packets.num_video_streams > 1:
        return "more than one video stream"
    return ""
