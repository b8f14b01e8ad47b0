"""Galleries of videos, and what can be said of a video before any model is loaded.

Nothing here imports torch: the page's controls and first frames stand before it is there.
"""

import csv
import io
import itertools
import os
import posixpath
import shutil
import time
import zipfile
import zlib
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from dashboard.base import limits
from dashboard.base.arguments import CHECKPOINTS, Arguments, cache_folder
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
# What the table of synthetic videos has, and what of it is no action.
_SYNTHETIC = ("action", "actor", "set", "index")
APPEARANCE = ("actor", "set", "prop")
FOLDER = "folder"
# The column that is a video's label where its table has several.
_FIRST = ("label", "class", "action")
MOST_LETTERS = 60
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
        label: Its action, the first label that its gallery's table gives, or its folder; or empty.
        title: What menus show.
        labels: All that is known of what it shows, such as ``("actor", "18")``: the columns of its
            gallery's table, and its folder.
    """

    path: Path
    name: str
    label: str
    title: str
    labels: tuple[tuple[str, str], ...] = ()

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
        passed_over: What else of its folder is not shown, or is wrong with its table, in words.
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
    rows, _ = _read_labels(folder)
    return len(rows) >= arguments.num_videos and all((folder / n).is_file() for n in rows)


def unpack_shipped(arguments: Arguments) -> bool:
    """Put the videos that ship where they would be generated, which takes twenty times as long.

    Returns:
        Whether they are there now: False where no such gallery ships, where a part of one was
        generated before, or where the files can't be written.
    """
    folder = synthetic_folder(arguments)
    archive = CHECKPOINTS / f"synthetic-{folder.name}.zip"
    if not archive.is_file() or folder.exists():
        return False
    place = folder.with_name(f".{folder.name}-{os.getpid()}")
    try:
        with zipfile.ZipFile(archive) as file:
            file.extractall(place)
        place.rename(folder)
    except (OSError, zipfile.BadZipFile):  # generating them says what is wrong with the folder
        shutil.rmtree(place, ignore_errors=True)
    return synthetic_is_complete(arguments)


def is_shipped(source: Source) -> bool:
    """Whether a gallery's videos are those that ship, byte by byte."""
    archive = CHECKPOINTS / f"synthetic-{source.root.name}.zip"
    if not archive.is_file():
        return False
    with zipfile.ZipFile(archive) as file:
        shipped = {i.filename: i.CRC for i in file.infolist() if i.filename != LABELS}
    names = {video.name: video.path for video in source.videos}
    return set(names) == set(shipped) and all(
        zlib.crc32(path.read_bytes()) == shipped[name] for name, path in names.items()
    )


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

    walk = VideoWalk(root, inside=True)
    rows, wrong = _read_labels(root)
    try:
        paths = [path for path in walk.videos() if path.is_file()]  # not a link to nowhere
    except ValueError:
        if not walk.links_out:
            raise
        paths = []
    videos = []
    skipped = [printable(link) for link in sorted(walk.links_out)]
    for path in paths:
        if path.is_symlink() and limits.leads_out(root, path):
            skipped.append(printable(os.path.relpath(path, root)))
            continue
        below = path.relative_to(root).as_posix()
        folder = label_of(path) if path.parent != root else ""
        videos.append(_described(path, below, folder, rows.get(below, {})))
    if not videos and skipped:
        raise ValueError(
            f"all that {printable(root)} holds are links that lead out of it, such as "
            f"{skipped[0]}: start the dashboard with the folder that they lead to"
        )
    over = "" if _is_synthetic(rows) else "; ".join(filter(None, (wrong, walk.sentence())))
    return Source(title, root, tuple(videos), tuple(skipped), over)


def _described(path: Path, below: str, folder: str, row: dict[str, str]) -> Video:
    """A video with what its folder and its row of the table say of it."""
    name = escape_bytes(below)
    if set(_SYNTHETIC) <= set(row):
        labels = {column: row[column] for column in ("action", *APPEARANCE) if row.get(column)}
        title = f"{row['action'].replace('_', ' ')} {row['index']}"
        title += f" (actor {row['actor']}, set {row['set']})"
        return Video(path, name, row["action"], title, tuple(labels.items()))
    labels = {column: value for column, value in row.items() if value}
    if folder:
        labels.setdefault(FOLDER, folder)
    label = next((labels[n] for n in (*_FIRST, FOLDER, *labels) if n in labels), "")
    return Video(path, name, label, name.removesuffix(path.suffix), tuple(labels.items()))


def _is_synthetic(rows: dict[str, dict[str, str]]) -> bool:
    return any(set(_SYNTHETIC) <= set(row) for row in rows.values())


def _read_labels(root: Path) -> tuple[dict[str, dict[str, str]], str]:
    """What the table of a folder says of each video, by its file, and what is wrong with it.

    The table is ``labels.csv``: one column, ``path`` or ``clip``, names the files relative to the
    folder; every other one is a label.
    """
    table = root / LABELS
    if not table.is_file():
        return {}, ""
    try:
        reader = csv.DictReader(io.StringIO(read_text(table)), restkey="", restval="")
        rows = list(reader)
    except (ValueError, csv.Error) as error:
        return {}, f"the table {LABELS} is not used: {printable(str(error))}"
    names = [name.strip() for name in reader.fieldnames or [] if name]
    key = next((name for name in ("path", "clip") if name in names), "")
    if not key or len(names) < 2:
        had = ", ".join(map(printable, names)) or "none"
        return {}, (
            f"the table {LABELS} is not used: expected a column path that names the videos and at "
            f"least one of labels, got the columns {had}"
        )
    found = {}
    for row in rows:
        cells = {n.strip(): v.strip() for n, v in row.items() if n and isinstance(v, str)}
        found[posixpath.normpath(cells.pop(key).replace("\\", "/"))] = {
            _show(name): _show(value) for name, value in cells.items()
        }
    return found, ""


def _show(text: str) -> str:
    """What a table says, for menus: one line, of 60 letters at most."""
    text = " ".join(printable(text).split())
    return text if len(text) <= MOST_LETTERS else f"{text[: MOST_LETTERS - 3]}..."


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
