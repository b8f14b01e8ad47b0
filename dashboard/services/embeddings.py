"""Features of a gallery's videos: made once for a model, kept in memory and on disk."""

import contextlib
import hashlib
import os
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import streamlit as st

from analysis.figures.viewer.pictures import fit_height, jpeg
from dashboard.base import limits
from dashboard.base.arguments import CHECKPOINTS, cache_folder
from dashboard.services.galleries import (
    APPEARANCE,
    MOST_AT_ONCE,
    Identity,
    Source,
    Video,
    decode,
    is_shipped,
    probe,
)
from dashboard.services.jobs import Job, StoppedError, forget, start
from dashboard.services.models import Loaded

if TYPE_CHECKING:
    from rspnet.models import Branch
    from rspnet.retrieval.gallery import Gallery, Protocol

NUM_CLIPS = 4
FILM_FRAMES = 8
# Galleries in memory: one of 20,000 videos takes about 100 MB. The others wait on the disk.
MOST_HELD = 4
FILM_PIXELS = 144
# Of a frame: one that is 200 times as wide as high would make a strip of 200,000 pixels.
FILM_WIDTH = 512


@dataclass(frozen=True)
class Pool:
    """An embedded gallery with what the page knows of its videos.

    Attributes:
        key: Changes with model, protocol and videos.
        gallery: Vectors, with the labels that the page shows.
        videos: Of each row.
        places: Row of each name.
        skipped: Of each name that could not be embedded, why.
        columns: What is known of what the videos show: :func:`label_columns`.
        serial: Of the list of videos, see :class:`~dashboard.services.galleries.Source`: their
            labels can change while their vectors stay.
    """

    key: str
    gallery: "Gallery"
    videos: tuple[Video, ...]
    places: dict[str, int]
    skipped: dict[str, str]
    columns: dict[str, tuple[str, ...]] = field(default_factory=dict)
    serial: int = -1

    @property
    def folder(self) -> "Path":
        """Where it is kept; ``--gallery`` of command lines."""
        # What follows the plus, an upload or a choice of videos, is kept nowhere.
        return _folder(self.key.partition("+")[0])


# What names them in caches: their vectors and weights are too large to be hashed.
HASHES: dict[str | type[object], Callable[[Any], object]] = {
    Pool: lambda pool: (pool.key, pool.serial),
    Loaded: lambda loaded: loaded.query.hash,
    Source: lambda source: source.serial,
}


def label_columns(videos: Sequence[Video]) -> dict[str, tuple[str, ...]]:
    """By column a label each, empty where it is not known.

    Columns in which no two videos have one label, such as numbers, are skipped, unless there is
    nothing else. What is the label of most videos comes first.

    Example:
        >>> from pathlib import Path
        >>> rows = [(("set", "1"), ("folder", "walk")), (("set", "2"),), (("folder", "walk"),)]
        >>> label_columns([Video(Path(), "", "walk", "", row) for row in rows])
        {'folder': ('walk', '', 'walk')}
    """
    known = [dict(video.labels) for video in videos]
    names = list(dict.fromkeys(name for row in known for name in row))
    columns = {name: tuple(row.get(name, "") for row in known) for name in names}
    labels = [video.label for video in videos]

    def is_shared(values: tuple[str, ...]) -> bool:
        return any(value and num > 1 for value, num in Counter(values).items())

    def agrees(name: str) -> int:
        pairs = zip(columns[name], labels, strict=True)
        return -sum(value == label for value, label in pairs if label)

    kept = [name for name in names if name in APPEARANCE or is_shared(columns[name])]
    names = kept or names[:1]
    return {name: columns[name] for name in sorted(names, key=agrees)}


def in_common(pools: Sequence[Pool]) -> tuple[Pool, ...]:
    """Galleries of the videos that all models can use, in the order of the first.

    Args:
        pools: One list of videos by several models.
    """
    names = [v.name for v in pools[0].videos if all(v.name in one.places for one in pools)]
    if all(list(one.places) == names for one in pools):
        return tuple(pools)
    mark = hashlib.sha256(repr(names).encode()).hexdigest()[:8]
    found = []
    for one in pools:
        rows = [one.places[name] for name in names]
        found.append(
            replace(
                one,
                key=f"{one.key}+{mark}",
                gallery=one.gallery.take(rows),
                videos=tuple(one.videos[row] for row in rows),
                places={name: n for n, name in enumerate(names)},
                columns={c: tuple(v[row] for row in rows) for c, v in one.columns.items()},
            )
        )
    return tuple(found)


def embedded(key: str) -> "Gallery":
    """A gallery that was embedded; kept in memory while it is among those used last.

    Args:
        key: From :func:`embed`, whose job is done.

    Raises:
        ValueError: It is not there, or damaged.
    """
    return _read(_folder(key))


def _folder(key: str) -> Path:
    return cache_folder() / "galleries" / key


@st.cache_resource(max_entries=MOST_HELD, show_spinner=False)
def _read(folder: Path) -> "Gallery":
    from rspnet.retrieval.gallery import Gallery

    return Gallery.load(folder)


def protocol(branch: "Branch") -> "Protocol":
    """How the dashboard makes its vectors: fewer clips than for a table, and no loops."""
    from rspnet.retrieval.gallery import protocol_for

    return protocol_for(branch, num_clips=NUM_CLIPS, pooling="avg", short="refuse")


def key_of(source: Source, loaded: Loaded) -> str:
    """Name of a gallery's folder in the cache.

    It changes with the model, the protocol, the list of videos and with each of the files.
    """
    digest = hashlib.sha256(f"{loaded.query.hash} {protocol(loaded.query)}".encode())
    for video in source.videos:
        try:
            file = video.identity()
            digest.update(repr((str(file.path), file.changed, file.size)).encode())
        except ValueError:  # it is gone; embedding will say so
            digest.update(repr(video.path).encode())
    return digest.hexdigest()[:24]


def embed(source: Source, loaded: Loaded) -> tuple[str, Job]:
    """Begin to embed a gallery, resume it where it was stopped, or find that it was done.

    Returns:
        The gallery's key for :func:`embedded`, and the work in progress.
    """
    key = key_of(source, loaded)

    def work(job: Job) -> None:
        from rspnet.retrieval.build import build_gallery

        try:
            embedded(key)
        except ValueError:  # not made yet, not complete, or damaged: make it
            if _take_shipped(source, loaded, _folder(key)):
                job.done = job.total
                return
            made = build_gallery(
                loaded.query,
                [video.path for video in source.videos],
                _folder(key),
                protocol(loaded.query),
                is_stopped=lambda: job.is_stopping,
                on_video=lambda done: setattr(job, "done", done),
                check=limits.check,
                lock=loaded.lock,
            )
            if made is None:
                raise StoppedError from None

    job = start(("gallery", key), len(source.videos), work)
    done = job.finished.is_set() and not job.error and not job.stopped
    if done and not _folder(key).is_dir():  # it was done, and somebody emptied the cache since
        forget(("gallery", key))
        job = start(("gallery", key), len(source.videos), work)
    return key, job


def _take_shipped(source: Source, loaded: Loaded, folder: Path) -> bool:
    """Write the vectors that ship for these very videos by this very model, if there are such."""
    from rspnet.retrieval.gallery import Gallery

    if not source.videos or not is_shipped(source):
        return False
    for path in CHECKPOINTS.glob("*.gallery"):
        found = Gallery.load(path)
        if found.model_hash == loaded.query.hash and found.protocol == protocol(loaded.query):
            paths = tuple(source.root / name for name in found.paths)
            replace(found, paths=paths).save(folder)
            return True
    return False


def skipped(key: str) -> tuple[tuple[Path, str], ...]:
    """Videos of an embedded gallery that could not be used, with reasons."""
    return embedded(key).skipped


def make_films(videos: Sequence[Video]) -> None:
    """Make the films of several videos side by side; one that can't be read is left to `film`."""

    def make(video: Video) -> None:
        with contextlib.suppress(ValueError):
            film(video)

    with ThreadPoolExecutor(min(MOST_AT_ONCE, os.cpu_count() or 1), "film") as pool:
        list(pool.map(make, videos))


def film(video: Video) -> str:
    """Some frames of a video side by side, as a data URI.

    Raises:
        ValueError: The video can't be read.
    """
    return _film(video.identity(), probe(video).num_frames)


@st.cache_data(max_entries=1024, show_spinner=False)
def _film(video: Identity, num_frames: int) -> str:
    import numpy as np

    indices = np.linspace(0, num_frames - 1, min(FILM_FRAMES, num_frames)).astype(int)
    frames = fit_height(decode(video, tuple(int(i) for i in indices)), FILM_PIXELS, FILM_WIDTH)
    return jpeg(np.concatenate(list(frames), axis=1), quality=80)
