"""The packets of a video stream, and the order in which they are shown.

Packets are read in the order of decoding. Frames are numbered in the order in which a sequential
decode gives them. The two are brought together by the container's presentation times where these
can be trusted, else by decoding the file once, without conversion to RGB.
"""

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from rspnet.data.video.bitstream import PacketFacts, h264_is_plain, packet_inspector
from rspnet.data.video.checks import VideoError
from rspnet.data.video.container import (
    decode_tagged,
    describe,
    find_stream,
    frame_rate,
    open_container,
)

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.video.frame import VideoFrame
    from av.video.stream import VideoStream

# Codecs whose packets tell whether each is one shown frame (see bitstream.py).
_READABLE = frozenset(["h264", "hevc", "vp8", "vp9", "av1", "mpeg4", "mjpeg"])
# Containers that hold a presentation time for each packet, or (AVI) frames in order of decoding.
_TIMED = frozenset(("mov", "matroska", "flv"))
# No codec reorders more frames than this.
_MAX_REORDER = 32

Integers = NDArray[np.int64]


@dataclass
class Packets:
    """What the packets of a stream and its container say, without decoding more than one frame.

    Attributes:
        containers: FFmpeg's names of the container.
        codec: FFmpeg's name of the codec.
        reorder_depth: By how many frames the decoder delays its output.
        plain: The stream's headers promise nothing unusual.
        fps: Average frames per second.
        num_video_streams: In the whole file.
        first: The first frame shown.
        places: Position of each packet in the file, in bytes; -1 if unknown.
        pts: Presentation time of each packet, in the stream's time base.
        dts: Decoding time of each packet.
        keys: Whether the container flags each packet as a key frame.
        discards: Whether the container says that each packet is not to be shown.
        facts: What each packet says about itself.
    """

    containers: frozenset[str]
    codec: str
    reorder_depth: int
    plain: bool
    fps: float
    num_video_streams: int
    first: "VideoFrame"
    places: list[int]
    pts: list[int | None]
    dts: list[int | None]
    keys: list[bool]
    discards: bool = False
    facts: list[PacketFacts] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.places)


def list_packets(path: Path, container: "InputContainer", stream: "VideoStream") -> Packets:
    """Read all packets; decode only until the first frame is there.

    Raises:
        VideoError: There is no packet, one is not whole, or there is no frame.
    """
    context = stream.codec_context
    codec = context.codec.canonical_name
    headers = context.extradata or b""
    inspect = packet_inspector(codec, headers)
    places: list[int] = []
    pts: list[int | None] = []
    dts: list[int | None] = []
    keys: list[bool] = []
    facts: list[PacketFacts] = []
    discards = False
    first: VideoFrame | None = None
    for packet in container.demux(stream):
        if first is None:  # the last packet, empty, makes the decoder give what it holds back
            first = next(iter(context.decode(packet)), None)
        if packet.size == 0:
            continue
        if packet.is_corrupt:
            raise VideoError(
                path, f"cut off or damaged: packet {len(pts)} of its video stream is not whole"
            )
        places.append(-1 if packet.pos is None else packet.pos)
        pts.append(packet.pts)
        dts.append(packet.dts)
        keys.append(packet.is_keyframe)
        facts.append(inspect(bytes(packet)))
        discards |= packet.is_discard
    if not places:
        raise VideoError(path, "its video stream holds no frames")
    if first is None:
        raise VideoError(path, "corrupt: not one frame of its video stream can be decoded")
    return Packets(
        containers=frozenset(container.format.name.split(",")),
        codec=codec,
        reorder_depth=int(context.reorder_depth),
        plain=h264_is_plain(headers) if codec == "h264" else True,
        fps=frame_rate(stream, [p for p in pts if p is not None]),
        num_video_streams=len(container.streams.video),
        first=first,
        places=places,
        pts=pts,
        dts=dts,
        keys=keys,
        discards=discards,
        facts=facts,
    )


def order_by_times(packets: Packets) -> Integers | None:
    """The number of the packet of each frame, from what the packets say; None if in doubt.

    A decoder ignores times: it reorders by what the coded frames say. So the times count
    only if the decoder's delay fits to the reordering that they ask for.
    """
    if (
        packets.codec not in _READABLE
        or packets.discards
        or not packets.plain
        or not packets.keys[0]
        or not all(f.one_frame and f.plain for f in packets.facts)
        or not packets.facts[0].entry
    ):
        return None
    if packets.codec == "mpeg4":
        by_kind = order_by_kind([f.kind for f in packets.facts], packets.reorder_depth)
        if "avi" in packets.containers:
            return by_kind
    elif packets.codec == "mjpeg" and "avi" in packets.containers:
        return np.arange(len(packets))
    if not packets.containers & _TIMED:
        return None
    times = [p for p in packets.pts if p is not None]
    if len(set(times)) < len(packets):
        return None
    order = np.argsort(np.array(times, np.int64))
    depth = reorder_depth(order)
    if packets.codec == "mpeg4":
        trusted = by_kind is not None and bool((by_kind == order).all())
    elif packets.codec in ("h264", "hevc"):
        trusted = 0 < depth <= packets.reorder_depth or depth == packets.reorder_depth == 0
    else:
        trusted = depth == 0
    return order if trusted and order[0] == 0 else None


def reorder_depth(order: Integers) -> int:
    """The largest number of packets that come before another one but are shown after it."""
    rank = np.argsort(order)
    overtaken = np.zeros(len(rank), np.int64)
    for lag in range(1, min(_MAX_REORDER, len(rank) - 1) + 1):
        overtaken[lag:] += rank[:-lag] > rank[lag:]
    return int(overtaken.max())


def order_by_kind(kinds: list[str], delay: int) -> Integers | None:
    """The order of MPEG-4 frames from their types: a B-frame overtakes the I or P before it.

    None if B-frames lack one of their two references, or the decoder does not expect any.
    """
    if "B" in kinds and (delay != 1 or "B" in kinds[:2]):
        return None
    order: list[int] = []
    held = 0
    for number, kind in enumerate(kinds[1:], start=1):
        if kind == "B":
            order.append(number)
        else:
            order.append(held)
            held = number
    return np.array([*order, held], np.int64)


def order_by_decoding(path: Path) -> tuple[Integers | None, int]:
    """Decode the whole file: the number of the packet of each frame, and the number of frames.

    No order if frames can't be told apart by packet.

    Raises:
        VideoError: A frame can't be decoded.
    """
    import av

    numbers: list[int | None] = []
    with open_container(path) as container:
        stream = find_stream(path, container)
        count = 0
        try:
            for packet in container.demux(stream):
                tagged = decode_tagged(stream.codec_context, packet, count)
                numbers += [number for number, _ in tagged]
                count += packet.size > 0
        except av.FFmpegError as error:
            raise VideoError(
                path, f"corrupt: decoding stops after {len(numbers)} frames: {describe(error)}"
            ) from error
    if not numbers:
        raise VideoError(path, "corrupt: not one frame of its video stream can be decoded")
    known = [n for n in numbers if n is not None]
    if len(set(known)) < len(numbers):
        return None, len(numbers)
    return np.array(known, np.int64), len(numbers)
