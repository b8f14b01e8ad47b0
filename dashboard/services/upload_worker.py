"""Decode one uploaded file in a process of its own: see :mod:`dashboard.services.uploads`.

``python -m dashboard.services.upload_worker LIMITS SOURCE TARGET`` writes a small H.264 copy of
SOURCE to TARGET and prints one line of JSON: what was written, or what is wrong with the file. A
file that makes the decoder run on, or take all memory, ends this process and nothing else.
"""

import contextlib
import json
import sys
from collections.abc import Iterator
from pathlib import Path

import av
import numpy as np

from dashboard.base.limits import Limits, duration
from rspnet.data.transforms import Frames, resize_short_side
from rspnet.data.video.encode import write_video
from rspnet.data.video.reader import VideoError, VideoReader

# On Windows the time on the wall, pixels and frames are limited all the same.
if sys.platform != "win32":
    import resource

# Formats that hold their frames themselves. Playlists and the like name other files to read.
FORMATS = "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,flv,ogg,asf,mpeg,mpegts"
KNOWN = "MP4, MOV, MKV, WebM, AVI, MPEG, OGV, FLV or WMV"
_DAMAGED = "it begins as a video does, but is damaged or cut off"
_CHUNK_BYTES = 48 * 2**20


def restrain(limits: Limits) -> None:
    """Give this process the limits that the system enforces, where there are such."""
    if sys.platform != "win32":
        _limit(resource.RLIMIT_CPU, max(1, round(limits.seconds)))
        _limit(resource.RLIMIT_FSIZE, limits.megabytes * 2**20)
        _limit(resource.RLIMIT_CORE, 0)
        statm = Path("/proc/self/statm")
        if statm.is_file():
            pages = int(statm.read_text().split()[0])
            _limit(resource.RLIMIT_AS, pages * resource.getpagesize() + limits.memory)


def _limit(what: int, value: int) -> None:
    if sys.platform != "win32":
        _, hard = resource.getrlimit(what)
        value = value if hard == resource.RLIM_INFINITY else min(value, hard)
        with contextlib.suppress(OSError, ValueError):  # macOS refuses some of them
            resource.setrlimit(what, (value, value))


def copy_small(source: Path, target: Path, limits: Limits) -> int:
    """Write a small copy of a video.

    Args:
        source: What was sent.
        target: ``*.mp4``.
        limits: What it may take.

    Returns:
        Its number of frames.

    Raises:
        ValueError: The file is no video, damaged, too short, too long or too large. The text goes
            on from the file's name: ``it has 1 frame, ...``.
    """
    _check_kind(source, limits)
    try:
        with VideoReader(source) as reader:
            num_frames = len(reader)
            if num_frames < limits.least_frames:
                raise ValueError(
                    f"it has {num_frames} {'frame' if num_frames == 1 else 'frames'}, and a clip "
                    f"of this model takes {limits.least_frames}"
                )
            if num_frames > limits.frames:
                raise ValueError(
                    f"it has {num_frames:,} frames ({duration(num_frames / reader.fps)}), at most "
                    f"{limits.frames:,} are taken "
                    f"({duration(limits.frames / reader.fps)} at its {reader.fps:.4g} frames per "
                    "second): cut out the part of interest"
                )
            _check_pixels(reader.width, reader.height, limits)
            frames = _small_frames(reader, limits.short_side)
            write_video(target, frames, reader.fps, preset="veryfast", gop=16)
    except VideoError as error:
        raise ValueError(f"it can't be decoded: {error.reason}") from error
    return num_frames


def _check_kind(source: Path, limits: Limits) -> None:
    """Check what the file is, whatever its name says."""
    options = {"format_whitelist": FORMATS, "protocol_whitelist": "file"}
    try:
        with av.open(str(source), options=options, metadata_errors="replace") as container:
            if not container.streams.video:
                only_sound = bool(container.streams.audio)
                raise ValueError("it has sound, but no pictures" if only_sound else _DAMAGED)
            stream = container.streams.video[0]
            _check_pixels(stream.codec_context.width, stream.codec_context.height, limits)
    except av.FFmpegError as error:
        with source.open("rb") as file:
            head = file.read(16)
        if _begins_as_video(head):
            raise ValueError(_DAMAGED) from error
        raise ValueError(
            f"it is no video, whatever its name says: expected {KNOWN}, checked by its content"
        ) from error


def _begins_as_video(head: bytes) -> bool:
    starts = (b"\x1a\x45\xdf\xa3", b"OggS", b"FLV", b"\x00\x00\x01\xba", b"\x30\x26\xb2\x75")
    is_riff = head[:4] == b"RIFF" and head[8:12] == b"AVI "
    return is_riff or head[4:8] in (b"ftyp", b"moov", b"mdat") or head.startswith(starts)


def _check_pixels(width: int, height: int, limits: Limits) -> None:
    if width * height > limits.pixels:
        raise ValueError(
            f"its frames have {width} x {height} pixels ({width * height / 1e6:.1f} million), at "
            f"most {limits.pixels / 1e6:.1f} million are taken (4K): make it smaller"
        )


def _small_frames(reader: VideoReader, short_side: int) -> Iterator[Frames]:
    step = max(1, min(64, _CHUNK_BYTES // (reader.height * reader.width * 3)))
    shrinks = min(reader.height, reader.width) > short_side
    for start in range(0, len(reader), step):
        frames = reader.get_frames(np.arange(start, min(start + step, len(reader))))
        yield from resize_short_side(frames, short_side) if shrinks else frames


def main(argv: list[str]) -> None:
    """Read limits and paths, copy, and print what came of it."""
    given, source, target = argv
    limits = Limits.from_argument(given)
    restrain(limits)
    said: dict[str, int | str]
    try:
        said = {"num_frames": copy_small(Path(source), Path(target), limits)}
    except MemoryError:
        said = {"error": f"it takes more than {limits.memory // 2**20:,} MB of memory to decode"}
    except (ValueError, av.FFmpegError, OSError) as error:
        said = {"error": str(error)}
    print(json.dumps(said), flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
