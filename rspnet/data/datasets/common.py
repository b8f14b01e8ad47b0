"""What the readers of data sets share: the request, its answer, careful paths, files on disk."""

import os
import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath, PureWindowsPath

from rspnet.data.listing import VIDEO_SUFFIXES, as_bytes, is_common, is_hidden, is_video
from rspnet.text import read_text

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
        passed_over: What of the folder is not used, in words; empty where that is nothing.
    """

    classes: tuple[str, ...]
    entries: list[tuple[str, str]]
    find: Callable[[str], Path | None]
    source: Path
    passed_over: str = ""


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
    """A class name for comparison: lists and folders differ in case, spaces and punctuation.

    Example:
        >>> plain("massaging person's head") == plain("Massaging_persons_head")
        True
    """
    # What is not UTF-8 is most often Latin-1.
    text = re.sub("[\udc80-\udcff]", lambda byte: chr(ord(byte[0]) & 0xFF), label)
    text = unicodedata.normalize("NFC", text).casefold()
    return re.sub(r"(?<=\w)-|[\s_'`\u2019\"(),&!?:;]", "", text) or label


def by_plain(names: Iterable[str]) -> dict[str, str]:
    """Names by their :func:`plain` form, without those that share it with another."""
    names = list(names)
    counts = Counter(map(plain, names))
    return {plain(name): name for name in names if counts[plain(name)] == 1}


def read_lines(path: Path) -> Iterator[tuple[int, str]]:
    """Lines that are not blank, stripped, with their numbers from 1."""
    for number, line in enumerate(read_text(path).split("\n"), 1):
        if line.strip():
            yield number, line.strip()


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

    A folder that is not there is looked for in other case and without punctuation. Each folder is
    listed once, and nothing is globbed: names hold ``[`` and ``#``.
    """

    root: Path
    _folders: dict[str, tuple[Path, frozenset[str], dict[str, str]]] = field(default_factory=dict)

    def find(self, relative: str) -> Path | None:
        """The file under a relative path, or the first with its stem and a video suffix."""
        parent, name = os.path.split(relative)
        if parent not in self._folders:
            self._folders[parent] = self._list(parent)
        folder, names, stems = self._folders[parent]
        if name not in names:
            stem, suffix = os.path.splitext(name)  # noqa: PTH122  # a path object a video is slow
            stem = stem if suffix.lower() in VIDEO_SUFFIXES else name
            found = stems.get(_composed(stem)) or stems.get(as_bytes(stem))
            if found is None:
                return None
            name = found
        return folder / name

    def _list(self, parent: str) -> tuple[Path, frozenset[str], dict[str, str]]:
        folder = self._folder(parent)
        if folder is None:
            return self.root, frozenset(), {}
        with os.scandir(folder) as entries:
            names = sorted(entry.name for entry in entries if entry.is_file())
        stems: dict[str, str] = {}
        for name in sorted(filter(is_video, names), key=is_common, reverse=True):
            stems.setdefault(_composed(os.path.splitext(name)[0]), name)  # noqa: PTH122
        return folder, frozenset(names), stems

    def _folder(self, parent: str) -> Path | None:
        folder = self.root / parent
        if folder.is_dir():
            return folder
        folder = self.root
        for part in PurePosixPath(parent).parts:
            below = subfolders(folder) if folder.is_dir() else []
            found = part if part in below else by_plain(below).get(plain(part))
            if found is None:
                return None
            folder /= found
        return folder


def _composed(name: str) -> str:
    # macOS takes accents apart.
    return unicodedata.normalize("NFC", name)


def subfolders(folder: Path) -> list[str]:
    """Names of the folders in a folder, sorted, without those that are never looked at."""
    return sorted(p.name for p in folder.iterdir() if not is_hidden(p.name) and p.is_dir())


def shown(names: Sequence[str], at_most: int = 8) -> str:
    """Names for a message, not too many."""
    more = f" and {len(names) - at_most} more" if len(names) > at_most else ""
    return ", ".join(names[:at_most]) + more if names else "nothing"
