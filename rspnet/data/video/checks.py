"""Is the file whole? Reads a container's own book-keeping, without decoding anything."""

import struct
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from rspnet.files import printable

# Boxes that stand at the top of an ISO media file.
_BOXES = frozenset(
    b"ftyp moov mdat moof mfra free skip wide uuid meta udta styp sidx ssix emsg prft pdin".split()
)


class VideoError(ValueError):
    """A video can't be read. The message names the file (bytes shown escaped) and the reason.

    Attributes:
        path: The file.
        reason: What is wrong with it.

    Example:
        >>> from rspnet import VideoError, VideoReader
        >>> try:
        ...     VideoReader("nowhere.mp4")
        ... except VideoError as error:
        ...     print(error.path)
        nowhere.mp4
    """

    def __init__(self, path: str | Path, reason: str) -> None:
        super().__init__(f"{printable(path)}: {reason}")
        self.path = Path(path)
        self.reason = reason

    def __reduce__(self) -> tuple[type["VideoError"], tuple[Path, str]]:
        # Exceptions are pickled with their message alone; worker processes have to send this one.
        return type(self), (self.path, self.reason)


def damaged_frame(path: Path, number: int) -> VideoError:
    """The error of a frame that leans on damage."""
    return VideoError(
        path,
        f"corrupt: frame {number} can't be decoded as it was recorded, others may be whole; copy "
        "the file again",
    )


def describe(error: Exception) -> str:
    """FFmpeg's words, without the name of its function."""
    return str(getattr(error, "strerror", None) or error) or type(error).__name__


@contextmanager
def video_errors(path: Path) -> Iterator[None]:
    """Whatever a file makes FFmpeg, PyAV or this package raise inside becomes a VideoError."""
    try:
        yield
    except VideoError:
        raise
    except Exception as error:
        if isinstance(error, MemoryError) and not hasattr(error, "strerror"):
            raise  # of this process, not FFmpeg's of what a file claims
        raise VideoError(path, f"corrupt: {describe(error)}") from error


def check_file(path: Path) -> None:
    """Raise if there is no such file, or if its header promises more bytes than it has.

    Knows RIFF (AVI), ISO media (MP4, MOV), Matroska (MKV, WebM) and ASF (WMV). Other containers
    promise nothing, nor do live recordings: they are read as far as they go.

    Raises:
        VideoError: Missing, not a file, empty, not readable, or cut off.
    """
    try:
        if not path.exists():
            raise VideoError(path, "there is no such file")
        if not path.is_file():
            raise VideoError(path, "not a file")
        size = path.stat().st_size
        if size == 0:
            raise VideoError(path, "the file is empty (0 bytes)")
        with path.open("rb") as file:
            head = file.read(189)
            if head[:4] == b"RIFF" and head[8:12] == b"AVI ":
                _check_riff(path, file, size)
            elif head[4:8] in _BOXES:
                _check_boxes(path, file, size)
            elif head[:4] == b"\x1a\x45\xdf\xa3":
                _check_matroska(path, file, size)
            elif head[:4] == b"\x30\x26\xb2\x75":
                _check_asf(path, file, size)
    except OSError as error:
        raise VideoError(path, f"can't be read: {error.strerror or error}") from error


def _cut_off(path: Path, what: str, promised: int, size: int) -> VideoError:
    return VideoError(
        path, f"cut off: {what} promises {promised} bytes, the file has {size}; copy it again"
    )


def _check_riff(path: Path, file: BinaryIO, size: int) -> None:
    # Long AVIs are a row of RIFF chunks (OpenDML), each with its list of frames ("movi") and maybe
    # an index behind it. Only the list counts: some writers give RIFF chunks a wrong size. Size 0:
    # written to a pipe, promises nothing.
    position = 0
    while position + 12 <= size:
        file.seek(position)
        tag, length, kind = struct.unpack("<4sI4s", file.read(12))
        if tag not in (b"RIFF", b"LIST", b"JUNK", b"idx1") or length == 0:
            return
        if tag == b"RIFF":
            position += 12
            continue
        end = position + 8 + length
        if kind == b"movi" and end > size and length < 0xFFFFFFFF:
            raise _cut_off(path, "its list of frames", end, size)
        position = end + length % 2


def _check_boxes(path: Path, file: BinaryIO, size: int) -> None:
    position = 0
    found: set[bytes] = set()
    while position + 8 <= size:
        file.seek(position)
        length, tag = struct.unpack(">I4s", file.read(8))
        if length == 1:
            large = file.read(8)
            length = struct.unpack(">Q", large)[0] if len(large) == 8 else 16
        elif length == 0:
            length = size - position
        if length < 8 or tag not in _BOXES:
            break  # something else was appended to the file
        found.add(tag)
        position += length
        if position > size:
            raise _cut_off(path, f"its box {tag.decode('latin-1')!r}", position, size)
    if b"mdat" in found and b"moov" not in found:
        raise VideoError(
            path, "cut off: it has no 'moov' box, the table that says where the frames lie"
        )


def _vint(file: BinaryIO, *, keep_marker: bool) -> tuple[int, bool]:
    """Read an EBML number; also whether all its bits are set (a size that means: unknown)."""
    first = file.read(1)
    if not first or first[0] == 0:
        raise ValueError("no EBML number")
    length = 9 - first[0].bit_length()
    value = first[0] if keep_marker else first[0] & ((1 << (8 - length)) - 1)
    rest = file.read(length - 1)
    number = int.from_bytes(bytes([value]) + rest, "big")
    return number, number == (1 << (7 * length)) - 1


def _check_matroska(path: Path, file: BinaryIO, size: int) -> None:
    position = 0
    while position < size:
        file.seek(position)
        try:
            identifier, _ = _vint(file, keep_marker=True)
            length, unknown = _vint(file, keep_marker=False)
        except ValueError:
            return
        if unknown:  # a live recording ends where its recorder stopped
            return
        end = file.tell() + length
        if end > size:
            what = "its segment" if identifier == 0x18538067 else "an element"
            raise _cut_off(path, what, end, size)
        position = end


def check_flv(path: Path) -> None:
    """Raise if an FLV file that ends within a frame is shorter than its header promises.

    Without such an end the header is not believed: tools that edit a file leave it as it was.

    Raises:
        VideoError: It is cut off.
    """
    with path.open("rb") as file:
        _, found, after = file.read(4096).partition(b"filesize\x00")
    promised = struct.unpack(">d", after[:8])[0] if found and len(after) >= 8 else 0.0
    size = path.stat().st_size
    if size < promised < 1 << 60:
        raise _cut_off(path, "its header", int(promised), size)


def _check_asf(path: Path, file: BinaryIO, size: int) -> None:
    file.seek(0)
    header = file.read(65536)
    properties = header.find(bytes.fromhex("a1dcab8c47a9cf118ee400c00c205365"))
    field = header[properties + 40 : properties + 48]
    if properties >= 0 and len(field) == 8:
        promised = int.from_bytes(field, "little")
        if promised > size:
            raise _cut_off(path, "its header", promised, size)
