"""Where frames come from: video files decoded on demand, or frames decoded once and kept.

Training from files decodes only the frames that a clip takes. For many passes over few videos a
:class:`FrameCache` decodes each once, to a small size, into one memory-mapped file.
"""

import hashlib
import json
import os
from collections.abc import Callable, Generator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from multiprocessing import get_context
from pathlib import Path
from typing import TypeVar

import numpy as np
from tqdm import tqdm

from rspnet.data.transforms import Frames, resize_short_side
from rspnet.files import atomic_path

T = TypeVar("T")
R = TypeVar("R")


@dataclass(frozen=True)
class FileSource:
    """A video file, opened anew for each clip."""

    path: Path
    num_frames: int
    fps: float

    def get_frames(self, indices: Sequence[int]) -> Frames:
        """Decode the frames under these indices, (N, H, W, 3) uint8."""
        from rspnet.data.video.reader import VideoReader

        with VideoReader(self.path) as reader:
            return reader.get_frames(indices)


@dataclass(frozen=True)
class CachedSource:
    """A video whose small frames lie in a memory-mapped file."""

    path: Path
    file: Path
    offset: int
    shape: tuple[int, int, int]
    fps: float

    @property
    def num_frames(self) -> int:
        """Frames of the video."""
        return self.shape[0]

    def get_frames(self, indices: Sequence[int]) -> Frames:
        """Read the frames under these indices, (N, H, W, 3) uint8."""
        frames = np.memmap(self.file, np.uint8, "r", self.offset, (*self.shape, 3))
        return np.asarray(frames[list(indices)])


Source = FileSource | CachedSource


@dataclass
class Scan:
    """What a scan of a list of videos found.

    Attributes:
        usable: Videos that can be trained on.
        unreadable: Paths with the reason why they can't be read.
        too_short: Paths of readable videos with fewer frames than are needed, with a sentence.
    """

    usable: list[Source] = field(default_factory=list)
    unreadable: list[tuple[Path, str]] = field(default_factory=list)
    too_short: list[tuple[Path, str]] = field(default_factory=list)


def _count_frames(path: Path) -> tuple[int, float, str]:
    from rspnet.data.video.reader import VideoError, VideoReader

    try:
        with VideoReader(path) as reader:
            return len(reader), reader.fps, ""
    except VideoError as error:
        return 0, 0.0, str(error)


def _decode_small(job: tuple[Path, Path, int]) -> tuple[tuple[int, int, int], float, str]:
    path, target, short_side = job
    from rspnet.data.video.reader import VideoError, VideoReader

    try:
        with VideoReader(path) as reader:
            frames = [
                resize_short_side(reader.get_frames(range(i, min(i + 64, len(reader)))), short_side)
                for i in range(0, len(reader), 64)
            ]
            fps = reader.fps
    except VideoError as error:
        return (0, 0, 0), 0.0, str(error)
    small = np.concatenate(frames)
    with target.open("wb") as file:
        file.write(small.tobytes())
    return small.shape[:3], fps, ""


def in_processes(
    function: Callable[[T], R], jobs: Sequence[T], num_workers: int
) -> Generator[R, None, None]:
    """The function's value for each job, in their order; few jobs stay in this process."""
    if num_workers < 2 or len(jobs) < 32:
        yield from map(function, jobs)
        return
    with ProcessPoolExecutor(num_workers, mp_context=get_context("spawn")) as pool:
        try:
            yield from pool.map(function, jobs, chunksize=8)
        finally:
            pool.shutdown(cancel_futures=True)


def _map(function: Callable[[T], R], jobs: Sequence[T], num_workers: int, what: str) -> list[R]:
    results = in_processes(function, jobs, num_workers)
    return list(tqdm(results, total=len(jobs), desc=what, unit="video", leave=False))


Needed = int | Callable[[float], int]


def _sort(scan: Scan, path: Path, num_frames: int, fps: float, reason: str, needed: Needed) -> bool:
    """Whether a video is usable. If not, it is listed with the reason."""
    if reason:
        scan.unreadable.append((path, reason))
        return False
    least = needed(fps) if callable(needed) else needed
    if num_frames < least:
        scan.too_short.append((path, f"{num_frames} frames, needs {least}"))
        return False
    return True


def scan_files(
    paths: Sequence[Path],
    needed: Needed,
    num_workers: int = 1,
    known: Mapping[Path, tuple[int, float, str]] | None = None,
) -> Scan:
    """Open every video once and count its frames.

    Args:
        paths: Video files.
        needed: Videos with fewer frames are too short; a number, or a function of the video's
            frames per second.
        num_workers: Processes.
        known: Frames, frames per second and reason of files that need not be opened, as
            :func:`rspnet.data.manifest.known_files` gives.
    """
    scan, found = Scan(), dict(known or {})
    new = [path for path in paths if path not in found]
    found |= zip(new, _map(_count_frames, new, num_workers, "Scanning"), strict=True)
    for path in paths:
        num_frames, fps, reason = found[path]
        if _sort(scan, path, num_frames, fps, reason, needed):
            scan.usable.append(FileSource(path, num_frames, fps))
    return scan


class FrameCache:
    """Small frames of a list of videos in one file, made at the first use and reused.

    The cache is keyed by the videos' paths, sizes and modification times and by the short side,
    so a changed video is never read stale.

    Args:
        folder: Where caches are kept.
        short_side: Height or width, whichever is less, in pixels.
    """

    def __init__(self, folder: str | Path, short_side: int) -> None:
        if short_side < 1:
            raise ValueError(f"short_side is a positive number of pixels, got {short_side}")
        self.folder = Path(folder)
        self.short_side = short_side

    def _key(self, paths: Sequence[Path]) -> str:
        digest = hashlib.sha256(f"v2 {self.short_side}".encode())
        for path in paths:
            stat = path.stat() if path.exists() else None
            identity = (stat.st_size, stat.st_mtime_ns) if stat else ()
            digest.update(os.fsencode(f"{path.resolve()} {identity}\n"))
        return digest.hexdigest()[:16]

    def scan(self, paths: Sequence[Path], needed: Needed, num_workers: int = 1) -> Scan:
        """Decode what is not in the cache yet; see :func:`scan_files`."""
        key = self._key(paths)
        data, index = self.folder / f"{key}.frames", self.folder / f"{key}.json"
        if not (index.is_file() and data.is_file()):
            self._build(paths, data, index, num_workers)
        scan, offset = Scan(), 0
        for path, (shape, fps, reason) in zip(paths, json.loads(index.read_text()), strict=True):
            num_frames, height, width = shape
            if _sort(scan, path, num_frames, fps, reason, needed):
                size = (num_frames, height, width)
                scan.usable.append(CachedSource(path, data, offset, size, fps))
            offset += num_frames * height * width * 3
        return scan

    def _build(self, paths: Sequence[Path], data: Path, index: Path, num_workers: int) -> None:
        with atomic_path(data) as temporary:
            parts = [temporary.with_name(f"{temporary.name}.{i}") for i in range(len(paths))]
            jobs = [(path, part, self.short_side) for path, part in zip(paths, parts, strict=True)]
            try:
                results = _map(_decode_small, jobs, num_workers, "Decoding into the cache")
                with temporary.open("wb") as file:
                    for part in parts:
                        if part.exists():
                            file.write(part.read_bytes())
                            part.unlink()
            finally:
                for part in parts:
                    part.unlink(missing_ok=True)
            with atomic_path(index) as temporary_index:
                temporary_index.write_text(json.dumps(results))
