"""Which files are videos: one walk for all commands, and what is named on the command line.

A file counts by its suffix, in any case of letters. Links are followed, each folder once, so that
circles end. Hidden files and folders, and what file servers and archives put beside videos
(``@eaDir``, ``__MACOSX``), are never videos nor classes. What else is passed over is counted, and
:meth:`VideoWalk.sentence` says it.
"""

import os
import re
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

from tqdm import tqdm

from rspnet.files import printable, user_path
from rspnet.text import read_text

# What VideoReader reads: containers, then raw streams.
_SUFFIXES = """
    .3g2 .3gp .apng .asf .avi .dav .divx .dv .evo .f4v .flv .gif .gxf .ismv .ivf .m2p .m2t .m2ts
    .m4v .mk3d .mkv .mod .mov .mp4 .mp4v .mpe .mpeg .mpg .mts .mxf .nut .ogm .ogv .ogx .qt .rm
    .rmvb .tod .tp .trp .ts .vob .vro .webm .wmv .wtv .xvid .y4m
    .264 .265 .avc .h261 .h263 .h264 .h265 .hevc .m1v .m2v .mjpeg .mjpg .mpv .obu
"""
VIDEO_SUFFIXES = frozenset(_SUFFIXES.split())
# What data sets come in. Where two files of one name are there, the other is a preview or a part.
_COMMON = frozenset(
    [".avi", ".flv", ".m4v", ".mkv", ".mov", ".mp4", ".mpeg", ".mpg", ".ogv", ".webm", ".wmv"]
)
_NEVER = frozenset(
    ("@eadir", "__macosx", "#recycle", "@recycle", "$recycle.bin", "lost+found",
     "system volume information", "thumbs.db", "desktop.ini")
)  # fmt: skip
# What the programs of this project write beside videos.
_OWN = frozenset(("labels.csv", "manifest.parquet", "transcode.json", "unreadable.csv"))
_MOST_NAMED = 5


def is_video(name: str) -> bool:
    """Whether a file's name is that of a video, by its suffix."""
    # A path object for each of 240,000 names is slow.
    return os.path.splitext(name)[1].lower() in VIDEO_SUFFIXES and not is_hidden(name)  # noqa: PTH122


def is_common(name: str) -> bool:
    """Whether a video is in a container that data sets come in."""
    return os.path.splitext(name)[1].lower() in _COMMON  # noqa: PTH122


def is_hidden(name: str) -> bool:
    """Whether a file or folder is never looked at, whatever it holds."""
    return name.startswith(".") or name.lower() in _NEVER


class VideoWalk:
    """One walk over the videos below a folder: yields folders with the videos in them.

    Each item is a folder as a path relative to the root, with slashes, and the names of its videos,
    sorted. Folders come sorted as well; one without videos is not given.

    Args:
        root: The folder.
        max_depth: Folders below it that are entered, counted downwards; nothing enters all.
        inside: Do not enter links that lead out of the root.

    Attributes:
        links_out: Links to folders that were not entered, relative to the root.
        empty: Folders without any file or folder that counts, relative to the root.
        others: Files that are no videos, by suffix, without those that belong to a video of the
            same name.
        twice: Links to folders that were walked already, relative to the root.
        closed: Folders that could not be listed, with the reason.

    Example:
        >>> import tempfile
        >>> root = Path(tempfile.mkdtemp())
        >>> (root / "walk").mkdir()
        >>> for name in ("b.MTS", "a.mp4", "notes.txt", ".hidden.mp4"):
        ...     (root / "walk" / name).touch()
        >>> walk = VideoWalk(root)
        >>> list(walk)
        [('walk', ['a.mp4', 'b.MTS'])]
        >>> walk.sentence()
        'passed over: 1 file of another kind (.txt)'
    """

    def __init__(
        self, root: str | Path, *, max_depth: int | None = None, inside: bool = False
    ) -> None:
        self.root = Path(root)
        self.max_depth = max_depth
        self.inside = inside
        self.links_out: list[str] = []
        self.empty: list[str] = []
        self.twice: list[str] = []
        self.others: Counter[str] = Counter()
        self.closed: list[tuple[str, str]] = []

    def __iter__(self) -> Iterator[tuple[str, list[str]]]:
        seen: set[tuple[int, int]] = set()
        real = self.root.resolve()
        for folder, folders, names in os.walk(self.root, followlinks=True, onerror=self._closed):
            stat = Path(folder).stat()
            here = Path(folder).relative_to(self.root)
            if (stat.st_dev, stat.st_ino) in seen:
                self.twice.append(here.as_posix())
                folders.clear()
                continue
            seen.add((stat.st_dev, stat.st_ino))
            folders[:] = sorted(name for name in folders if not is_hidden(name))
            if self.inside:
                self._stay_inside(Path(folder), folders, real)
            if self.max_depth is not None and len(here.parts) >= self.max_depth:
                folders.clear()
            videos = sorted(name for name in names if is_video(name))
            self._count(names, videos)
            if videos:
                yield here.as_posix(), videos
            elif not folders:
                self.empty.append(here.as_posix())

    def videos(self) -> list[Path]:
        """Walk, and give all videos, sorted by path.

        Raises:
            ValueError: The folder does not exist or holds no video.
        """
        if not self.root.is_dir():
            raise ValueError(f"no folder {self.root}: expected a folder of videos")
        found = sorted(self.root / folder / name for folder, names in self for name in names)
        if not found:
            there = self.sentence() or "it holds nothing but hidden files, if any"
            raise ValueError(
                f"no videos below {self.root} ({there}): expected files ending in "
                f"{', '.join(sorted(_COMMON))} or another suffix of videos"
            )
        return found

    def _closed(self, error: OSError) -> None:
        self.closed.append((str(error.filename), error.strerror or str(error)))

    def _stay_inside(self, folder: Path, folders: list[str], real: Path) -> None:
        for name in list(folders):
            link = folder / name
            if link.is_symlink() and not link.resolve().is_relative_to(real):
                folders.remove(name)
                self.links_out.append(link.relative_to(self.root).as_posix())

    def _count(self, names: Sequence[str], videos: Sequence[str]) -> None:
        stems = {os.path.splitext(name)[0] for name in videos}  # noqa: PTH122
        for name in names:
            stem, suffix = os.path.splitext(name)  # noqa: PTH122
            if not (is_hidden(name) or is_video(name) or name in _OWN or stem in stems):
                self.others[suffix.lower() or "no suffix"] += 1

    def sentence(self) -> str:
        """What was passed over by the walk so far; nothing where there is nothing to say."""
        parts = []
        if self.others:
            kinds = [suffix for suffix, _ in self.others.most_common()]
            parts.append(f"{_counted(self.others.total(), 'file')} of another kind ({_few(kinds)})")
        empty = [name for name in self.empty if name != "."]
        if empty:
            parts.append(f"{_counted(len(empty), 'folder')} without a video ({_few(empty)})")
        if self.twice:
            parts.append(
                f"{_counted(len(self.twice), 'link')} to a folder that is listed already "
                f"({_few(self.twice)})"
            )
        if self.closed:
            named = [f"{printable(name)}: {why}" for name, why in self.closed]
            parts.append(f"{_counted(len(named), 'folder')} that can't be listed ({_few(named)})")
        return f"passed over: {', '.join(parts)}" if parts else ""


def _counted(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'s' * (number != 1)}"


def _few(names: Sequence[str]) -> str:
    more = f" and {len(names) - _MOST_NAMED} more" if len(names) > _MOST_NAMED else ""
    return ", ".join(map(printable, names[:_MOST_NAMED])) + more


def say(root: str | Path, sentence: str) -> None:
    """Tell the user what was passed over below a folder, where there is something to tell."""
    if sentence:
        tqdm.write(f"{printable(root)}: {sentence}", file=sys.stderr)


def list_videos(root: str | Path, *, quiet: bool = True) -> list[Path]:
    """Video files below a folder, by :class:`VideoWalk`, sorted by path.

    Args:
        root: The folder; ``~`` is the home folder.
        quiet: Say nothing of what was passed over.

    Raises:
        ValueError: The folder does not exist or holds no video.
    """
    walk = VideoWalk(user_path(root))
    found = walk.videos()
    if not quiet:
        say(walk.root, walk.sentence())
    return found


def expand_roots(roots: Sequence[str | Path]) -> list[Path]:
    """Videos named by folders, by single files, or by ``.txt`` lists.

    A list has one path a line, which a label may follow (``path label``, also with a comma or a
    tab); labels are ignored. Paths in a list are relative to the list's own folder. Order is kept,
    doubles are dropped. What is passed over in a folder is said.

    Raises:
        ValueError: Something named does not exist, or nothing is left.
    """
    videos: dict[Path, None] = {}
    for root in map(user_path, roots):
        if root.is_dir():
            videos |= dict.fromkeys(list_videos(root, quiet=False))
        elif root.is_file() and root.suffix.lower() == ".txt":
            listed = _read_list(root)
            if not listed:
                raise ValueError(f"{root} is empty: expected the path of a video in each line")
            videos |= dict.fromkeys(listed)
        elif root.is_file():
            videos[root] = None
        else:
            raise ValueError(f"no {root}: expected a folder, a video, or a .txt list of videos")
    if not videos:
        raise ValueError(f"no videos in {[str(r) for r in roots]}")
    return list(videos)


def _read_list(path: Path) -> list[Path]:
    lines = (line.strip() for line in read_text(path).splitlines())
    return [_listed_file(path.parent, line) for line in lines if line]


def _listed_file(folder: Path, line: str) -> Path:
    """The file that a line of a list names: all of it, or what stands before labels."""
    words = line
    while words:
        for name in (words, as_bytes(words)):
            if (path := folder / name).exists():
                return path
        # From the end, as a path may hold spaces and commas itself.
        words = re.sub(r"(^|[\s,;]+)[^\s,;]*$", "", words)
    # It is not there: what ends like a video is named in the list of unreadable files.
    found = re.match(r".*\.(\w+)(?=[\s,;]|$)", line)
    return folder / (found[0] if found and f".{found[1].lower()}" in VIDEO_SUFFIXES else line)


def as_bytes(name: str) -> str:
    """A name from a list in Latin-1, as the disk has it if its names are in that encoding too."""
    try:
        return os.fsdecode(name.encode("latin-1"))
    except UnicodeEncodeError:
        return name
