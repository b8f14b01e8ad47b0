"""Labelled video data sets with their official splits.

======== ==================================== ===================================================
name     videos                               annotations
======== ==================================== ===================================================
ucf101   ``root/Class/video.avi``             folder: classInd.txt, trainlist01.txt, testlist01.txt
hmdb51   ``root/class/video.avi``             folder: ``<class>_test_split1.txt``
kinetics ``root/<split>/<label>/``, ``root/   the official CSV (label, youtube_id, time_start,
         <label>/``, ``root/<split>/``,       time_end, split), or none: class folders
         ``root/``
ssv2     ``root/<id>.webm``                   folder: labels.json, train.json, validation.json
folder   ``root/<split>/<class>/**``          none. Without folders of splits ``root/<class>/**``
                                              is what any split gives
csv      relative to ``root``, or to the CSV  CSV: path or clip; label or class; split (train, val,
                                              test) or a column ``*split<fold>`` (1, 2, 0)
stage    ``python -m rspnet.data.synthetic``      none. Test videos show the last quarter of the
                                              actors (18 to 23), train videos the others
======== ==================================== ===================================================

A listed file is found under any video suffix, so copies by ``python -m rspnet.data.transcode``
serve as well. Kinetics files are named ``<id>_000010_000020.mp4`` or ``<id>.mp4``, and folders of
its labels hold spaces or underscores.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from rspnet.data.datasets.common import Listing, Request, nearest, plain, read_lines
from rspnet.data.datasets.large import list_kinetics, list_ssv2
from rspnet.data.datasets.lists import list_hmdb51, list_ucf101, parse_hmdb51, parse_ucf101
from rspnet.data.datasets.tables import list_csv, list_folder, list_synthetic
from rspnet.data.manifest import known_invalid

__all__ = [
    "DATASETS",
    "DatasetConfig",
    "LabelledVideo",
    "VideoSet",
    "load_video_set",
    "parse_hmdb51",
    "parse_ucf101",
]

_READERS: dict[str, Callable[[Request], Listing]] = {
    "csv": list_csv,
    "folder": list_folder,
    "hmdb51": list_hmdb51,
    "kinetics": list_kinetics,
    "ssv2": list_ssv2,
    "stage": list_synthetic,
    "ucf101": list_ucf101,
}
DATASETS: tuple[str, ...] = tuple(_READERS)

_ROOTS = {
    "folder": "a folder with a folder of videos for each class",
    "hmdb51": "the folder of HMDB51's class folders",
    "kinetics": "the folder of Kinetics' videos",
    "ssv2": "the folder 20bn-something-something-v2 of .webm files",
    "stage": "a folder made by `python -m rspnet.data.synthetic --out DIR`",
    "ucf101": "the folder UCF-101 of class folders",
}


@dataclass(frozen=True)
class LabelledVideo:
    """One video.

    Attributes:
        path: The file.
        label: Name of its class.
        split: The split as it was asked for.
    """

    path: Path
    label: str
    split: str


@dataclass(frozen=True)
class VideoSet:
    """One split of a data set, as far as it is on the disk.

    Attributes:
        name: The data set.
        split: The split as it was asked for.
        fold: Which of the official folds.
        classes: All classes in the data set's own order, not only those present.
        videos: The videos found, each file once, in the order of the lists.
        missing: Relative paths that the annotations list and the disk lacks.
        known_bad: Videos that ``root/manifest.parquet`` found to be bad, unchanged since, and why.
    """

    name: str
    split: str
    fold: int
    classes: tuple[str, ...]
    videos: tuple[LabelledVideo, ...]
    missing: tuple[str, ...]
    known_invalid: Mapping[Path, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class DatasetConfig:
    """A labelled data set and which part of it.

    Attributes:
        name: One of csv, folder, hmdb51, kinetics, ssv2, stage, ucf101.
        root: Folder of the videos. For csv nothing means the folder of the CSV.
        annotations: The official lists: a folder for ucf101, hmdb51 and ssv2, a CSV file for
            kinetics and csv, nothing for folder and stage.
        split: train, test or val, as far as the data set has them.
        fold: Which of the official splits of ucf101 and hmdb51 (1, 2 or 3), or of a csv.
        classes: Text file with one class name a line: keep only these classes, such as the 100 of
            Kinetics-100.
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
    says of bad ones goes into ``known_invalid`` (:mod:`rspnet.data.manifest`).

    Raises:
        ValueError: The data set, fold or split is unknown, a folder or list is missing or can't be
            understood, a path leads out of the root folder, no listed file is there, or the
            manifest is damaged.
    """
    request = _check(config)
    listing = _READERS[config.name](request)
    classes, entries = listing.classes, listing.entries
    if config.classes is not None:
        kept = _read_classes(Path(config.classes), classes)
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
    videos = tuple(found.values())
    bad = known_invalid(found, [request.root])
    return VideoSet(config.name, config.split, config.fold, classes, videos, tuple(missing), bad)


def _check(config: DatasetConfig) -> Request:
    if config.name not in _READERS:
        raise ValueError(
            f"no data set {config.name!r}: expected one of {', '.join(DATASETS)}."
            f"{nearest(config.name, DATASETS)}"
        )
    if config.fold not in (1, 2, 3):
        raise ValueError(f"fold is 1, 2 or 3, got {config.fold!r}")
    if config.split in ("", ".", "..") or "/" in config.split:
        raise ValueError(f"split is a plain name such as train, test or val, got {config.split!r}")
    annotations = None if config.annotations is None else Path(config.annotations)
    if annotations is not None and not annotations.exists():
        raise ValueError(f"no {annotations}: `annotations` is a file or folder that is there")
    root = config.root
    if root is None and config.name == "csv" and annotations is not None:
        root = str(annotations.parent)
    if root is None and config.name in _ROOTS:
        raise ValueError(f"{config.name} needs `root`: {_ROOTS[config.name]}")
    if root is not None and not Path(root).is_dir():
        raise ValueError(
            f"no folder {root}: `root` is {_ROOTS.get(config.name, 'a folder of videos')}"
        )
    return Request(config.name, Path(root or "."), annotations, config.split, config.fold)


def _read_classes(path: Path, known: Iterable[str]) -> set[str]:
    # Lists of Kinetics classes are passed around with spaces and with underscores.
    by_plain = {plain(name): name for name in known} | {name: name for name in known}
    kept = set()
    for number, line in read_lines(path):
        name = by_plain.get(line) or by_plain.get(plain(line))
        if name is None:
            raise ValueError(
                f"{path}, line {number}: the data set has no class {line!r}."
                f"{nearest(line, by_plain)}"
            )
        kept.add(name)
    if not kept:
        raise ValueError(f"{path} names no class: expected one a line")
    return kept
