"""Labelled video data sets with their official splits.

Each data set is a file in this folder, see :mod:`rspnet.data.datasets.registry`;
:func:`~rspnet.data.datasets.registry.dataset_table` says what each needs. A listed file is found
under any video suffix, so copies by ``python -m rspnet.data.transcode`` are found as well.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from rspnet.data.datasets.common import (
    Listing,
    Request,
    by_plain,
    plain,
    read_lines,
    shown,
    subfolders,
)
from rspnet.data.datasets.registry import DATASETS, DatasetEntry
from rspnet.data.listing import say
from rspnet.data.manifest import known_invalid
from rspnet.data.stores.pointers import root_path
from rspnet.files import user_path
from rspnet.registry import did_you_mean, documents


@dataclass(frozen=True)
class LabelledVideo:
    """One video.

    Attributes:
        path: The file.
        label: Name of its class.
        split: The requested split.
    """

    path: Path
    label: str
    split: str


@dataclass(frozen=True)
class VideoSet:
    """One split of a data set, as far as it is on the disk.

    Attributes:
        name: The data set.
        split: The requested split.
        fold: Which of the official folds.
        classes: All classes in the data set's own order, not only those present.
        videos: The videos found, each file once, in the order of the lists.
        missing: Relative paths that the annotations list and the disk lacks.
        known_invalid: Videos that ``root/manifest.parquet`` found to be invalid, unchanged
            since, and why.
    """

    name: str
    split: str
    fold: int
    classes: tuple[str, ...]
    videos: tuple[LabelledVideo, ...]
    missing: tuple[str, ...]
    known_invalid: Mapping[Path, str] = field(default_factory=dict)


@documents(datasets=DATASETS)
@dataclass(frozen=True, kw_only=True)
class DatasetConfig:
    """A labelled data set and which part of it.

    Attributes:
        name: One of {datasets}.
        root: Folder of the videos; or tar shards or a URL, of which
            ``python -m rspnet.data.manifest`` has been written. For csv nothing means the folder of
            the CSV.
        annotations: The official lists: a folder for ucf101, hmdb51 and ssv2, a CSV file for
            kinetics and csv, nothing for folder and synthetic.
        split: train, test or val, as far as the data set has them.
        fold: Which of the official splits of ucf101 and hmdb51 (1, 2 or 3), or of a csv.
        classes: Text file with one class name in each line: keep only these classes, such as the
            100 of Kinetics-100.
    """

    name: str = "folder"
    root: str | None = None
    annotations: str | None = None
    split: str = "train"
    fold: int = 1
    classes: str | None = None


def load_video_set(config: DatasetConfig) -> VideoSet:
    """Read the lists of a data set and find its files.

    Files are looked up by name; none is opened. What a ``manifest.parquet`` in the root folder
    says of invalid ones goes into ``known_invalid`` (:mod:`rspnet.data.manifest`). What of the
    lists is not on the disk, and what of the folder is passed over, is said.

    Raises:
        ValueError: The data set, fold or split is unknown, a folder or list is missing or can't be
            understood, a path leads out of the root folder, no listed file is there, or the
            manifest is damaged.

    Example:
        >>> import tempfile
        >>> from rspnet.data.synthetic.videos import generate
        >>> folder = generate(tempfile.mkdtemp(), 1, num_workers=1, progress=False)
        >>> videos = load_video_set(DatasetConfig(name="synthetic", root=str(folder)))
        >>> len(videos.videos), len(videos.classes), videos.missing
        (1, 14, ())
    """
    entry = DATASETS[config.name]
    request = _check(config, entry)
    listing = entry.read(request)
    classes, entries = listing.classes, listing.entries
    if not entries:
        raise ValueError(f"{listing.source} lists no video of split {config.split!r}: is it empty?")
    if config.classes is not None:
        kept = _read_classes(user_path(config.classes), classes)
        classes = tuple(name for name in classes if name in kept)
        entries = [entry for entry in entries if entry[1] in kept]
        if not entries:
            raise ValueError(
                f"{listing.source} lists no video of split {config.split!r} "
                f"for the {len(kept)} classes in {config.classes}"
            )
    found: dict[Path, LabelledVideo] = {}
    missing = []
    for relative, label in entries:
        path = listing.find(relative)
        if path is None:
            missing.append(relative)
        else:
            found.setdefault(path, LabelledVideo(path, label, config.split))
    if not found:
        raise ValueError(
            f"none of the {len(missing)} videos that {listing.source} lists for split "
            f"{config.split!r} is on the disk. The first is expected at "
            f"{request.root / missing[0]} (or with another video suffix): check `root`"
        )
    say(request.root, _said(listing, missing, request.root, found.values()))
    videos = tuple(found.values())
    invalid = known_invalid(found, [request.root])
    return VideoSet(
        config.name, config.split, config.fold, classes, videos, tuple(missing), invalid
    )


def _said(
    listing: Listing, missing: Sequence[str], root: Path, found: Iterable[LabelledVideo]
) -> str:
    """What of a data set is not used, and why."""
    if not missing:
        return listing.passed_over
    there, gone = {video.label for video in found}, set(missing)
    # Of classes that are wholly missing the folder may have another name.
    lost = dict.fromkeys(n for path, n in listing.entries if path in gone and n not in there)
    near = "".join(did_you_mean(name, subfolders(root)) for name in lost)
    classes = f"; nothing is there of the classes {shown(list(lost))}.{near}" if lost else ""
    said = f"{len(missing)} listed videos are not on the disk, such as {missing[0]}{classes}"
    return "; ".join(filter(None, (listing.passed_over, said)))


def _check(config: DatasetConfig, entry: DatasetEntry) -> Request:
    if config.fold not in (1, 2, 3):
        raise ValueError(f"fold is 1, 2 or 3, got {config.fold!r}")
    if config.split in ("", ".", "..") or "/" in config.split:
        raise ValueError(f"split is a plain name such as train, test or val, got {config.split!r}")
    annotations = None if config.annotations is None else user_path(config.annotations)
    if annotations is not None and not annotations.exists():
        raise ValueError(f"no {annotations}: `annotations` is a file or folder that is there")
    root = None if config.root is None else root_path(config.root)
    if root is None and entry.root_optional and annotations is not None:
        root = annotations.parent
    if root is None and not entry.root_optional:
        raise ValueError(f"{config.name} needs `root`: {entry.root}")
    if root is not None and not root.is_dir():
        raise ValueError(f"no folder {root}: `root` is {entry.root}")
    return Request(config.name, root or Path(), annotations, config.split, config.fold)


def _read_classes(path: Path, known: Iterable[str]) -> set[str]:
    # Lists of Kinetics classes are passed around with spaces and with underscores.
    known = list(known)
    names, kept = by_plain(known) | {name: name for name in known}, set()
    for number, line in read_lines(path):
        name = names.get(line) or names.get(plain(line))
        if name is None:
            raise ValueError(
                f"{path}, line {number}: the data set has no class {line!r}."
                f"{did_you_mean(line, names)}"
            )
        kept.add(name)
    if not kept:
        raise ValueError(f"{path} names no class: expected one in each line")
    return kept
