"""Two decoders behind one method: the frames under sorted, distinct numbers."""

from collections.abc import Iterator, Sequence
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray

from rspnet.data.video.checks import VideoError
from rspnet.data.video.container import decode_tagged, describe, find_stream, open_container
from rspnet.data.video.index import VideoIndex

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.packet import Packet
    from av.video.frame import VideoFrame
    from av.video.stream import VideoStream

Frames = NDArray[np.uint8]

# Decoding this many packets on costs less than a seek.
_NEAR = 8


class Decoder(Protocol):
    """Decodes frames of one open file."""

    def read(self, numbers: Sequence[int]) -> Frames:
        """Frames (N, H, W, 3) under these sorted, distinct numbers."""

    def close(self) -> None:
        """Release the file."""


class DecordDecoder:
    """decord, for files where it is exact."""

    def __init__(self, path: Path, index: VideoIndex) -> None:
        import decord

        self._path = path
        try:
            self._reader = decord.VideoReader(str(path), num_threads=1)
        except (decord.DECORDError, RuntimeError, UnicodeError) as error:
            raise VideoError(path, f"decord can't open it: {error}") from error
        if len(self._reader) != index.num_frames:
            raise VideoError(
                path, f"decord counts {len(self._reader)} frames instead of {index.num_frames}"
            )

    def read(self, numbers: Sequence[int]) -> Frames:
        """Frames (N, H, W, 3) under these sorted, distinct numbers."""
        import decord

        try:
            frames: Frames = self._reader.get_batch(list(numbers)).asnumpy()
        except (decord.DECORDError, RuntimeError) as error:
            raise VideoError(self._path, f"corrupt: {error}") from error
        return frames

    def close(self) -> None:
        """Release the file."""
        del self._reader


class PyAVDecoder:
    """PyAV: seeks to an entry before, decodes forward, converts only what is requested.

    It continues from where it stands if the requested frames lie close enough ahead.
    """

    def __init__(
        self, path: Path, index: VideoIndex, container: "InputContainer | None" = None
    ) -> None:
        from av.video.reformatter import VideoReformatter

        self._path = path
        self._index = index
        self._container = container or open_container(path)
        self._stream = find_stream(path, self._container)
        # One converter for all frames: a new one for each frame costs more than decoding it.
        self._converter = VideoReformatter()
        self._run: Iterator[tuple[int, VideoFrame]] = iter(())
        self._entry = -1  # row of the entry that the run began at, -1 for the start of the file
        self._fed = 0  # packets that the decoder has got or passed by
        self._shown: int | None = None  # last frame that the decoder gave, None if not running

    def close(self) -> None:
        """Release the file."""
        self._run = iter(())
        self._container.close()

    def read(self, numbers: Sequence[int]) -> Frames:
        """Frames (N, H, W, 3) under these sorted, distinct numbers."""
        import av

        index = self._index
        out = np.empty((len(numbers), index.height, index.width, 3), np.uint8)
        entries = [self._entry_for(number) for number in numbers]
        begin = 0
        try:
            while begin < len(numbers):
                end = begin + 1
                while end < len(numbers) and entries[end] == entries[begin]:
                    end += 1
                self._read_from(entries[begin], numbers[begin:end], out[begin:end])
                begin = end
        except av.FFmpegError as error:
            self._shown = None
            raise VideoError(self._path, f"corrupt: {describe(error)}") from error
        return out

    def _entry_for(self, number: int) -> int:
        """Row of the last entry from which a frame is decoded as it is from the start, or -1.

        A frame that is stored behind an entry but shown before it needs the entry before that.
        """
        index = self._index
        if index.packet_of is None:
            return -1
        packet = index.packet_of[number]
        good = np.flatnonzero((index.entries[:, 0] <= packet) & (index.entries[:, 1] <= number))
        return int(good[-1]) if len(good) else -1

    def _read_from(self, entry: int, numbers: Sequence[int], out: Frames) -> None:
        wanted = {number: slot for slot, number in enumerate(numbers)}
        if not self._reaches(entry, numbers[0]):
            self._start(entry)
        self._collect(wanted, out)
        if wanted and self._entry >= 0:
            # Not seen in any file yet; a decoder that needs more than one entry gets the whole.
            self._start(-1)
            self._collect(wanted, out)
        if wanted:
            self._shown = None
            raise VideoError(self._path, f"corrupt: frames {sorted(wanted)} can't be decoded")

    def _reaches(self, entry: int, number: int) -> bool:
        """Whether continuing reaches a frame, and sooner than a seek."""
        if self._shown is None or number <= self._shown or entry < self._entry:
            return False
        return entry < 0 or int(self._index.entries[entry, 0]) <= self._fed + _NEAR

    def _collect(self, wanted: dict[int, int], out: Frames) -> None:
        entry_frame = int(self._index.entries[self._entry, 1]) if self._entry >= 0 else 0
        for number, frame in self._run:
            self._shown = number
            # Frames before an entry that was jumped to lack their references; nobody wants them.
            if frame.is_corrupt and number >= entry_frame:
                raise VideoError(
                    self._path, f"corrupt: frame {number} is damaged, {min(wanted)} is requested"
                )
            slot = wanted.pop(number, None)
            if slot is not None:
                self._convert(frame, out[slot])
            if not wanted:
                return
        self._shown = None

    def _start(self, entry: int) -> None:
        """Begin a run of frames at an entry, or at the start of the file."""
        packets = self._seek(entry) if entry >= 0 else None
        if packets is None:
            self._container.close()
            self._container = open_container(self._path)
            self._stream = find_stream(self._path, self._container)
            packets, entry = self._container.demux(self._stream), -1
        self._entry, self._shown = entry, -1
        self._fed = int(self._index.entries[entry, 0]) if entry >= 0 else 0
        counted = self._index.packet_of is None
        self._run = self._count(packets) if counted else self._follow(packets)

    def _seek(self, entry: int) -> "Iterator[Packet[VideoStream]] | None":
        """Packets from an entry on, maybe with some before; None if the seek led behind it."""
        first, _, time = (int(v) for v in self._index.entries[entry])
        self._container.seek(time, stream=self._stream, backward=True)
        packets = self._container.demux(self._stream)
        packet = next(packets, None)
        if packet is None or self._number(packet) > first:
            return None
        return chain((packet,), packets)

    def _number(self, packet: "Packet[VideoStream]") -> int:
        """Which packet this is, counted in the order of decoding; past the last if unknown."""
        places = self._index.places
        place = -1 if packet.pos is None else packet.pos
        found = int(np.searchsorted(places, place))
        if found < len(places) and places[found] == place:
            return int(self._index.packet_at[found])
        return len(places)

    def _follow(
        self, packets: "Iterator[Packet[VideoStream]]"
    ) -> "Iterator[tuple[int, VideoFrame]]":
        """Frames with their numbers, by packet."""
        first, frame_of = self._fed, self._index.frame_of
        for packet in packets:
            number = self._number(packet)
            if number < first:
                continue
            self._fed = number
            for tag, frame in decode_tagged(self._stream.codec_context, packet, number):
                if tag is not None and tag < len(frame_of) and frame_of[tag] >= 0:
                    yield int(frame_of[tag]), frame

    def _count(
        self, packets: "Iterator[Packet[VideoStream]]"
    ) -> "Iterator[tuple[int, VideoFrame]]":
        """Frames with their numbers, counted from the start of the file."""
        frames = (frame for packet in packets for frame in packet.decode())
        yield from enumerate(frames)

    def _convert(self, frame: "VideoFrame", out: Frames) -> None:
        """Convert to RGB as ``frame.to_ndarray(format="rgb24")`` does, and turn upright."""
        rgb = self._converter.reformat(frame, format="rgb24", threads=1).to_ndarray()
        a, b, c, d = self._index.matrix
        if a == 0:
            rgb, a, d = rgb.transpose(1, 0, 2), c, b
        if rgb.shape != out.shape:
            raise VideoError(
                self._path, f"the frame size changes from {out.shape[:2]} to {rgb.shape[:2]}"
            )
        out[:] = rgb[::d, ::a]
