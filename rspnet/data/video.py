"""Exact frames of a video by index.

"Exact" is what a sequential decode by PyAV gives, in presentation order, with the container's
rotation applied: ``get_frames([i])`` is byte for byte the i-th frame of that decode.

Two decoders serve. decord is fast at random access, PyAV was right in every case tried. decord is
used only where the two were found equal byte for byte: H.264, 8-bit 4:2:0, in MP4 or MOV, without
rotation, with as many frames as both the index and decord itself count. PyAV takes the rest,
because decord 0.6.0

* gives wrong frames from MPEG-4 AVI with B-frames,
* silently gives fewer frames from a file that was cut off,
* ignores half of the rotations, and
* has no wheels for macOS and Arm, where PyAV does all the work.
"""

import threading
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from rspnet.data._container import (
    ContainerError,
    check_complete,
    nal_length_size,
    nal_units_fit,
)

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.video.frame import VideoFrame
    from av.video.stream import VideoStream

Frames = NDArray[np.uint8]
Backend = Literal["auto", "decord", "pyav"]

# Codecs of which one packet is one shown frame in these containers, so that demuxing counts them.
_COUNTED_CODECS = frozenset({"h264", "hevc", "vp9", "av1", "mjpeg", "prores"})
_COUNTED_CONTAINERS = frozenset({"mov", "mp4", "matroska", "webm"})


class VideoError(ValueError):
    """A video can't be read: names the file and the reason."""

    def __init__(self, path: str | Path, reason: str) -> None:
        super().__init__(f"{path}: {reason}")
        self.path = Path(path)
        self.reason = reason

    def __reduce__(self) -> tuple[type["VideoError"], tuple[Path, str]]:
        return VideoError, (self.path, self.reason)


@dataclass(frozen=True)
class _Index:
    """What is known of a file without keeping it open.

    Attributes:
        num_frames: Frames that a sequential decode gives.
        pts: Presentation times in display order; empty where seeking is not trusted.
        key_pts: Those of the key frames, sorted.
        fps: Average frame rate.
        height: After rotation.
        width: After rotation.
        rotation: Degrees counter-clockwise, a multiple of 90.
        decord: Whether decord is exact for this file.
    """

    num_frames: int
    pts: tuple[int, ...]
    key_pts: tuple[int, ...]
    fps: float
    height: int
    width: int
    rotation: int
    decord: bool


class VideoReader:
    """Random access to the exact frames of a video file.

    Args:
        path: The file.
        backend: ``auto`` takes decord where it is exact and PyAV otherwise; ``pyav`` and
            ``decord`` insist.

    Attributes:
        path: The file.
        fps: Average frame rate, frames per second.
        height: Pixels, after rotation.
        width: Pixels, after rotation.
        backend: ``decord`` or ``pyav``, whichever reads this file.

    Raises:
        VideoError: The file is missing, empty, no video, without a video stream, cut off or
            corrupt.
        ValueError: ``decord`` is insisted on where it is missing or not exact.
    """

    def __init__(self, path: str | Path, *, backend: Backend = "auto") -> None:
        if backend not in ("auto", "decord", "pyav"):
            raise ValueError(f"backend is 'auto', 'decord' or 'pyav', got {backend!r}")
        self.path = Path(path)
        self._index = _read_index(self.path)
        self.fps = self._index.fps
        self.height = self._index.height
        self.width = self._index.width
        self._decord: Any = None
        # One reader may be shared by threads; each decoder has one position.
        self._lock = threading.Lock()
        if backend != "pyav" and self._index.decord:
            self._decord = _open_decord(self.path, self._index.num_frames)
        if backend == "decord" and self._decord is None:
            raise ValueError(
                f"{self.path}: decord is not installed or not exact for this file; "
                "use backend='auto'"
            )
        self.backend: Literal["decord", "pyav"] = "pyav" if self._decord is None else "decord"

    def __len__(self) -> int:
        return self._index.num_frames

    def __enter__(self) -> "VideoReader":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return (
            f"VideoReader({str(self.path)!r}, {len(self)} frames, {self.width} x {self.height}, "
            f"{self.fps:.3g} fps, {self.backend})"
        )

    def __reduce__(self) -> tuple[type["VideoReader"], tuple[Path]]:
        return VideoReader, (self.path,)

    def close(self) -> None:
        """Let go of the file. The reader opens it again when needed."""
        self._decord = None

    def get_frames(self, indices: Sequence[int]) -> Frames:
        """Frames under these indices, in this order; doubles are allowed.

        Only what is asked for is decoded, and what the decoder needs to get there from the
        key frame before.

        Args:
            indices: Frame numbers, each in 0..len - 1.

        Shape:
            (N, H, W, 3) uint8, RGB.

        Raises:
            VideoError: An index lies outside the video, or decoding fails.
        """
        wanted = [int(i) for i in indices]
        for i in wanted:
            if not 0 <= i < len(self):
                raise VideoError(self.path, f"frame {i} asked for, it has 0 to {len(self) - 1}")
        if not wanted:
            return np.empty((0, self.height, self.width, 3), np.uint8)
        with self._lock:
            if self.backend == "decord":
                return self._get_decord(wanted)
            return _get_pyav(self.path, self._index, wanted)

    def _get_decord(self, wanted: list[int]) -> Frames:
        if self._decord is None:
            self._decord = _open_decord(self.path, self._index.num_frames)
        try:
            frames: Frames = self._decord.get_batch(wanted).asnumpy()
        except Exception as error:  # decord raises its own error type, known only where installed
            raise VideoError(self.path, f"decoding failed: {_one_line(error)}") from error
        return frames


def _one_line(error: BaseException) -> str:
    return (" ".join(str(error).split()) or type(error).__name__)[:200]


def _open_decord(path: Path, num_frames: int) -> Any:
    """A decord reader, or None where decord is missing or counts other frames than we do."""
    try:
        import decord
    except ImportError:
        return None
    try:
        reader = decord.VideoReader(str(path), num_threads=1)
    except Exception:  # decord's own error type; PyAV reads the file in its place
        return None
    return reader if len(reader) == num_frames else None


def _open_pyav(path: Path) -> tuple["InputContainer", "VideoStream"]:
    import av

    try:
        container = av.open(str(path))
    except (av.FFmpegError, ValueError, OSError) as error:
        raise VideoError(path, f"no video that can be opened: {_one_line(error)}") from error
    if not container.streams.video:
        kinds = ", ".join(sorted({str(stream.type) for stream in container.streams}))
        container.close()
        raise VideoError(path, f"no video stream, only {kinds or 'nothing'}")
    stream = container.streams.video[0]
    stream.thread_count = 1
    return container, stream


def _read_index(path: Path) -> _Index:
    import av

    if not path.is_file():
        raise VideoError(path, "no such file")
    if path.stat().st_size == 0:
        raise VideoError(path, "the file is empty")
    try:
        check_complete(path)
    except ContainerError as error:
        raise VideoError(path, str(error)) from error
    container, stream = _open_pyav(path)
    with container:
        try:
            return _index_of(path, container, stream)
        except av.FFmpegError as error:
            raise VideoError(path, f"corrupt: {_one_line(error)}") from error


def _index_of(path: Path, container: "InputContainer", stream: "VideoStream") -> _Index:
    kinds = set(container.format.name.split(","))
    context = stream.codec_context
    counted = context.name in _COUNTED_CODECS and bool(kinds & _COUNTED_CONTAINERS)
    shown: list[int] = []
    keys: list[int] = []
    num_packets = 0
    length_size = nal_length_size(context.name, context.extradata or b"")
    for packet in container.demux(stream):
        if packet.size == 0:
            continue
        num_packets += 1
        if packet.is_corrupt or not nal_units_fit(bytes(packet), length_size):
            raise VideoError(path, f"corrupt: packet {num_packets - 1} of the stream is damaged")
        if packet.pts is None or packet.is_discard:
            # Hidden by an edit list, or untimed: what is shown can't be told from packets.
            counted = False
        else:
            shown.append(packet.pts)
            if packet.is_keyframe:
                keys.append(packet.pts)
    if num_packets == 0:
        raise VideoError(path, "the video stream holds no frames")
    seekable = counted and len(set(shown)) == len(shown) and bool(keys)
    container.seek(0)
    first, num_frames = _first_and_count(path, container, stream, count_all=not seekable)
    if num_frames == 0 or first is None:
        raise VideoError(path, "corrupt: no frame can be decoded")
    rotation = int(first.rotation) % 360
    height, width = first.height, first.width
    if rotation in (90, 270):
        height, width = width, height
    rate = stream.average_rate or stream.guessed_rate
    return _Index(
        num_frames=len(shown) if seekable else num_frames,
        pts=tuple(sorted(shown)) if seekable else (),
        key_pts=tuple(sorted(keys)) if seekable else (),
        fps=float(rate) if rate else 25.0,
        height=height,
        width=width,
        rotation=rotation,
        decord=seekable
        and context.name == "h264"
        and bool(kinds & {"mov", "mp4"})
        and first.format.name == "yuv420p"
        and rotation == 0
        and min(shown) <= min(keys),
    )


def _first_and_count(
    path: Path, container: "InputContainer", stream: "VideoStream", *, count_all: bool
) -> tuple["VideoFrame | None", int]:
    """The first frame, and how many there are if all are to be counted (else 1)."""
    first, count = None, 0
    for frame in _decode(path, container, stream):
        if first is None:
            first = frame
        count += 1
        if not count_all:
            break
    return first, count


def _decode(
    path: Path, container: "InputContainer", stream: "VideoStream"
) -> Iterator["VideoFrame"]:
    import av

    try:
        for frame in container.decode(stream):
            if frame.is_corrupt:
                raise VideoError(path, f"corrupt: the frame at {frame.time} s is damaged")
            yield frame
    except av.FFmpegError as error:
        raise VideoError(path, f"corrupt: {_one_line(error)}") from error


def _to_rgb(frame: "VideoFrame", rotation: int) -> Frames:
    image = np.asarray(frame.to_ndarray(format="rgb24"), np.uint8)
    return np.rot90(image, rotation // 90) if rotation else image


def _get_pyav(path: Path, index: _Index, wanted: list[int]) -> Frames:
    out = np.empty((len(wanted), index.height, index.width, 3), np.uint8)
    places: dict[int, list[int]] = {}
    for place, i in enumerate(wanted):
        places.setdefault(i, []).append(place)
    container, stream = _open_pyav(path)
    with container:
        frames = _seek_frames if index.pts else _sequential_frames
        found = set()
        for i, frame in frames(path, container, stream, index, sorted(places)):
            out[places[i]] = _to_rgb(frame, index.rotation)
            found.add(i)
    if missing := sorted(set(places) - found):
        raise VideoError(
            path, f"corrupt: frame {missing[0]} of {index.num_frames} can't be decoded"
        )
    return out


def _sequential_frames(
    path: Path,
    container: "InputContainer",
    stream: "VideoStream",
    _index: _Index,
    wanted: list[int],
) -> Iterator[tuple[int, "VideoFrame"]]:
    left = set(wanted)
    for i, frame in enumerate(_decode(path, container, stream)):
        if i in left:
            left.remove(i)
            yield i, frame
        if not left:
            return


def _seek_frames(
    path: Path,
    container: "InputContainer",
    stream: "VideoStream",
    index: _Index,
    wanted: list[int],
) -> Iterator[tuple[int, "VideoFrame"]]:
    """Seek to the key frame before each run of wanted frames and decode from there."""
    number = {pts: i for i, pts in enumerate(index.pts)}

    def key_before(i: int) -> int:
        return bisect_right(index.key_pts, index.pts[i]) - 1

    position = 0
    while position < len(wanted):
        key = key_before(wanted[position])
        back = 0
        group = [wanted[position]]
        # Frames of the same group of pictures, or of one that decoding runs into anyway.
        while position + len(group) < len(wanted):
            following = wanted[position + len(group)]
            if key_before(following) > key and following - group[-1] > 12:
                break
            group.append(following)
        left = set(group)
        while left:
            start = key - back
            if start > 0:
                container.seek(index.key_pts[start], stream=stream, backward=True)
            else:
                container.seek(0)
            for frame in _decode(path, container, stream):
                i = number.get(frame.pts, -1) if frame.pts is not None else -1
                if i in left:
                    left.remove(i)
                    yield i, frame
                if not left or i > group[-1] + 32:
                    break
            if start <= 0:
                break
            # A key frame that decoding can't begin at (gradual refresh): go further back.
            back = key if back > 2 else back + 1
        position += len(group)
