"""Two decoders behind one method: frames under sorted, distinct indices."""

from collections.abc import Iterator, Sequence
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray

from rspnet.data._video.checks import VideoError
from rspnet.data._video.index import VideoIndex, describe, find_stream, open_container

if TYPE_CHECKING:
    from av.packet import Packet
    from av.video.frame import VideoFrame
    from av.video.stream import VideoStream

Frames = NDArray[np.uint8]


class Decoder(Protocol):
    """Decodes frames of one open file."""

    def read(self, indices: Sequence[int]) -> Frames:
        """Frames (N, H, W, 3) under these sorted, distinct indices."""

    def close(self) -> None:
        """Release the file."""


class DecordDecoder:
    """decord, for files where it is exact."""

    def __init__(self, path: Path, index: VideoIndex) -> None:
        import decord

        self._path = path
        try:
            self._reader = decord.VideoReader(str(path), num_threads=1)
        except (decord.DECORDError, RuntimeError) as error:
            raise VideoError(path, f"corrupt: decord can't open it: {error}") from error
        if len(self._reader) != index.num_frames:
            raise VideoError(
                path, f"decord counts {len(self._reader)} frames instead of {index.num_frames}"
            )

    def read(self, indices: Sequence[int]) -> Frames:
        import decord

        try:
            frames: Frames = self._reader.get_batch(list(indices)).asnumpy()
        except (decord.DECORDError, RuntimeError) as error:
            raise VideoError(self._path, f"corrupt: {error}") from error
        return frames

    def close(self) -> None:
        del self._reader


class PyAVDecoder:
    """PyAV: seeks to the key frame before, decodes forward, converts only what is asked for."""

    def __init__(self, path: Path, index: VideoIndex) -> None:
        from av.video.reformatter import VideoReformatter

        self._path = path
        self._index = index
        self._container = open_container(path)
        self._stream = find_stream(path, self._container)
        # One converter for all frames: a new one for each costs more than decoding.
        self._converter = VideoReformatter()

    def close(self) -> None:
        self._container.close()

    @property
    def _times(self) -> NDArray[np.int64]:
        assert self._index.pts is not None
        return self._index.pts

    def read(self, indices: Sequence[int]) -> Frames:
        import av

        out = np.empty((len(indices), self._index.height, self._index.width, 3), np.uint8)
        try:
            if self._index.pts is None:
                self._count(indices, out)
            else:
                self._seek(indices, out)
        except av.FFmpegError as error:
            raise VideoError(self._path, f"corrupt: {describe(error)}") from error
        return out

    def _count(self, indices: Sequence[int], out: Frames) -> None:
        """Decode from the start and count."""
        self._restart()
        wanted = {index: slot for slot, index in enumerate(indices)}
        for number, frame in enumerate(self._container.decode(self._stream)):
            if number in wanted:
                self._convert(frame, out[wanted[number]])
                if number == indices[-1]:
                    return
        raise VideoError(self._path, f"corrupt: frame {indices[-1]} can't be decoded")

    def _seek(self, indices: Sequence[int], out: Frames) -> None:
        start = 0
        keys = [self._key_before(i) for i in indices]
        while start < len(indices):
            # A run: indices that are decoded from one key frame on without jumping ahead.
            end = start + 1
            while end < len(indices) and keys[end] == keys[start]:
                end += 1
            wanted = {int(self._times[indices[slot]]): slot for slot in range(start, end)}
            self._run(keys[start], wanted, out)
            start = end

    def _key_before(self, frame: int) -> int:
        """Decode order of the last key frame from which a frame can be decoded.

        A frame shown before a key frame but stored after it (open GOP) needs the key frame before.
        """
        pts = int(self._times[frame])
        position = self._index.packets[pts]
        for key in range(len(self._index.key_pts) - 1, -1, -1):
            key_pts = int(self._index.key_pts[key])
            if key_pts <= pts and self._index.packets[key_pts] <= position:
                return key
        return 0

    def _run(self, key: int, wanted: dict[int, int], out: Frames) -> None:
        """Decode from a key frame on until all wanted presentation times are found."""
        order = self._index.packets
        first = order[int(self._index.key_pts[key])]
        left = dict(wanted)
        for packet in self._packets_from(key):
            if packet.pts is not None and order.get(packet.pts, first) < first:
                continue
            for frame in self._stream.codec_context.decode(packet):
                slot = None if frame.pts is None else left.pop(frame.pts, None)
                if slot is not None:
                    self._convert(frame, out[slot])
            if not left:
                return
        frames = sorted(int(np.searchsorted(self._times, pts)) for pts in left)
        raise VideoError(self._path, f"corrupt: frames {frames} can't be decoded")

    def _packets_from(self, key: int) -> "Iterator[Packet[VideoStream]]":
        """Packets from a key frame on, or from an earlier place where a seek can't do better."""
        order = self._index.packets
        first = order[int(self._index.key_pts[key])]
        while key > 0:
            time = int(self._index.key_dts[key])
            self._container.seek(time, stream=self._stream, backward=True)
            packets = self._container.demux(self._stream)
            packet = next(packets)
            if packet.pts is not None and order.get(packet.pts, first + 1) <= first:
                return chain((packet,), packets)
            key -= 1
        self._restart()
        return self._container.demux(self._stream)

    def _restart(self) -> None:
        self._container.close()
        self._container = open_container(self._path)
        self._stream = find_stream(self._path, self._container)

    def _convert(self, frame: "VideoFrame", out: Frames) -> None:
        """Convert to RGB as ``frame.to_ndarray(format="rgb24")`` does, and turn upright."""
        rgb = self._converter.reformat(frame, format="rgb24", threads=1).to_ndarray()
        a, b, c, d = self._index.matrix
        if a == 0:
            rgb, a, d = rgb.transpose(1, 0, 2), c, b
        rgb = rgb[::d, ::a]
        if rgb.shape != out.shape:
            raise VideoError(
                self._path, f"the frame size changes from {out.shape[:2]} to {rgb.shape[:2]}"
            )
        out[:] = rgb
