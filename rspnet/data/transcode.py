"""Videos for fast training: ``python -m rspnet.data.transcode IN_DIR OUT_DIR``.

Every video below IN_DIR becomes an H.264 MP4 in the same place below OUT_DIR, with a short side of
128 pixels (smaller ones keep their size), a key frame at least every 8 frames and no B-frames: a
clip from anywhere then costs a few frames to decode. All frames are kept, one to one, with
their average rate; rotation is applied, and pixels that are not square are made so; sound is
dropped. Both sides get even numbers of pixels.

Run again, it resumes: what is there and no older than its source is skipped. Videos that can't be
read, or whose copies can't be written, are listed in ``OUT_DIR/unreadable.csv``, the rest
continues.
"""

import errno
import json
import os
import signal
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from multiprocessing import get_context
from multiprocessing.synchronize import Event
from pathlib import Path

import cv2
from tqdm import tqdm

from rspnet.commands import run_cli
from rspnet.data.listing import list_videos
from rspnet.data.stores.fetch import StoreError
from rspnet.data.stores.pointers import root_path
from rspnet.data.transforms import Frames
from rspnet.data.video.encode import copy_frames, write_video
from rspnet.data.video.reader import VideoError, VideoReader
from rspnet.files import atomic_path, printable, user_path, write_skipped

CARD = "transcode.json"
UNREADABLE = "unreadable.csv"
VERSION = 2  # of what is written: raised whenever the same settings give other files
# The disk's errors, not the video's: going on would list every other video as unreadable.
_DISK_ERRORS = frozenset((errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EROFS))


@dataclass(frozen=True)
class TranscodeResult:
    """How many videos were written, skipped because they were there, and unreadable."""

    written: int
    skipped: int
    failed: int


@dataclass(frozen=True)
class _Job:
    source: Path
    target: Path
    short_side: int
    gop: int
    crf: int

    def is_done(self) -> bool:
        # Videos are renamed into place when whole.
        try:
            return self.target.stat().st_mtime_ns >= self.source.stat().st_mtime_ns
        except OSError:  # not there, or its name is too long
            return False


_stop: Event | None = None  # set in worker processes


class _StoppedError(Exception):
    """The parent process was interrupted."""


def _init_worker(stop: Event) -> None:
    # Ctrl-C reaches all processes; the parent alone decides, and the workers tidy up.
    global _stop
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    cv2.setNumThreads(1)
    _stop = stop


def _until_stopped(frames: Iterator[Frames]) -> Iterator[Frames]:
    for frame in frames:
        if _stop is not None and _stop.is_set():
            raise _StoppedError
        yield frame


def _transcode_one(job: _Job) -> str | None:
    """Write one video. Returns why it can't be read, nothing if it was written, None if stopped."""
    import av

    try:
        with VideoReader(job.source) as reader:
            frames = _until_stopped(copy_frames(reader, job.short_side))
            write_video(job.target, frames, reader.rate, crf=job.crf, gop=job.gop, num_b_frames=0)
    except _StoppedError:
        return None
    except StoreError:  # not the video's fault
        raise
    except VideoError as error:
        return error.reason
    except (ValueError, OSError, av.FFmpegError) as error:
        code, said = getattr(error, "errno", None), getattr(error, "strerror", None) or error
        if code in _DISK_ERRORS:
            raise OSError(code, said, str(job.target)) from None
        return f"its copy can't be written: {said}"
    return ""


def _run(jobs: Sequence[_Job], num_workers: int) -> Iterator[tuple[_Job, str]]:
    """Jobs with their outcome, in their order."""
    if num_workers < 2 or len(jobs) < 2:
        for job in jobs:
            yield job, _transcode_one(job) or ""
        return
    context = get_context("spawn")
    stop = context.Event()
    pool = ProcessPoolExecutor(
        min(num_workers, len(jobs)),
        mp_context=context,
        initializer=_init_worker,
        initargs=(stop,),
    )
    # Several at a time where there are very many: a future each would take memory.
    chunksize = max(1, min(8, len(jobs) // (64 * num_workers)))
    try:
        outcomes = pool.map(_transcode_one, jobs, chunksize=chunksize)
        for job, outcome in zip(jobs, outcomes, strict=True):
            yield job, outcome or ""
    except BrokenProcessPool as error:
        raise RuntimeError(
            "a process ended while it worked on a video (out of memory, or FFmpeg crashed): "
            "run again with --num_workers 1 to see which, what is done is kept"
        ) from error
    finally:
        # Also when interrupted: what is under way is dropped at its next chunk of frames.
        stop.set()
        pool.shutdown(wait=True, cancel_futures=True)


def transcode(
    source: str | Path,
    out: str | Path,
    *,
    short_side: int = 128,
    gop: int = 8,
    crf: int = 18,
    num_workers: int = 2,
    progress: bool = True,
) -> TranscodeResult:
    """Rewrite all videos below a folder for fast random access; see this module.

    Args:
        source: Folder of videos; or tar shards or a URL, of which there is a manifest
            (``python -m rspnet.data.manifest``).
        out: Folder for the copies, apart from ``source``. May hold part of them already.
        short_side: Height or width, whichever is less, in pixels; even.
        gop: Most frames from one key frame to the next.
        crf: Quality of x264, 0 (lossless) to 51.
        num_workers: Processes.
        progress: Show a progress bar.

    Returns:
        Numbers of videos written, skipped and failed.

    Raises:
        ValueError: A setting is out of range, there are no videos, one folder lies in the other,
            ``out`` was made with other settings or holds other videos, or two videos would get
            one name.
        OSError: The disk is full or can't be written to.
    """
    if short_side < 2 or short_side % 2:
        raise ValueError(f"short_side is a positive even number of pixels, got {short_side}")
    if gop < 1 or num_workers < 1:
        raise ValueError(f"gop and num_workers are positive, got {gop} and {num_workers}")
    if not 0 <= crf <= 51:
        raise ValueError(f"crf is between 0 and 51, got {crf}")
    source, out = root_path(source), user_path(out)
    here, there = source.resolve(), out.resolve()
    if here.is_relative_to(there) or there.is_relative_to(here):
        raise ValueError(f"{source} and {out}: one lies in the other, choose a folder apart")
    paths = list_videos(source, quiet=not progress)
    jobs = [
        _Job(path, target, short_side, gop, crf)
        for path, target in _targets(source, out, paths).items()
    ]
    settings = {"short_side": short_side, "gop": gop, "crf": crf}
    _write_card(out, {"version": VERSION, "source": str(here), **settings}, jobs)
    missing = [job for job in jobs if not job.is_done()]
    failures: list[tuple[Path, str]] = []
    bar = tqdm(
        total=len(jobs),
        initial=len(jobs) - len(missing),
        desc="Transcoding",
        unit="video",
        disable=not progress,
    )
    outcomes = _run(missing, num_workers)
    try:
        with bar:
            for job, reason in outcomes:
                if reason:
                    failures.append((job.source, reason))
                bar.update()
    finally:
        outcomes.close()  # type: ignore[attr-defined]  # at once, not when it is collected
        write_skipped(out, UNREADABLE, failures)
    num_skipped = len(jobs) - len(missing)
    return TranscodeResult(len(missing) - len(failures), num_skipped, len(failures))


def _targets(source: Path, out: Path, paths: Sequence[Path]) -> dict[Path, Path]:
    """Where each video goes."""
    targets: dict[Path, Path] = {}
    taken: dict[Path, Path] = {}
    for path in paths:
        target = out / path.relative_to(source).with_suffix(".mp4")
        if target in taken:
            raise ValueError(
                f"{taken[target]} and {path} would both become {target}: rename or remove one"
            )
        targets[path], taken[target] = target, path
    return targets


def _write_card(out: Path, mine: dict[str, int | str], jobs: Sequence[_Job]) -> None:
    """Write the settings, or compare them with those that the folder was made with."""
    if out.exists() and not out.is_dir():
        raise ValueError(f"{out} is a file, expected a folder")
    card = out / CARD
    if not card.is_file():
        # Unlike a path's own method, this takes a name that is too long.
        strange = next((job.target for job in jobs if os.path.exists(job.target)), None)  # noqa: PTH110
        if strange is not None:
            raise ValueError(
                f"{strange} is there, but no {card} that says how it was made: "
                "choose another folder or remove it"
            )
        with atomic_path(card) as temporary:
            temporary.write_text(json.dumps(mine, indent=2))
        return
    try:
        theirs = json.loads(card.read_text())
        differing = [key for key in mine if theirs.get(key) != mine[key]]
    except (ValueError, AttributeError) as error:
        raise ValueError(f"{card} can't be read: {error}. Choose another folder") from error
    if differing:
        there, wanted = ({key: d.get(key) for key in differing} for d in (theirs, mine))
        hint = " (or correct it there, if the folder was moved)" if differing == ["source"] else ""
        raise ValueError(
            f"{out} was made with {there}, requested is {wanted}: choose another folder or "
            f"remove this one{hint}"
        )


@dataclass(frozen=True, kw_only=True)
class TranscodeConfig:
    """Copies of videos that decode fast.

    Attributes:
        source: Folder of videos; or tar shards or a URL, of which there is a manifest
            (``python -m rspnet.data.manifest``).
        out: Folder for the copies.
        short_side: Height or width, whichever is less, in pixels; even.
        gop: Most frames from one key frame to the next.
        crf: Quality of x264, from 0 (lossless) to 51.
        num_workers: Processes that transcode.
    """

    source: str
    out: str
    short_side: int = 128
    gop: int = 8
    crf: int = 18
    num_workers: int = 2


def _run_config(config: TranscodeConfig) -> int:
    # A plain kill would leave the worker processes behind.
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        result = transcode(**vars(config))
    except RuntimeError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    finally:
        signal.signal(signal.SIGTERM, before)
    out = user_path(config.out)
    listed = f" (see {printable(out / UNREADABLE)})" if result.failed else ""
    print(
        f"{printable(out)}: {result.written} written, {result.skipped} there already, "
        f"{result.failed} unreadable{listed}"
    )
    return 0 if result.written + result.skipped else 1


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line. Returns the exit status."""
    return run_cli(
        TranscodeConfig,
        _run_config,
        arguments,
        prog="python -m rspnet.data.transcode",
        description="Rewrite videos small and with many key frames, for fast random access.",
        examples=("python -m rspnet.data.transcode VIDEOS SMALL --short_side 144",),
        positional=("source", "out"),
        out="folder",
        resumes=True,
    )


if __name__ == "__main__":
    sys.exit(main())
