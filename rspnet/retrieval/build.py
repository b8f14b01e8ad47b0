"""A gallery of a list of files, written while it is made: it can be stopped and resumed.

:func:`rspnet.retrieval.gallery.embed_videos` makes the same in memory. The folder is that of
:mod:`rspnet.retrieval.store`. Of the part that is in the making, what a stop leaves is kept as
``.begun.parquet``; it goes when the part is complete.
"""

import hashlib
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from pathlib import Path

from rspnet.files import folder_lock, label_of
from rspnet.models import Branch
from rspnet.retrieval.gallery import Gallery
from rspnet.retrieval.store import (
    Manifest,
    Protocol,
    clean_up,
    clear_folder,
    part_path,
    read_manifest,
    read_part,
    read_shard_header,
    write_manifest,
    write_part,
    write_unreadable,
)
from rspnet.retrieval.vectors import VideoRows, protocol_for

BEGUN = ".begun.parquet"
# What is done anew after the process was killed, at most. After a stop nothing is.
PART_SIZE = 64


def build_gallery(
    branch: Branch,
    paths: Sequence[str | Path],
    folder: str | Path,
    protocol: Protocol | None = None,
    *,
    is_stopped: Callable[[], bool] = lambda: False,
    on_video: Callable[[int], None] | None = None,
    check: Callable[[Path], None] = lambda _: None,
    lock: AbstractContextManager[object] | None = None,
    part_size: int = PART_SIZE,
) -> Gallery | None:
    """Embed videos into a folder, or resume where this was stopped.

    Vectors are those of :func:`rspnet.retrieval.gallery.embed_videos` to the bit, wherever it was
    stopped. A folder that holds the gallery of something else, or a damaged one, is made anew:
    other files (path, size, time of change), another order, model, protocol or ``part_size``.

    Args:
        branch: Query branch.
        paths: Video files; their folders' names are the labels.
        folder: Where the gallery is written.
        protocol: How; nothing for :func:`rspnet.retrieval.gallery.protocol_for` the branch.
        is_stopped: Called before every video. What was done until then is kept.
        on_video: Called with how many videos are done, those of an earlier start included.
        check: Called before a video is opened; its :class:`ValueError` is why it is skipped.
        lock: Held while one video is embedded, for a branch that others use as well.
        part_size: Videos in a file of the folder.

    Returns:
        The complete gallery; None if it was stopped.

    Raises:
        ValueError: None of the videos can be used, ``folder`` is a file or holds something other
            than a gallery, another process writes into it, or ``part_size`` is not positive.
    """
    if part_size < 1:
        raise ValueError(f"part_size is at least 1, got {part_size}")
    files, folder = [Path(path) for path in paths], Path(folder)
    manifest = Manifest(
        model="",
        model_hash=branch.hash,
        protocol=protocol or protocol_for(branch),
        classes=tuple(dict.fromkeys(map(label_of, files))),
        num_videos=len(files),
        videos_hash=_hash_of(files),
        shard_size=part_size,
    )
    if folder.exists() and not folder.is_dir():
        raise ValueError(f"{folder} is a file, a gallery is a folder: choose another name")
    with folder_lock(folder):
        manifest, done = _begin(folder, manifest), 0
        for number in range(manifest.num_shards):
            own = files[number * part_size : (number + 1) * part_size]
            mark = manifest.mark_of(number)
            if _is_whole(part_path(folder, number), mark if manifest.sealed else "", own):
                done += len(own)
                if on_video is not None:
                    on_video(done)
                continue
            rows = _begun(branch, folder, mark, own)
            for path in own[len(rows) :]:
                if is_stopped():
                    write_part(folder / BEGUN, rows.part(), mark)
                    return None
                with lock or nullcontext():
                    rows.add(branch, path, manifest.protocol, check)
                if on_video is not None:
                    on_video(done + len(rows))
            write_part(part_path(folder, number), rows.part(), mark)
            (folder / BEGUN).unlink(missing_ok=True)
            done += len(own)
        return _finish(folder, manifest)


def _hash_of(files: Iterable[Path]) -> str:
    digest = hashlib.sha256()
    for path in files:
        try:
            stat = path.stat()
            digest.update(repr((str(path), stat.st_mtime_ns, stat.st_size)).encode())
        except OSError:  # it is gone; embedding will say so
            digest.update(repr(str(path)).encode())
    return digest.hexdigest()


def _begin(folder: Path, manifest: Manifest) -> Manifest:
    """Leave the valid parts, and nothing else, in a folder that says what it will be."""
    try:
        old = read_manifest(folder)
        valid = not old.differences(manifest)
    except ValueError:
        valid = False
    if valid:
        manifest = replace(manifest, sealed=old.sealed)
    else:
        clear_folder(folder)
        (folder / BEGUN).unlink(missing_ok=True)
    clean_up(folder)
    write_manifest(folder, manifest)
    return manifest


def _is_whole(path: Path, mark: str, own: Sequence[Path]) -> bool:
    """Whether a part is there, undamaged, and the one of these videos."""
    try:
        read_part(path, mark, own)
    except ValueError:
        return False
    return True


def _begun(branch: Branch, folder: Path, mark: str, own: Sequence[Path]) -> VideoRows:
    """What an earlier start has left of a part."""
    rows = VideoRows(branch.num_features)
    try:
        part = read_part(folder / BEGUN, mark)
    except ValueError:
        return rows
    there = [*part.paths, *(path for path, _ in part.unreadable)]
    if sorted(there) == sorted(str(path) for path in own[: len(there)]):
        rows.take(part)
    return rows


def _finish(folder: Path, manifest: Manifest) -> Gallery:
    parts = [read_shard_header(part_path(folder, n)) for n in range(manifest.num_shards)]
    unreadable = [row for _, rows in parts for row in rows]
    if not sum(num for num, _ in parts):
        clear_folder(folder)  # what could be read another time is tried again
        reason = f"; the first: {unreadable[0][1]}" if unreadable else ""
        raise ValueError(f"none of {manifest.num_videos} videos can be embedded{reason}")
    write_unreadable(folder, unreadable)
    write_manifest(folder, replace(manifest, num_unreadable=len(unreadable), complete=True))
    return Gallery.load(folder)
