"""Videos that a visitor sends: checked and copied small by another process, gone with the session.

A file is judged by its content. Nothing of its name becomes a path: it is shown, as a title, and
that is all. What was sent is deleted as soon as its copy is made; the copies lie in a folder of
the session, which other sessions do not see and which is removed when the session or the app ends.
"""

import re
import secrets
import shutil
import tempfile
import weakref
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import IO, TYPE_CHECKING

import numpy as np
import streamlit as st

from dashboard.services import temporary
from dashboard.services.galleries import Source, Video
from dashboard.services.upload_worker import Limits, convert

if TYPE_CHECKING:
    from dashboard.services.embeddings import Pool
    from dashboard.services.models import Loaded
    from rspnet.retrieval.gallery import Gallery

MOST_FILES = 5
TITLE = "Your uploads"
_BLOCK = 2**20


@dataclass
class UploadStore:
    """The videos that one session sent.

    Attributes:
        videos: In the order they came.
        refused: Sentences about the files that came last and are not taken.
        galleries: Of each model's hash and each upload's name its vectors.
        joined: The gallery that an upload was last searched in.
    """

    videos: list[Video] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)
    galleries: "dict[tuple[str, str], Gallery]" = field(default_factory=dict)
    joined: "Pool | None" = None
    _folder: Path | None = None
    _end: "weakref.finalize[..., UploadStore] | None" = None

    def folder(self) -> Path:
        """Where the copies lie: made when first needed, for this user of the system alone."""
        if self._folder is None:
            self._folder = Path(tempfile.mkdtemp(dir=temporary.folder()))
            # Also when the app ends, or nothing holds this object any more.
            self._end = weakref.finalize(self, shutil.rmtree, self._folder, ignore_errors=True)
        return self._folder

    def add(self, name: str, file: IO[bytes], limits: Limits) -> Video:
        """Take a file.

        Args:
            name: What the visitor calls it; shown only.
            file: Its content.
            limits: What it may take.

        Raises:
            ValueError: It is not taken, and why, as a sentence that begins with its title.
        """
        title = title_of(name)
        if len(self.videos) >= MOST_FILES:
            raise ValueError(
                f'"{title}" is not taken: there are {MOST_FILES} uploads, the most at a time. '
                "Remove one first."
            )
        token = secrets.token_hex(6)
        target = self.folder() / f"upload-{token}.mp4"
        try:
            # Whatever a process that was stopped leaves behind goes with this folder.
            with tempfile.TemporaryDirectory(dir=self.folder()) as scratch:
                source, copy = Path(scratch) / "sent", Path(scratch) / "copy.mp4"
                _write(file, source, limits)
                convert(source, copy, limits)
                copy.replace(target)
        except ValueError as error:
            raise ValueError(f'"{title}" is not taken: {error}.') from error
        except OSError as error:
            raise ValueError(
                f'"{title}" is not taken: it can\'t be kept ({error.strerror}). Is the disk full?'
            ) from error
        video = Video(target, f"{TITLE}/{token}", "", self._untaken(title))
        self.videos.append(video)
        return video

    def _untaken(self, title: str) -> str:
        """What menus show: a number tells files of one name apart."""
        taken = {video.title for video in self.videos}
        shown = [f"{title} (yours)", *(f"{title} (yours, {n})" for n in range(2, MOST_FILES + 1))]
        return next(text for text in shown if text not in taken)

    def find(self, name: str) -> Video | None:
        """The upload of this name."""
        return next((video for video in self.videos if video.name == name), None)

    def remove(self, name: str) -> None:
        """Drop an upload and delete its copy."""
        for video in [video for video in self.videos if video.name == name]:
            self.videos.remove(video)
            self.joined = None
            self.galleries = {key: own for key, own in self.galleries.items() if key[1] != name}
            video.path.unlink(missing_ok=True)

    def close(self) -> None:
        """Delete all."""
        self.videos.clear()
        self._folder = None
        if self._end is not None:
            self._end()


def _close(store: UploadStore) -> None:
    store.close()


@st.cache_resource(scope="session", on_release=_close, show_spinner=False)
def store_of_session() -> UploadStore:
    """This session's uploads; closed when the session ends."""
    return UploadStore()


def is_upload(video: Video) -> bool:
    """Whether a video is an upload: a gallery's names end in a video's suffix, theirs do not."""
    return re.fullmatch(rf"{TITLE}/[0-9a-f]{{12}}", video.name) is not None


def with_query(pool: "Pool", loaded: "Loaded", name: str) -> "Pool":
    """A gallery with one upload as its last row, so that it can be the query.

    Args:
        pool: What is searched.
        loaded: Its model.
        name: Of the upload.

    Raises:
        ValueError: There is no such upload, or the model can't use it.
    """
    store = store_of_session()
    video = store.find(name)
    if video is None:
        raise ValueError("this upload is no longer there: send it again")
    key = f"{pool.key}+{name}"
    if store.joined is not None and store.joined.key == key:
        return store.joined
    found, own = pool.gallery, embedded(video, loaded)
    store.joined = replace(
        pool,
        key=key,
        gallery=replace(
            found,
            paths=(*found.paths, video.path),
            labels=(*found.labels, video.label),
            vectors={f: np.concatenate([found.vectors[f], own.vectors[f]]) for f in found.vectors},
            splits=(*found.splits, "") if found.splits else (),
            clip_starts=(*found.clip_starts, *own.clip_starts) if found.clip_starts else (),
        ),
        videos=(*pool.videos, video),
        places=pool.places | {name: len(pool.videos)},
    )
    return store.joined


def embedded(video: Video, loaded: "Loaded") -> "Gallery":
    """An upload as a gallery of one, by the protocol of all galleries; made once a session.

    Args:
        video: The upload.
        loaded: The model.

    Raises:
        ValueError: The model can't use it.
    """
    from dashboard.services.embeddings import protocol
    from rspnet.retrieval.gallery import embed_videos

    held = store_of_session().galleries
    key = (loaded.query.hash, video.name)
    if key not in held:
        held[key] = embed_videos(
            loaded.query, [video.path], protocol(loaded.query), progress=False, lock=loaded.lock
        )
    return held[key]


def beside(source: Source) -> Source:
    """A gallery's videos behind this session's own: what menus of clips list."""
    own = tuple(store_of_session().videos)
    return replace(source, videos=(*own, *source.videos)) if own else source


def title_of(name: str) -> str:
    """A visitor's file name as a title: letters, digits and a few signs, 40 at most."""
    stem = Path(name.replace("\\", "/")).stem
    plain = "".join(c if c.isalnum() or c in " -.,()" else " " for c in stem)
    plain = " ".join(plain.split())
    return (plain[:37] + "..." if len(plain) > 40 else plain) or "Untitled"


def _write(file: IO[bytes], path: Path, limits: Limits) -> None:
    size, most = 0, limits.megabytes * 2**20
    with path.open("xb") as out:
        while block := file.read(_BLOCK):
            size += len(block)
            if size > most:
                raise ValueError(f"it has more than {limits.megabytes} MB, the most that is taken")
            out.write(block)
    if size == 0:
        raise ValueError("it is empty (0 bytes)")
