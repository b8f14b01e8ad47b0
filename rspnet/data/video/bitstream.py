"""What a coded packet says about itself, read from a few of its bits without decoding it.

A container counts packets and flags some as key frames; a decoder gives frames, and can begin at
some of them. Whether the two agree stands in the packets:

* is it exactly one shown frame (VP9's hidden frames, MPEG-4's skipped ones, ... are not),
* can a decoder begin with it and give the same frames as one that began at the start.

Sources: ITU-T H.264 7.3 and D.1.8, H.265 7.3.1.2, ISO 14496-2 6.2.5, RFC 6386 9.1 (VP8), VP9
bitstream specification 6.2 and annex B.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

START_CODE = b"\x00\x00\x01"


@dataclass(frozen=True)
class PacketFacts:
    """What is known of a packet.

    Attributes:
        one_frame: It is exactly one shown frame.
        entry: A decoder can begin here, provided that the container flags it as a key frame.
        closed: Nothing that comes after this entry leans on what came before it.
        kind: ``I``, ``P`` or ``B`` where frame types decide the order of presentation (MPEG-4).
        plain: Nothing unusual was found, such as new stream headers within the stream.
        disposable: No other frame leans on it.
        frame_num: H.264's number of a frame, which skips no frame that others lean on; -1 if
            unknown.
    """

    one_frame: bool = True
    entry: bool = True
    closed: bool = False
    kind: str = ""
    plain: bool = True
    disposable: bool = False
    frame_num: int = -1


Inspector = Callable[[bytes], PacketFacts]
_NOTHING = PacketFacts(one_frame=False, entry=False, plain=False)


def packet_inspector(codec: str, headers: bytes) -> Inspector:
    """A function from a packet's bytes to its facts.

    Args:
        codec: FFmpeg's name of the codec (``h264``, ``vp9``, ...).
        headers: The stream's extradata.
    """
    if codec == "h264":
        num_bits = h264_frame_num_bits(headers)
        return lambda data: _h264(data, headers, num_bits)
    if codec == "hevc":
        return lambda data: _hevc(data, headers)
    if codec == "mpeg4":
        return _mpeg4
    if codec in ("mpeg1video", "mpeg2video"):
        return _mpeg2
    if codec == "vp8":
        return _vp8
    if codec == "vp9":
        return _vp9
    return lambda _: PacketFacts()


def nal_units(data: bytes, length_size: int) -> Iterator[bytes]:
    """Units of an H.264 or HEVC packet.

    Args:
        data: The packet.
        length_size: Bytes of the length before each unit, 0 for start codes in between.

    Raises:
        ValueError: The lengths don't add up to the packet.
    """
    if length_size == 0:
        position = data.find(START_CODE)
        while position >= 0:
            following = data.find(START_CODE, position + 3)
            yield data[position + 3 : following if following >= 0 else len(data)]
            position = following
        return
    position = 0
    while position < len(data):
        length = int.from_bytes(data[position : position + length_size], "big")
        position += length_size
        if length == 0 or position + length > len(data):
            raise ValueError("a unit is longer than its packet")
        yield data[position : position + length]
        position += length


def _h264(data: bytes, headers: bytes, num_bits: int) -> PacketFacts:
    configured = len(headers) > 4 and headers[0] == 1
    num_pictures, entry, closed, plain = 0, False, False, configured
    disposable, frame_num = True, -1
    try:
        for unit in nal_units(data, (headers[4] & 3) + 1 if configured else 0):
            kind = unit[0] & 31
            if kind in (1, 5):
                # first_mb_in_slice is 0: a single set bit
                num_pictures += len(unit) > 1 and unit[1] >> 7
                closed |= kind == 5
                disposable &= unit[0] >> 5 & 3 == 0  # nal_ref_idc
                if num_bits and frame_num < 0:
                    frame_num = _frame_num(unit, num_bits)
            elif kind == 6:
                entry |= _recovers_at_once(unit)
            elif kind == 7:
                plain &= unit in headers
            elif kind in (2, 3, 4):
                return _NOTHING
    except (ValueError, IndexError):
        return _NOTHING
    return PacketFacts(
        num_pictures == 1,
        entry or closed,
        closed,
        plain=plain,
        disposable=disposable,
        frame_num=frame_num,
    )


def _frame_num(unit: bytes, num_bits: int) -> int:
    # Digits, as this is done for each packet: _Bits takes four times as long.
    head = unit[1:10].replace(b"\x00\x00\x03", b"\x00\x00")
    bits = f"{int.from_bytes(head, 'big'):0{8 * len(head)}b}"
    position = 0
    for _ in range(3):  # first_mb_in_slice, slice_type, pic_parameter_set_id
        position = 2 * bits.index("1", position) - position + 1
    return int(bits[position : position + num_bits], 2)


def skips_frames(facts: Sequence[PacketFacts], num_bits: int) -> bool:
    """Whether frames that others lean on are missing, by H.264's numbers of frames."""
    before = 0
    for fact in facts:
        if fact.frame_num < 0:
            continue
        if not fact.closed and (fact.frame_num - before) % (1 << num_bits) > 1:
            return True
        if not fact.disposable:
            before = fact.frame_num
    return False


def _recovers_at_once(unit: bytes) -> bool:
    """Whether an SEI unit holds a recovery point with recovery_frame_cnt 0."""
    position = 1
    while position + 2 < len(unit):
        kind = size = 0
        while position < len(unit) and unit[position] == 255:
            kind, position = kind + 255, position + 1
        kind, position = kind + unit[position], position + 1
        while position < len(unit) and unit[position] == 255:
            size, position = size + 255, position + 1
        if position + 1 >= len(unit):
            return False
        size, position = size + unit[position], position + 1
        if kind == 6:
            return position < len(unit) and unit[position] >> 7 == 1
        position += size
    return False


def _hevc(data: bytes, headers: bytes) -> PacketFacts:
    configured = len(headers) > 22 and headers[0] == 1
    num_pictures, entry = 0, False
    try:
        for unit in nal_units(data, (headers[21] & 3) + 1 if configured else 0):
            kind, layer = unit[0] >> 1 & 63, (unit[0] & 1) << 5 | unit[1] >> 3
            if kind < 32 and layer == 0:
                num_pictures += len(unit) > 2 and unit[2] >> 7
                entry |= 16 <= kind <= 23
    except (ValueError, IndexError):
        return _NOTHING
    return PacketFacts(one_frame=num_pictures == 1, entry=entry)


def _mpeg4(data: bytes) -> PacketFacts:
    kinds = []
    position = data.find(START_CODE + b"\xb6")
    while 0 <= position < len(data) - 4:
        kinds.append("IPBS"[data[position + 4] >> 6])
        position = data.find(START_CODE + b"\xb6", position + 4)
    # Two in a packet: "packed" B-frames. A tiny one may be marked as not coded, and gives no frame.
    if len(kinds) != 1 or kinds[0] == "S" or len(data) < 20:
        return PacketFacts(one_frame=False, entry="I" in kinds[:1])
    return PacketFacts(entry=kinds[0] == "I", kind=kinds[0], disposable=kinds[0] == "B")


def _mpeg2(data: bytes) -> PacketFacts:
    picture = data.find(START_CODE + b"\x00")
    kind = data[picture + 5] >> 3 & 7 if 0 <= picture < len(data) - 5 else 0
    return PacketFacts(disposable=kind == 3)  # a B-picture


def _vp8(data: bytes) -> PacketFacts:
    return PacketFacts(one_frame=bool(data[0] & 16), entry=not data[0] & 1)


def _vp9(data: bytes) -> PacketFacts:
    if data[-1] & 0xE0 == 0xC0:  # a superframe: sizes of its frames stand at the end
        num_frames, size_bytes = (data[-1] & 7) + 1, (data[-1] >> 3 & 3) + 1
        index = data[-2 - num_frames * size_bytes : -1]
        if len(index) != 1 + num_frames * size_bytes or index[0] != data[-1]:
            return _NOTHING
        sizes = [
            int.from_bytes(index[1 + i * size_bytes : 1 + (i + 1) * size_bytes], "little")
            for i in range(num_frames)
        ]
        starts = [sum(sizes[:i]) for i in range(num_frames)]
        shown = [_vp9_shown(data[s : s + n]) for s, n in zip(starts, sizes, strict=True)]
        return PacketFacts(sum(shown) == 1, _vp9_key(data), _vp9_key(data))
    return PacketFacts(_vp9_shown(data), _vp9_key(data), _vp9_key(data))


def _vp9_bits(frame: bytes) -> tuple[int, int, int]:
    """show_existing_frame, non-key, show_frame."""
    # frame_marker (2 bits), profile (2), one reserved bit where the profile is 3, then these three
    shift = 0 if frame[0] >> 4 & 3 == 3 else 1
    bits = frame[0] >> shift
    return bits >> 2 & 1, bits >> 1 & 1, bits & 1


def _vp9_shown(frame: bytes) -> bool:
    if not frame:
        return False
    existing, _, shown = _vp9_bits(frame)
    return bool(existing or shown)


def _vp9_key(frame: bytes) -> bool:
    existing, non_key, _ = _vp9_bits(frame)
    return not existing and not non_key


class _Bits:
    """Reads bits and Exp-Golomb numbers."""

    def __init__(self, data: bytes) -> None:
        self._value = int.from_bytes(data, "big")
        self._left = len(data) * 8

    def read(self, num_bits: int) -> int:
        if num_bits > self._left:
            raise ValueError("no bits left")
        self._left -= num_bits
        return self._value >> self._left & ((1 << num_bits) - 1)

    def golomb(self) -> int:
        zeros = 0
        while self.read(1) == 0:
            zeros += 1
        return (1 << zeros) - 1 + self.read(zeros)


def h264_frame_num_bits(headers: bytes) -> int:
    """Bits of frame_num where an H.264 stream is plain, else 0.

    Plain: whole frames only, without gaps in their numbers. Not so for interlaced video, where a
    packet may be half a frame, and for streams that dropped frames on purpose. Headers that can't
    be read count as not plain.
    """
    if len(headers) < 8 or headers[0] != 1 or headers[5] & 31 != 1:
        return 0
    length = int.from_bytes(headers[6:8], "big")
    unit = headers[8 : 8 + length].replace(b"\x00\x00\x03", b"\x00\x00")
    try:
        return _sps_frame_num_bits(_Bits(unit[1:]))
    except ValueError:
        return 0


def _sps_frame_num_bits(bits: _Bits) -> int:
    profile = bits.read(8)
    bits.read(16)
    bits.golomb()
    if profile in (100, 110, 122, 244, 44, 83, 86, 118, 128, 138, 139, 134, 135):
        chroma = bits.golomb()
        if chroma == 3 and bits.read(1):  # three colour planes, each coded by itself
            return 0
        bits.golomb()
        bits.golomb()
        bits.read(1)
        if bits.read(1):  # scaling lists: rare, not worth reading
            return 0
    num_bits = bits.golomb() + 4
    order = bits.golomb()
    if order == 0:
        bits.golomb()
    elif order == 1:
        bits.read(1)
        bits.golomb()
        bits.golomb()
        for _ in range(bits.golomb()):
            bits.golomb()
    bits.golomb()
    gaps = bits.read(1)
    bits.golomb()
    bits.golomb()
    frames_only = bits.read(1)
    return num_bits if frames_only and not gaps else 0
