"""The labelled sets: which test videos look for which training videos, by whose lists."""

import hashlib
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from rspnet.data.datasets.common import Request
from rspnet.data.datasets.labelled import LabelledVideo
from rspnet.data.datasets.registry import DATASETS
from rspnet.data.synthetic.videos import generate, read_labels
from rspnet.files import file_hash, user_path


@dataclass(frozen=True, kw_only=True)
class Videos:
    """Test videos that look for training videos.

    Attributes:
        paths: Training videos, then test videos.
        labels: For each kind of label one a video.
        num_train: How many are training videos.
        copies: Test videos that are not counted, as another is the same byte for byte.
    """

    paths: tuple[Path, ...]
    labels: dict[str, tuple[str, ...]]
    num_train: int
    copies: tuple[Path, ...] = ()

    @property
    def test_paths(self) -> tuple[Path, ...]:
        """The test videos."""
        return self.paths[self.num_train :]

    def identity(self) -> str:
        """SHA-256 of names, labels and sizes of the files, wherever they lie."""
        digest = hashlib.sha256(f"{self.num_train}\n".encode())
        for path, *labels in zip(self.paths, *self.labels.values(), strict=True):
            name = f"{path.parent.name}/{path.name}"
            digest.update(f"{name} {path.stat().st_size} {labels}\n".encode())
        return digest.hexdigest()


@dataclass(frozen=True, kw_only=True)
class LabelledSet:
    """Tables of one data set.

    Attributes:
        name: Such as ``JHMDB``.
        tables: By title, the videos and the kind of label that is retrieved.
        mean: Title of the mean of these tables; nothing where they are not folds.
        notes: What a reader has to know of them.
    """

    name: str
    tables: dict[str, tuple[Videos, str]]
    mean: str | None = None
    notes: tuple[str, ...] = ()

    @property
    def paths(self) -> tuple[Path, ...]:
        """Every video once: those of the first table, then what others have beside them."""
        return tuple(dict.fromkeys(p for videos, _ in self.tables.values() for p in videos.paths))

    @property
    def first(self) -> Videos:
        """The videos of the first table."""
        return next(iter(self.tables.values()))[0]


@dataclass(frozen=True, kw_only=True)
class Official:
    """A data set with official splits in three folds, as the command line names it.

    Attributes:
        title: Of its tables.
        reader: In :mod:`rspnet.data.datasets`.
        lists: Option that names the lists.
        near: Their names, in the folder of the videos or beside it.
        expected: What the lists are.
        whole: Whether every listed video must be there; else the classes that are there count.
    """

    title: str
    reader: str
    lists: str
    near: tuple[str, ...]
    expected: str
    whole: bool


# By option. To add a data set, add a line: options, tables and notes follow.
OFFICIAL = {
    "jhmdb": Official(
        title="JHMDB",
        reader="csv",
        lists="jhmdb_splits",
        near=("jhmdb_splits.csv",),
        expected="a CSV with the columns clip, class and HMDB51's hmdb_split1 to hmdb_split3",
        whole=True,
    ),
    "ucf101": Official(
        title="UCF101",
        reader="ucf101",
        lists="ucf101_lists",
        near=("splits/ucf101", "ucfTrainTestlist"),
        expected="a folder with classInd.txt, trainlist01.txt and testlist01.txt",
        whole=False,
    ),
}


def find_lists(official: Official, folder: Path) -> Path:
    """The lists of a data set, in the folder of its videos or beside it.

    Raises:
        ValueError: There are none.
    """
    places = [base / name for base in (folder, folder.parent) for name in official.near]
    for place in places:
        if place.exists():
            return place
    raise ValueError(
        f"no {' and no '.join(map(str, places))}: {official.expected} is expected there, or named "
        f"by --{official.lists}"
    )


def load_official(
    official: Official, folder: str | Path, lists: str | Path | None, folds: Sequence[int] = (1,)
) -> LabelledSet:
    """A labelled set under its official splits.

    A test video that is byte for byte a training video, or a test video before it, is not counted.

    Args:
        official: Of :data:`OFFICIAL`.
        folder: Of its class folders.
        lists: Its lists; nothing for those near the folder.
        folds: Which of its splits; with several there is a table for each and one of their mean.

    Raises:
        ValueError: The folder or a list is not there, or a listed video is missing where all of
            them have to be there.
    """
    folder, title = user_path(folder), official.title
    if not folder.is_dir():
        raise ValueError(f"no folder {folder}: expected that of {title}'s class folders")
    found = find_lists(official, folder) if lists is None else user_path(lists)
    if not found.exists():
        raise ValueError(f"no {found}: expected {official.expected}")
    if not set(folds) <= {1, 2, 3}:
        raise ValueError(f"{title} has the official splits 1, 2 and 3, got {list(folds)}")
    alone = set(folds) == {1}
    loaded = {
        fold: _load_fold(official, folder, found, fold)
        for fold in dict.fromkeys(folds if alone else (*folds, 1))
    }
    names = {fold: title if alone else f"{title}, split {fold}" for fold in dict.fromkeys(folds)}
    tables = {name: (loaded[fold][0], "action") for fold, name in names.items()}
    notes = [f"{name}: {note}" for fold, name in names.items() for note in loaded[fold][1]]
    first = loaded[1][0]
    for fold, name in names.items():
        test = loaded[fold][0].test_paths
        num = len(set(test) & set(first.paths[: first.num_train])) if fold != 1 else 0
        if num:
            notes.append(
                f"{name}: {num} of its {len(test)} test videos are training videos of split 1. A "
                "model that was trained on those, even without labels, has seen them: its rows "
                "here, and in a mean over splits, are not of held-out videos."
            )
    mean = title if len(tables) > 1 else None
    return LabelledSet(name=title, tables=tables, mean=mean, notes=tuple(notes))


def _load_fold(
    official: Official, folder: Path, lists: Path, fold: int
) -> tuple[Videos, list[str]]:
    """One fold, and what is to be said of it.

    The lists are read without :func:`rspnet.data.datasets.labelled.load_video_set`, which would
    name every class that is not there.
    """
    parts: dict[str, list[LabelledVideo]] = {}
    missing, notes = [], []
    for split in ("train", "test"):
        request = Request(official.reader, folder, lists, split, fold)
        listing = DATASETS[official.reader].read(request)
        parts[split] = []
        for name, label in listing.entries:
            path = listing.find(name)
            if path is None:
                missing.append((name, label))
            else:
                parts[split].append(LabelledVideo(path, label, split))
        if not parts[split]:
            raise ValueError(
                f"none of the {len(listing.entries)} {split} videos that {lists} lists is in "
                f"{folder}, such as {listing.entries[0][0]}"
            )
    train, test = parts["train"], parts["test"]
    if missing and official.whole:
        raise ValueError(
            f"{len(missing)} videos that {lists} lists are not in {folder}, such as "
            f"{missing[0][0]}: numbers compare on all of them only"
        )
    there = sorted({video.label for video in (*train, *test)})
    if missing:
        lost = [name for name, label in missing if label in there]
        notes.append(
            f"{len(there)} of {len(listing.classes)} classes are there ({', '.join(there)}); "
            f"listed videos of these that are missing: {', '.join(lost[:3]) or 'none'}"
            f"{f' and {len(lost) - 3} more' if len(lost) > 3 else ''}."
        )
    kept, copies = without_copies(train, test)
    if copies:
        notes.append(
            f"{len(copies)} of {len(test)} test videos not counted, as a training video or another "
            f"test video is the same byte for byte: {', '.join(path.name for path in copies)}."
        )
    videos = [*train, *kept]
    found = Videos(
        paths=tuple(video.path for video in videos),
        labels={"action": tuple(video.label for video in videos)},
        num_train=len(train),
        copies=tuple(copies),
    )
    return found, notes


def without_copies(
    train: Sequence[LabelledVideo], test: Sequence[LabelledVideo]
) -> tuple[list[LabelledVideo], list[Path]]:
    """Test videos that are no copy of a training video or of an earlier test video, and the others.

    Only files of one size are read.
    """
    sizes: dict[int, int] = defaultdict(int)
    for video in (*train, *test):
        sizes[video.path.stat().st_size] += 1

    def content(video: LabelledVideo) -> str:
        shared = sizes[video.path.stat().st_size] > 1
        return file_hash(video.path) if shared else str(video.path)

    known, kept, copies = set(map(content, train)), [], []
    for video in test:
        own = content(video)
        if own in known:
            copies.append(video.path)
        else:
            known.add(own)
            kept.append(video)
    return kept, copies


def generated_videos(folder: Path, num_videos: int, seed: int) -> LabelledSet:
    """Generated videos: the first half is retrieved for the second by action, actor and set.

    Raises:
        ValueError: The folder holds others, or there are less than two.
    """
    if num_videos < 2:
        raise ValueError(f"at least 2 videos are generated, got {num_videos}")
    generate(folder, num_videos, seed, progress=True)
    rows = read_labels(folder)[:num_videos]
    half = num_videos // 2
    rows = rows[half:] + rows[:half]
    kinds = ("action", "actor", "set")
    videos = Videos(
        paths=tuple(folder / row["path"] for row in rows),
        labels={kind: tuple(row[kind] for row in rows) for kind in kinds},
        num_train=num_videos - half,
    )
    tables = {f"generated, by {kind}": (videos, kind) for kind in kinds}
    return LabelledSet(name="generated", tables=tables)
