"""Two decoders behind one method: the frames under sorted, distinct numbers."""

import warnings
from collections import deque
from collections.abc import Iterator, Sequence
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray

from rspnet.data.video.checks import VideoError, damaged_frame
from rspnet.data.video.container import decode_tagged, find_stream, open_container
from rspnet.data.video.index import VideoIndex
from rspnet.data.video.packets import entry_before, leaning, order_by_decoding
from rspnet.files import printable

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.packet import Packet
    from av.video.frame import VideoFrame
    from av.video.stream import VideoStream

Frames = NDArray[np.uint8]

# Decoding this many packets on costs less than a seek.
_NEAR = 8
# No codec holds back more frames than this.
_MAX_AHEAD = 32


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

        self._reader = decord.VideoReader(f"file:{path}", num_threads=1)

    def read(self, numbers: Sequence[int]) -> Frames:
        """Frames (N, H, W, 3) under these sorted, distinct numbers."""
        frames: Frames = self._reader.get_batch(list(numbers)).asnumpy()
        return frames

    def close(self) -> None:
        """Release the file."""
        del self._reader


def decord_differs(path: Path, index: VideoIndex) -> str:
    """How decord's table of a file differs from PyAV's; empty where it has the same times."""
    import decord

    try:
        theirs = decord.VideoReader(f"file:{path}", num_threads=1)
        given = theirs.get_frame_timestamp(range(len(theirs)))[:, 0]
    except Exception as error:  # of any class: it is other software's, of another FFmpeg
        return f"decord can't open it: {str(error).splitlines()[0][:100]}"
    if len(given) != index.num_frames:
        return f"decord counts {len(given)} frames"
    # Both count from their first frame. decord keeps times as float32.
    late = np.abs(given - given[0] - (index.times - index.times[0]))
    if (late >= np.diff(index.times, append=np.inf).min() / 2).any():
        return "decord takes its frames for those of other times"
    return ""


def decord_is_wrong(path: Path, index: VideoIndex) -> str:
    """How decord's frames differ from PyAV's, from some of them; empty where they are the same."""
    if order_by_decoding(path)[2]:
        return "damaged frames, of which decord says nothing"
    ours, theirs = PyAVDecoder(path, index), DecordDecoder(path, index)
    try:
        some = {round(i) for i in np.linspace(0, index.num_frames - 1, 8)}
        for numbers in [list(range(min(index.num_frames, 4))), *([i] for i in sorted(some)[::-1])]:
            expected, given = ours.read(numbers), theirs.read(numbers)
            if expected.shape != given.shape or (expected != given).any():
                return f"decord gives other frames for {numbers}"
    finally:
        ours.close()
        theirs.close()
    return ""


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
        self._ahead: deque[tuple[int, VideoFrame]] = deque()  # frames that the run gave too early
        self._damaged: set[int] = set()  # packets of this run that are not as they were recorded
        self._strange: set[int] = set()  # packets whose frames did not come in their turn
        self._scales = False  # the frame size changed, and that was said
        self._entry = -1  # row of the entry that the run began at, -1 for the start of the file
        self._fed = 0  # packets that the decoder has got or passed by
        self._shown: int | None = None  # last frame that the decoder gave, None if not running

    def close(self) -> None:
        """Release the file."""
        self._run = iter(())
        self._ahead.clear()
        self._container.close()

    def read(self, numbers: Sequence[int]) -> Frames:
        """Frames (N, H, W, 3) under these sorted, distinct numbers."""
        index = self._index
        out = np.empty((len(numbers), index.height, index.width, 3), np.uint8)
        entries = [self._entry_for(number) for number in numbers]
        begin = 0
        while begin < len(numbers):
            end = begin + 1
            while end < len(numbers) and entries[end] == entries[begin]:
                end += 1
            self._read_from(entries[begin], numbers[begin:end], out[begin:end])
            begin = end
        return out

    def _entry_for(self, number: int) -> int:
        """Row of the entry to begin at, or -1."""
        index = self._index
        if index.packet_of is None:
            return -1
        packet = int(index.packet_of[number])
        return entry_before(index.entries[:, 0], index.entries[:, 1], packet, number)

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
            raise VideoError(self._path, f"corrupt: frames {sorted(wanted)} can't be decoded")
        if self._index.packet_of is not None:
            self._check(self._index.packet_of, np.array(numbers))

    def _check(self, packet_of: NDArray[np.int64], numbers: NDArray[np.int64]) -> None:
        """Raise if frames lean on damage that the decoder has found in this run."""
        index, packets = self._index, packet_of[numbers]
        # Frames that these may lean on, though they are shown later, must have been decoded too.
        last = int(np.flatnonzero(packet_of <= packets.max())[-1])
        while len(self._ahead) < _MAX_AHEAD:
            given = self._ahead[-1][0] if self._ahead else self._shown
            item = next(self._run, None) if given is not None and given < last else None
            if item is None:
                break
            self._ahead.append(item)
        if not (self._damaged or self._strange):
            return
        # Not the run's entry: the run may have come from before that of these frames.
        rows = [self._entry_for(int(number)) for number in numbers]
        begin = np.array([int(index.entries[row, 0]) if row >= 0 else -1 for row in rows])
        found = leaning(begin, packets, self._damaged, index.disposable)
        found |= leaning(begin, packets, self._strange, np.zeros_like(index.disposable))
        if found.any():
            raise damaged_frame(self._path, int(numbers[found][0]))

    def _reaches(self, entry: int, number: int) -> bool:
        """Whether continuing reaches a frame, and sooner than a seek."""
        if self._shown is None or number <= self._shown or entry < self._entry:
            return False
        return entry < 0 or int(self._index.entries[entry, 0]) <= self._fed + _NEAR

    def _collect(self, wanted: dict[int, int], out: Frames) -> None:
        while wanted:
            item = self._ahead.popleft() if self._ahead else next(self._run, None)
            if item is None:
                self._shown = None
                return
            self._shown, frame = item
            slot = wanted.pop(self._shown, None)
            if slot is not None:
                self._convert(frame, out[slot])

    def _start(self, entry: int) -> None:
        """Begin a run of frames at an entry, or at the start of the file."""
        packets = self._seek(entry) if entry >= 0 else None
        if packets is None:
            self._container.close()
            self._container = open_container(self._path)
            self._stream = find_stream(self._path, self._container)
            packets, entry = self._container.demux(self._stream), -1
        self._entry, self._shown = entry, -1
        self._ahead.clear()
        self._damaged, self._strange = set(), set()
        self._fed = int(self._index.entries[entry, 0]) if entry >= 0 else 0
        order = self._index.packet_of
        self._run = self._count(packets) if order is None else self._follow(packets, order)

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
        self, packets: "Iterator[Packet[VideoStream]]", packet_of: NDArray[np.int64]
    ) -> "Iterator[tuple[int, VideoFrame]]":
        """Frames with their numbers, by packet."""
        first, frame_of = self._fed, self._index.frame_of
        entry_frame = int(self._index.entries[self._entry, 1]) if self._entry >= 0 else 0
        due = entry_frame
        for packet in packets:
            number = self._number(packet)
            if number < first:
                continue
            self._fed = number
            for tag, frame in decode_tagged(self._stream.codec_context, packet, number):
                if tag is None or tag >= len(frame_of) or frame_of[tag] < 0:
                    continue
                # Frames before an entry that was jumped to lack their references; nobody wants
                # them.
                if (frame is None or frame.is_corrupt) and frame_of[tag] >= entry_frame:
                    self._damaged.add(tag)
                if frame is None:
                    continue
                given = int(frame_of[tag])
                if given > due or entry_frame <= given < due:
                    missing = {int(p) for p in packet_of[due:given]} - self._damaged
                    if missing or given < due:  # the order of the times is not the decoder's
                        self._strange |= missing | {tag}
                due = max(due, given + 1)
                yield given, frame

    def _count(
        self, packets: "Iterator[Packet[VideoStream]]"
    ) -> "Iterator[tuple[int, VideoFrame]]":
        """Frames with their numbers, counted from the start of the file."""
        context = self._stream.codec_context
        frames = (frame for packet in packets for _, frame in decode_tagged(context, packet, 0))
        yield from enumerate(frame for frame in frames if frame is not None)

    def _convert(self, frame: "VideoFrame", out: Frames) -> None:
        """Convert to RGB as ``frame.to_ndarray(format="rgb24")`` does, and turn upright."""
        a, b, c, d = self._index.matrix
        height, width = out.shape[:2] if a else out.shape[1::-1]
        same = (frame.height, frame.width) == (height, width)
        if not (same or self._scales):
            self._scales = True
            warnings.warn(
                f"{printable(self._path)}: the frame size changes from {width} x {height} to "
                f"{frame.width} x {frame.height} pixels, all frames are scaled to the first size",
                stacklevel=2,
            )
        rgb = self._converter.reformat(
            frame,
            width,
            height,
            format="rgb24",
            interpolation=None if same else "BICUBIC", # as ffmpeg does
            threads=1,
        ).to_ndarray()  # fmt: skip
        if a == 0:
            rgb, a, d = rgb.transpose(1, 0, 2), c, b
        out[:] = rgb[::d, ::a]
