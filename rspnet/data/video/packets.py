"""The packets of a video stream, and the order in which they are shown.

Packets are read in the order of decoding. Frames are numbered in the order in which a sequential
decode gives them. The two are brought together by the container's presentation times where these
can be trusted, else by decoding the file once, without conversion to RGB. That also shows which
packets are damaged; :func:`leaning` tells which frames can't be had because of these.
"""

from collections.abc import Collection
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from rspnet.data.video.bitstream import (
    PacketFacts,
    h264_frame_num_bits,
    packet_inspector,
    skips_frames,
)
from rspnet.data.video.checks import VideoError
from rspnet.data.video.container import (
    decode_tagged,
    find_stream,
    has_gaps,
    open_container,
    pixel_aspect,
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
        plain: The stream's headers promise nothing unusual, and no frame is missing.
        pixel_aspect: Width of a stored pixel by its height.
        num_video_streams: In the whole file.
        first: The first frame shown.
        places: Position of each packet in the file, in bytes; -1 if unknown.
        pts: Presentation time of each packet, in the stream's time base.
        dts: Decoding time of each packet.
        keys: Whether the container flags each packet as a key frame.
        damaged: Packets that the container says are not whole.
        discards: Whether the container says that each packet is not to be shown.
        facts: What each packet says about itself.
    """

    containers: frozenset[str]
    codec: str
    reorder_depth: int
    plain: bool
    pixel_aspect: Fraction
    num_video_streams: int
    first: "VideoFrame"
    places: list[int]
    pts: list[int | None]
    dts: list[int | None]
    keys: list[bool]
    facts: list[PacketFacts]
    discards: bool = False
    damaged: list[int] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.places)

    def may_drop(self) -> bool:
        """Whether the decoder drops frames that lean on missing ones, and only a gap in time tells.

        H.264 numbers its frames; other decoders give what they can.
        """
        return self.codec == "hevc" or (
            self.codec == "mpeg4" and any(fact.kind == "B" for fact in self.facts)
        )

    def times(self) -> list[int]:
        """The distinct presentation times, or (AVI) decoding times, sorted."""
        times = self.dts if "avi" in self.containers else self.pts
        return sorted({time for time in times if time is not None})


def list_packets(path: Path, container: "InputContainer", stream: "VideoStream") -> Packets:
    """Read all packets; decode only until the first frame is there.

    Raises:
        VideoError: There is no packet, or no frame.
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
    damaged: list[int] = []
    discards = False
    first: VideoFrame | None = None
    for packet in container.demux(stream):
        if first is None:  # the last packet, empty, makes the decoder give what it holds back
            given = decode_tagged(context, packet, len(places))
            first = next((frame for _, frame in given if frame is not None), None)
        if packet.size == 0:
            continue
        if packet.is_corrupt:
            damaged.append(len(places))
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
    num_bits = h264_frame_num_bits(headers)
    return Packets(
        containers=frozenset(container.format.name.split(",")),
        codec=codec,
        reorder_depth=int(context.reorder_depth),
        plain=codec != "h264" or (num_bits > 0 and not skips_frames(facts, num_bits)),
        pixel_aspect=pixel_aspect(stream),
        num_video_streams=len(container.streams.video),
        first=first,
        places=places,
        pts=pts,
        dts=dts,
        keys=keys,
        facts=facts,
        discards=discards,
        damaged=damaged,
    )


def order_by_times(packets: Packets) -> Integers | None:
    """The number of the packet of each frame, from what the packets say; None if in doubt.

    A decoder ignores times: it reorders by what the coded frames say. So the times count
    only if the decoder's delay fits to the reordering that they ask for.
    """
    if (
        packets.codec not in _READABLE
        or packets.discards
        or packets.damaged
        or not packets.plain
        or not packets.keys[0]
        or not all(f.one_frame and f.plain for f in packets.facts)
        or not packets.facts[0].entry
        or (packets.may_drop() and has_gaps(packets.times()))
    ):
        return None
    if packets.codec == "mpeg4":
        by_kind = order_by_kind([f.kind for f in packets.facts], packets.reorder_depth)
        if "avi" in packets.containers:
            return by_kind
    elif packets.codec == "mjpeg" and "avi" in packets.containers:
        return np.arange(len(packets))
    times = packets.times()
    if not packets.containers & _TIMED or len(times) < len(packets):
        return None
    order = np.argsort(np.array(packets.pts, np.int64))
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


def order_by_decoding(path: Path) -> tuple[list[int], bool, set[int]]:
    """Decode the whole file, damaged packets too.

    Returns:
        The number of the packet of each frame; whether it is sure, and not just the last packet
        that the decoder got; and the numbers of the packets that can't be decoded as they were
        recorded.

    Raises:
        VideoError: Nothing can be decoded.
    """
    numbers: list[int] = []
    sure = True
    damaged: set[int] = set()
    with open_container(path) as container:
        stream = find_stream(path, container)
        count = 0
        for packet in container.demux(stream):
            for tag, frame in decode_tagged(stream.codec_context, packet, count):
                number = count if tag is None else tag
                sure &= tag is not None
                if frame is None or frame.is_corrupt:
                    damaged.add(number)
                if frame is not None:
                    numbers.append(number)
            count += packet.size > 0
    if not numbers:
        raise VideoError(path, "corrupt: not one frame of its video stream can be decoded")
    return numbers, sure and len(set(numbers)) == len(numbers), damaged


def damaged_packets(packets: Packets) -> set[int]:
    """Packets that are not whole, from what the container says of them."""
    if "mpegts" not in packets.containers:
        return set(packets.damaged)
    # FFmpeg flags the frame that ends where data is missing: it is the next one that lacks them.
    found = set()
    steps = np.diff([float("nan") if t is None else t for t in packets.dts])
    usual = float(np.nanmedian(steps)) if len(steps) and not np.isnan(steps).all() else 0.0
    for number in (n + 1 for n in packets.damaged):
        after = number + 1
        if after < len(packets) and not 0 <= steps[number] <= 50 * usual:
            # Two streams joined: nothing need be missing, but the second must begin with an entry.
            if not (packets.keys[after] and packets.facts[after].entry):
                found.add(after)
        else:
            found.add(number)
    return found


def entries_of(packets: Packets, frame_of: Integers, damaged: Collection[int]) -> list[int]:
    """Packets that decoding can begin at."""
    return [
        number
        for number in range(len(packets))
        if packets.keys[number]
        and packets.facts[number].entry
        and frame_of[number] >= 0
        and number not in damaged
    ]


def disposable_packets(packets: Packets) -> NDArray[np.bool_]:
    """Whether no other frame leans on each packet.

    Where the container misses data and frames are missing too, the damage may reach further.
    """
    known = not packets.damaged or not has_gaps(packets.times())
    return np.array([known and fact.disposable for fact in packets.facts], bool)


def entry_before(entries: Integers, frames: Integers, packet: int, number: int) -> int:
    """Row of the last entry from which a frame is decoded as it is from the start, or -1.

    A frame that is stored behind an entry but shown before it needs the entry before that.

    Args:
        entries: The packets that decoding can begin at.
        frames: Their frames.
        packet: The packet of the frame.
        number: The frame.
    """
    good = np.flatnonzero((entries <= packet) & (frames <= number))
    return int(good[-1]) if len(good) else -1


def leaning(
    begin: Integers, packet_of: Integers, damaged: Collection[int], disposable: NDArray[np.bool_]
) -> NDArray[np.bool_]:
    """Whether frames lean on damaged packets.

    Args:
        begin: The packet that decoding has to begin at for each frame.
        packet_of: The packet of each frame.
        damaged: Damaged packets.
        disposable: Whether no other frame leans on each packet.
    """
    spreading = np.array(sorted(d for d in damaged if d >= len(disposable) or not disposable[d]))
    before = np.searchsorted(spreading, begin, "left")
    until = np.searchsorted(spreading, packet_of, "right")
    return np.array((until > before) | np.isin(packet_of, list(damaged)), bool)
