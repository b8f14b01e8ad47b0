"""Whether a video file is whole, seen from its outer structure, without decoding.

FFmpeg reads a file that was cut off up to its end without a word. The containers AVI, MP4 and
Matroska tell how many bytes there should be, and H.264 and H.265 packets how long each of their
units is.
"""

from pathlib import Path
from typing import BinaryIO


class ContainerError(ValueError):
    """The file ends before its header says."""


def check_complete(path: Path) -> None:
    """Compare the file's size with what its container promises.

    Raises:
        ContainerError: The file is cut off.
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        start = file.read(12)
        if start[:4] == b"RIFF" and start[8:12] == b"AVI ":
            _check_size(8 + int.from_bytes(start[4:8], "little"), size, "RIFF header")
        elif start[4:8] in (b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip"):
            _check_boxes(file, size)
        elif start[:4] == b"\x1a\x45\xdf\xa3":
            _check_matroska(file, size)


def _check_size(promised: int, size: int, what: str) -> None:
    if promised > size:
        raise ContainerError(f"cut off: its {what} promises {promised} bytes, the file has {size}")


def _check_boxes(file: BinaryIO, size: int) -> None:
    """Walk the top-level boxes of MP4 or MOV."""
    position, names = 0, set()
    while position + 8 <= size:
        file.seek(position)
        header = file.read(16)
        length, name = int.from_bytes(header[:4], "big"), header[4:8]
        if length == 1:
            length = int.from_bytes(header[8:16], "big")
        if length == 0:  # reaches to the end of the file
            names.add(name)
            break
        if length < 8 or not all(32 <= byte < 127 or byte == 169 for byte in name):
            break  # padding after the last box
        names.add(name)
        _check_size(position + length, size, f"box {name.decode('latin-1')!r}")
        position += length
    if b"mdat" in names and b"moov" not in names and b"moof" not in names:
        raise ContainerError("cut off: it has media data (mdat) but no index (moov)")


def _read_vint(file: BinaryIO, *, keep_marker: bool) -> tuple[int, bool]:
    """An EBML variable-length integer, and whether it means "unknown"."""
    first = file.read(1)
    if not first or first[0] == 0:
        return 0, True
    length = 9 - first[0].bit_length()
    value = first[0] if keep_marker else first[0] & ((1 << (8 - length)) - 1)
    rest = file.read(length - 1)
    value = (value << (8 * (length - 1))) | int.from_bytes(rest, "big")
    return value, not keep_marker and value == (1 << (7 * length)) - 1


def _check_matroska(file: BinaryIO, size: int) -> None:
    """Compare the Segment's size; live streams leave it unknown."""
    file.seek(0)
    for _ in range(2):  # the EBML header, then the Segment
        name, _ = _read_vint(file, keep_marker=True)
        length, unknown = _read_vint(file, keep_marker=False)
        if name == 0x18538067:
            if not unknown:
                _check_size(file.tell() + length, size, "Segment")
            return
        file.seek(length, 1)


def nal_length_size(codec: str, extradata: bytes) -> int:
    """Bytes of the length before each NAL unit, or 0 where units are not stored with lengths."""
    if codec == "h264" and len(extradata) > 6 and extradata[0] == 1:
        return (extradata[4] & 3) + 1
    if codec == "hevc" and len(extradata) > 22 and extradata[0] == 1:
        return (extradata[21] & 3) + 1
    return 0


def nal_units_fit(packet: bytes, length_size: int) -> bool:
    """Whether the NAL units of a packet fill it exactly; True where there is nothing to check."""
    if length_size == 0:
        return True
    position = 0
    while position + length_size <= len(packet):
        length = int.from_bytes(packet[position : position + length_size], "big")
        position += length_size + length
    return position == len(packet)
