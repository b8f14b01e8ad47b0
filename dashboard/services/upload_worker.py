"""From a file that a visitor sends to its small copy, made by a process of its own.

:func:`convert` runs ``python -m dashboard.services.upload_worker LIMITS SOURCE TARGET``, which
writes a small H.264 copy of SOURCE to TARGET. It prints a line once it is ready, which starts the
clock, and then a line of JSON: what was written, or what is wrong with the file. A file that makes
the decoder run on, or take all memory, ends that process and nothing else. No torch: it would take
longer to import than most files to decode.
"""

import contextlib
import json
import math
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Self

import av

from dashboard.base.limits import MOST_PIXELS, duration
from dashboard.services.child import child
from rspnet.data.video.container import find_stream, open_container
from rspnet.data.video.encode import copy_frames, write_video
from rspnet.data.video.reader import VideoError, VideoReader

# Two at a time for all sessions together: more would only wait for the same cores.
_DECODERS = threading.BoundedSemaphore(2)
_QUEUE_SECONDS = 180.0
# For the interpreter to start, and for what a busy machine adds to the seconds of computing.
_START_SECONDS, _PATIENCE = 120.0, 3.0
_READY = "ready"

# On Windows the time on the wall, pixels and frames are limited all the same.
if sys.platform != "win32":
    import resource

# Formats that hold their frames themselves. Playlists and the like name other files to read.
FORMATS = (
    "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,flv,ogg,asf,mpeg,mpegts,mxf,nut,rm,dv,gif,apng,ivf,"
    "h261,h263,h264,hevc,vvc,vc1,m4v,mpegvideo,mjpeg,obu,yuv4mpegpipe"
)
KNOWN = "MP4, MOV, MKV, WebM, AVI, MPEG, TS, OGV, FLV, WMV, GIF or raw H.264"
_DAMAGED = "it begins as a video does, but is damaged or cut off"


@dataclass(frozen=True, kw_only=True)
class Limits:
    """What a file may take.

    Attributes:
        megabytes: Size of the file, MB (2**20 bytes).
        least_frames: Fewest frames that are of use.
        frames: Most frames.
        pixels: Most pixels of a frame.
        seconds: Of computing, to decode it and write the copy; of all cores together, from when
            the process is ready. Where others keep the machine busy it may take longer.
        memory: Bytes beyond what the decoding process takes when it begins.
        short_side: Of the copy, pixels, at most.
    """

    megabytes: int = 100
    least_frames: int = 2
    frames: int = 3000
    pixels: int = MOST_PIXELS
    seconds: float = 60.0
    memory: int = 1536 * 2**20
    short_side: int = 256

    def as_argument(self) -> str:
        """As the decoding process is given them."""
        return json.dumps(asdict(self))

    @classmethod
    def from_argument(cls, text: str) -> Self:
        """Read what :meth:`as_argument` wrote."""
        return cls(**json.loads(text))

    @property
    def sentence(self) -> str:
        """For people, before they choose a file."""
        return (
            f"up to {self.megabytes} MB, {self.frames:,} frames and 4K each; judged by content, "
            f"kept as a small copy (short side {self.short_side}) until you leave"
        )


def convert(source: Path, target: Path, limits: Limits) -> None:
    """Let the other process make the copy.

    Args:
        source: What was sent.
        target: ``*.mp4``.
        limits: What it may take.

    Raises:
        ValueError: It can't, or took more than it may; as :func:`copy_small` says it.
    """
    if not _DECODERS.acquire(timeout=_QUEUE_SECONDS):
        raise ValueError("others' files are being decoded; try again in a minute")
    try:
        said = _run(source, target, limits)
    finally:
        _DECODERS.release()
    if "error" in said:
        raise ValueError(str(said["error"]).rstrip("."))


def _run(source: Path, target: Path, limits: Limits) -> dict[str, object]:
    words = [limits.as_argument(), str(source), str(target)]
    threads = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
    with child(
        "dashboard.services.upload_worker",
        *words,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env=os.environ | threads,
    ) as process:
        assert process.stdout is not None
        with _ended_after(process, _START_SECONDS) as late:
            first = process.stdout.readline()
        if late.is_set():
            raise ValueError("the machine is too busy to decode it: try again in a minute")
        with _ended_after(process, _PATIENCE * limits.seconds) as late:
            lines = [first, *process.stdout.readlines()]
            process.wait()
    if late.is_set() or process.returncode == -getattr(signal, "SIGXCPU", 0):
        raise ValueError(
            f"it took more than {limits.seconds:g} s to decode: make it shorter or smaller"
        )
    with contextlib.suppress(ValueError, IndexError):
        said = json.loads(lines[-1])
        if isinstance(said, dict):
            return said
    raise ValueError(
        "the decoder gave up on it: it is damaged, or needs more memory or time than "
        f"{limits.memory // 2**20:,} MB and {limits.seconds:g} s"
    )


@contextlib.contextmanager
def _ended_after(process: "subprocess.Popen[bytes]", seconds: float) -> Iterator[threading.Event]:
    """Ends a process that the block still waits for after so many seconds; set if it did."""
    late = threading.Event()

    def end() -> None:
        late.set()
        process.kill()

    timer = threading.Timer(seconds, end)
    timer.start()
    try:
        yield late
    finally:
        timer.cancel()


def restrain(limits: Limits) -> None:
    """Give this process the limits that the system enforces, where there are such."""
    if sys.platform != "win32":
        # Whole seconds; the signal for more of them comes before the end for more still.
        seconds = math.ceil(time.process_time() + limits.seconds)
        _limit(resource.RLIMIT_CPU, seconds, seconds + 1)
        _limit(resource.RLIMIT_FSIZE, limits.megabytes * 2**20)
        _limit(resource.RLIMIT_CORE, 0)
        statm = Path("/proc/self/statm")
        if statm.is_file():
            pages = int(statm.read_text().split()[0])
            _limit(resource.RLIMIT_AS, pages * resource.getpagesize() + limits.memory)


def _limit(what: int, soft: int, hard: int | None = None) -> None:
    if sys.platform != "win32":
        _, most = resource.getrlimit(what)
        values = (soft, soft if hard is None else hard)
        if most != resource.RLIM_INFINITY:
            values = (min(values[0], most), min(values[1], most))
        with contextlib.suppress(OSError, ValueError):  # macOS refuses some of them
            resource.setrlimit(what, values)


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
    try:
        _check_kind(source, limits)
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
            frames = copy_frames(reader, limits.short_side)
            write_video(target, frames, reader.rate, preset="veryfast", gop=16)
    except VideoError as error:
        if isinstance(error.__cause__, MemoryError):
            raise error.__cause__ from error
        raise ValueError(f"it can't be decoded: {error.reason}") from error
    return num_frames


def _check_kind(source: Path, limits: Limits) -> None:
    """Check what the file is, whatever its name says."""
    options = {"format_whitelist": FORMATS, "protocol_whitelist": "file"}
    try:
        container = open_container(source, options)
    except VideoError as error:
        with source.open("rb") as file:
            head = file.read(16)
        if _begins_as_video(head):
            raise ValueError(_DAMAGED) from error
        raise ValueError(
            f"it is no video, whatever its name says: expected {KNOWN}, checked by its content"
        ) from error
    with container:
        if not container.streams.video:
            only_sound = bool(container.streams.audio)
            raise ValueError("it has sound, but no pictures" if only_sound else _DAMAGED)
        context = find_stream(source, container).codec_context
        _check_pixels(context.width, context.height, limits)


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


def main(argv: list[str]) -> None:
    """Read limits and paths, copy, and print what came of it."""
    given, source, target = argv
    limits = Limits.from_argument(given)
    restrain(limits)
    print(_READY, flush=True)
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
