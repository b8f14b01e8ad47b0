"""Galleries of videos, and what can be said of a video before any model is loaded.

Nothing here imports torch: the page's controls and first frames stand before it is there.
"""

import csv
import io
import itertools
import os
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from dashboard.base import limits
from dashboard.base.arguments import Arguments, cache_folder
from dashboard.base.memory import ArrayCache
from rspnet.data.synthetic.videos import video_name
from rspnet.files import label_of, printable
from rspnet.text import escape_bytes, read_text

Frames = NDArray[np.uint8]

GENERATED = "Synthetic videos"
OWN = "Your videos"
SYNTHETIC_SEED = 7
# What pages begin with where the gallery has it. By the shipped model, of the 24 videos of this
# seed it has the largest margin of RSP between clips at 2x, and the largest difference between the
# heads' similarities of a clip to itself at 2x (RSP 0.61, A-VID 0.88).
SYNTHETIC_EXAMPLE = f"dance/{video_name(SYNTHETIC_SEED, 12)}.mp4"
LABELS = "labels.csv"
SETTLED_NS = 2 * 10**9


class Identity(NamedTuple):
    """A file as a key for caches: another one under the same name is another file.

    Attributes:
        name: Its path, as bytes: not every name is UTF-8.
        changed: When it was changed, ns.
        size: Bytes.
    """

    name: bytes
    changed: int
    size: int

    @property
    def path(self) -> Path:
        """The file."""
        return Path(os.fsdecode(self.name))


@dataclass(frozen=True)
class Video:
    """A video of a gallery.

    Attributes:
        path: The file.
        name: Its path relative to the gallery, with slashes: what links and menus show. What of it
            is not UTF-8 is escaped, here and in label and title.
        label: Its action or folder, or empty.
        title: What menus show.
        appearance: What is known of what it shows apart from the action, such as
            ``("actor", "18")``: of synthetic videos.
    """

    path: Path
    name: str
    label: str
    title: str
    appearance: tuple[tuple[str, str], ...] = ()

    def identity(self) -> Identity:
        """What tells it from every other, also from another file under the same name.

        Raises:
            ValueError: The file is gone.
        """
        return identity(self.path)


@dataclass(frozen=True)
class VideoInfo:
    """Length and size of a video, in frames, frames per second and pixels.

    Attributes:
        pixel_aspect: Width of a pixel by its height: its frames are shown so much wider.
    """

    num_frames: int
    fps: float
    height: int
    width: int
    pixel_aspect: float = 1.0

    @property
    def shape(self) -> str:
        """Width by height of a frame as it is shown, for style sheets."""
        return f"{self.width * self.pixel_aspect:g} / {self.height}"


@dataclass(frozen=True)
class Source:
    """A gallery: a titled list of videos.

    Attributes:
        title: What the menu shows.
        root: Its folder.
        videos: Its videos, sorted by name.
        skipped: Links below its folder that lead out of it, relative to it.
        passed_over: What else of its folder is not shown, in words.
        serial: Tells lists from one another; a folder that has not changed keeps its list.
    """

    title: str
    root: Path
    videos: tuple[Video, ...]
    skipped: tuple[str, ...] = ()
    passed_over: str = ""
    serial: int = field(default_factory=itertools.count().__next__, compare=False)

    def find(self, name: str) -> Video | None:
        """The video of this name. Only members are found, whatever path the name spells."""
        return next((video for video in self.videos if video.name == name), None)


def identity(path: Path) -> Identity:
    """What tells a file from every other.

    Raises:
        ValueError: The file is gone.
    """
    try:
        stat = path.stat()
    except OSError as error:
        raise ValueError(f"{printable(path)}: no such file") from error
    return Identity(os.fsencode(path), stat.st_mtime_ns, stat.st_size)


def synthetic_folder(arguments: Arguments) -> Path:
    """Where the generated gallery lies. Its name holds what it was made from."""
    return cache_folder() / "synthetic" / f"seed{SYNTHETIC_SEED}-n{arguments.num_videos}"


def synthetic_is_complete(arguments: Arguments) -> bool:
    """Whether every synthetic video is there."""
    folder = synthetic_folder(arguments)
    rows = _read_labels(folder)
    return len(rows) >= arguments.num_videos and all((folder / n).is_file() for n in rows)


def open_source(title: str, arguments: Arguments) -> Source:
    """List a gallery's videos.

    Raises:
        ValueError: The folder does not exist or holds no video, or only links that lead out of it.
    """
    if title == OWN:
        assert arguments.videos is not None
        return _open_folder(OWN, arguments.videos)
    return _open_folder(GENERATED, synthetic_folder(arguments))


@dataclass
class _Held:
    """A gallery as it was listed last, and when its folders and its table had changed last."""

    source: Source | None = None
    changed: dict[Path, int] = field(default_factory=dict)


@st.cache_resource(max_entries=8, show_spinner=False)
def _held(title: str, root: bytes) -> _Held:
    return _Held()


def _changed(paths: Iterable[Path]) -> dict[Path, int]:
    """When each was changed, in ns; -1 for what is gone."""
    found = {}
    for path in paths:
        try:
            found[path] = path.stat().st_mtime_ns
        except OSError:
            found[path] = -1
    return found


def _open_folder(title: str, root: Path) -> Source:
    """List a folder; the list that is held while none of its folders has changed.

    Listing 20,000 videos takes seconds, and every page does it each time that it is drawn.
    """
    held = _held(title, os.fsencode(root))
    source, changed = held.source, held.changed
    if source is not None and changed == _changed(changed):
        return source
    started = time.time_ns()
    changed = _changed([root / LABELS, *(Path(folder) for folder, _, _ in os.walk(root))])
    source = _list_folder(title, root)
    # What changed a moment ago may change again without its time being another.
    if max(changed.values()) < started - SETTLED_NS:
        held.source, held.changed = source, changed
    return source


def _list_folder(title: str, root: Path) -> Source:
    from rspnet.data.listing import VideoWalk

    walk, rows = VideoWalk(root, inside=True), _read_labels(root)
    try:
        paths = [path for path in walk.videos() if path.is_file()]  # not a link to nowhere
    except ValueError:
        if not rows and not walk.links_out:
            raise
        paths = []
    if rows:
        paths = [root / name for name in sorted(rows) if (root / name).is_file()]
    videos = []
    skipped = [printable(link) for link in sorted(walk.links_out)]
    for path in paths:
        # Names in a table can have links and dots before the file, those of a listing can not.
        if (rows or path.is_symlink()) and limits.leads_out(root, path):
            skipped.append(printable(os.path.relpath(path, root)))
            continue
        below = path.relative_to(root).as_posix()
        name = escape_bytes(below)
        folder = label_of(path) if path.parent != root else ""
        known = rows.get(below, (folder, name.removesuffix(path.suffix), ()))
        videos.append(Video(path, name, *known))
    if not videos and skipped:
        raise ValueError(
            f"all that {printable(root)} holds are links that lead out of it, such as "
            f"{skipped[0]}: start the dashboard with the folder that they lead to"
        )
    over = "" if rows else walk.sentence()
    return Source(title, root, tuple(videos), tuple(skipped), over)


def _read_labels(root: Path) -> dict[str, tuple[str, str, tuple[tuple[str, str], ...]]]:
    """Action, title and appearance of each synthetic video of a folder, by its ``labels.csv``."""
    table = root / LABELS
    if not table.is_file():
        return {}
    rows = list(csv.DictReader(io.StringIO(read_text(table))))
    needed = ("path", "action", "actor", "set", "index")
    return {
        row["path"]: (
            row["action"],
            f"{row['action'].replace('_', ' ')} {row['index']}"
            f" (actor {row['actor']}, set {row['set']})",
            tuple((name, row[name]) for name in ("actor", "set", "prop") if row.get(name)),
        )
        for row in rows
        if all(row.get(column) for column in needed)
    }


def probe(video: Video) -> VideoInfo:
    """Length and size of a video.

    Raises:
        ValueError: It can't be read (:class:`rspnet.VideoError` says why), or it is gone.
    """
    return _probe(video.identity())


@st.cache_data(max_entries=4096, show_spinner=False)
def _probe(video: Identity) -> VideoInfo:
    from rspnet import VideoReader

    limits.check(video.path)
    with VideoReader(video.path) as reader:
        aspect = float(reader.sample_aspect_ratio)
        return VideoInfo(len(reader), reader.fps, reader.height, reader.width, aspect)


def pixel_aspect(path: str | Path) -> float:
    """Width by height of a video's pixels; 1 where it can't be read."""
    try:
        return _probe(identity(Path(path))).pixel_aspect
    except ValueError:
        return 1.0


# Sixteen frames of 4K, the most that is opened, take 400 MB.
MOST_HELD, MOST_AT_ONCE = 512 * 2**20, 4


@st.cache_resource(show_spinner=False)
def _frames() -> ArrayCache:
    return ArrayCache(MOST_HELD, MOST_AT_ONCE)


def decode(video: Identity, indices: tuple[int, ...]) -> Frames:
    """Frames of a video under these indices, (N, H, W, 3) uint8, as they are in the file.

    Raises:
        ValueError: They can't be decoded.
    """
    from rspnet import VideoReader

    def read() -> Frames:
        with VideoReader(video.path) as reader:
            return reader.get_frames(indices)

    return _frames().get((video, indices), read)
