"""Features of a gallery's videos: made once for a model, kept in memory and on disk."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import streamlit as st

from analysis.figures.viewer.pictures import fit_height, jpeg
from dashboard.base import limits
from dashboard.base.arguments import cache_folder
from dashboard.services.galleries import Identity, Source, Video, decode, probe
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
    """

    key: str
    gallery: "Gallery"
    videos: tuple[Video, ...]
    places: dict[str, int]
    skipped: dict[str, str]

    @property
    def folder(self) -> "Path":
        """Where it is kept; ``--gallery`` of command lines."""
        # An upload that is the query is told by what follows the plus; it is kept nowhere.
        return _folder(self.key.partition("+")[0])


# What names them in caches: their vectors and weights are too large to be hashed.
HASHES: dict[str | type[object], Callable[[Any], object]] = {
    Pool: lambda pool: pool.key,
    Loaded: lambda loaded: loaded.query.hash,
    Source: lambda source: source.serial,
}


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


def skipped(key: str) -> tuple[tuple[Path, str], ...]:
    """Videos of an embedded gallery that could not be used, with reasons."""
    return embedded(key).skipped


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
