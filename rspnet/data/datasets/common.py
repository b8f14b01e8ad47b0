"""What the readers of data sets share: the request, its answer, careful paths, files on disk."""

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath, PureWindowsPath

from rspnet.data.sources import VIDEO_SUFFIXES

# Names under which people keep their validation split.
SPLIT_NAMES = {
    "train": ("train", "training"),
    "val": ("val", "validate", "validation", "valid"),
    "test": ("test", "testing"),
}


@dataclass(frozen=True)
class Request:
    """What a reader is to list; both paths exist where they are given."""

    name: str
    root: Path
    annotations: Path | None
    split: str
    fold: int


@dataclass(frozen=True)
class Listing:
    """What a data set lists for one split.

    Attributes:
        classes: All classes, in the data set's own order.
        entries: (relative path, class), each path once.
        find: The file of a relative path, None if the disk lacks it.
        source: What listed them, for messages.
    """

    classes: tuple[str, ...]
    entries: list[tuple[str, str]]
    find: Callable[[str], Path | None]
    source: Path


def split_names(split: str) -> tuple[str, ...]:
    """All names of a split that mean the same, the given one first."""
    for names in SPLIT_NAMES.values():
        if split in names:
            return (split, *(name for name in names if name != split))
    return (split,)


def require_split(request: Request, *known: str) -> str:
    """The data set's own name of the requested split."""
    for name in split_names(request.split):
        if name in known:
            return name
    raise ValueError(
        f"{request.name} has the splits {' and '.join(map(repr, known))}, got {request.split!r}"
    )


def check_fold(name: str, split: str, fold: int) -> None:
    """Refuse splits and folds other than those of UCF101 and HMDB51."""
    if split not in ("train", "test") or fold not in (1, 2, 3):
        raise ValueError(
            f"{name} has the splits 'train' and 'test' in folds 1, 2 and 3, "
            f"got {split!r} and {fold!r}"
        )


def require_one_fold(request: Request) -> None:
    """Refuse a fold where the data set knows none: it would be ignored in silence."""
    if request.fold != 1:
        raise ValueError(f"{request.name} has a single fold, got fold={request.fold}: leave it 1")


def plain(label: str) -> str:
    """A class name for comparison: lists and folders write it with spaces or underscores."""
    return label.replace("_", " ").casefold()


def read_lines(path: Path) -> Iterator[tuple[int, str]]:
    """Lines that are not blank, stripped, with their numbers from 1."""
    for number, line in enumerate(read_text(path).split("\n"), 1):
        if line.strip():
            yield number, line.strip()


def read_text(path: Path) -> str:
    """A UTF-8 text file, with or without a byte order mark."""
    try:
        return path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise ValueError(f"no file {path}") from None
    except (OSError, UnicodeDecodeError) as error:
        raise ValueError(f"{path} can't be read as text (UTF-8): {error}") from error


def bad_line(path: Path, number: int, got: object, expected: str) -> ValueError:
    """An error that names file and line."""
    return ValueError(f"{path}, line {number}: got {got!r}, expected {expected}")


def check_relative(path: Path, number: int, relative: str) -> str:
    """A listed path without ``./``, after a look that it stays below the root folder."""
    pure = PurePosixPath(relative)
    outside = pure.is_absolute() or ".." in pure.parts or PureWindowsPath(relative).drive
    if outside or not pure.parts or "\0" in relative:
        raise bad_line(path, number, relative, "a path relative to the root folder, without '..'")
    return pure.as_posix()


def unique(entries: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
    """Entries without those whose path was there before."""
    first: dict[str, str] = {}
    for relative, label in entries:
        first.setdefault(relative, label)
    return list(first.items())


@dataclass
class Disk:
    """Finds listed files below a folder, also under another video suffix (transcoded copies).

    Each folder is listed once, and nothing is globbed: names hold ``[`` and ``#``.
    """

    root: Path
    _folders: dict[str, tuple[frozenset[str], dict[str, str]]] = field(default_factory=dict)

    def find(self, relative: str) -> Path | None:
        """The file under a relative path, or the first with its stem and a video suffix."""
        parent, name = os.path.split(relative)
        if parent not in self._folders:
            self._folders[parent] = self._list(parent)
        names, stems = self._folders[parent]
        if name not in names:
            stem, suffix = os.path.splitext(name)  # noqa: PTH122  # a path object a video is slow
            found = stems.get(stem if suffix.lower() in VIDEO_SUFFIXES else name)
            if found is None:
                return None
            name = found
        return self.root / parent / name

    def _list(self, parent: str) -> tuple[frozenset[str], dict[str, str]]:
        folder = self.root / parent
        if not folder.is_dir():
            return frozenset(), {}
        with os.scandir(folder) as entries:
            names = sorted(entry.name for entry in entries if entry.is_file())
        stems: dict[str, str] = {}
        for name in names:
            stem, suffix = os.path.splitext(name)  # noqa: PTH122
            if suffix.lower() in VIDEO_SUFFIXES and not name.startswith("."):
                stems.setdefault(stem, name)
        return frozenset(names), stems


def walk_videos(root: Path, max_depth: int | None = None) -> Iterator[tuple[str, list[str]]]:
    """Folders below ``root`` as relative paths, with the names of the videos in them, sorted.

    Hidden files are skipped: an interrupted write and macOS leave some that are no videos. Linked
    folders are followed (splits often lie on another disk), each only once.
    """
    seen: set[tuple[int, int]] = set()
    for folder, folders, names in os.walk(root, followlinks=True):
        stat = Path(folder).stat()
        if (stat.st_dev, stat.st_ino) in seen:
            folders.clear()
            continue
        seen.add((stat.st_dev, stat.st_ino))
        relative = Path(folder).relative_to(root)
        if max_depth is not None and len(relative.parts) >= max_depth:
            folders.clear()
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        videos = [
            name
            for name in sorted(names)
            if not name.startswith(".") and os.path.splitext(name)[1].lower() in VIDEO_SUFFIXES  # noqa: PTH122
        ]
        if videos:
            yield relative.as_posix(), videos


def subfolders(folder: Path) -> list[str]:
    """Names of the folders in a folder, sorted, without hidden ones."""
    return sorted(p.name for p in folder.iterdir() if p.is_dir() and not p.name.startswith("."))


def shown(names: Sequence[str], at_most: int = 8) -> str:
    """Names for a message, not too many."""
    more = f" and {len(names) - at_most} more" if len(names) > at_most else ""
    return ", ".join(names[:at_most]) + more if names else "nothing"
