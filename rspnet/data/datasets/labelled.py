"""Labelled video data sets with their official splits.

Each data set is a file in this folder, see :mod:`rspnet.data.datasets.registry`;
:func:`~rspnet.data.datasets.registry.dataset_table` says what each needs. A listed file is found
under any video suffix, so copies by ``python -m rspnet.data.transcode`` are found as well.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from rspnet.data.datasets.common import Request, plain, read_lines
from rspnet.data.datasets.registry import DATASETS, DatasetEntry
from rspnet.data.manifest import known_invalid
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
        root: Folder of the videos. For csv nothing means the folder of the CSV.
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
    says of invalid ones goes into ``known_invalid`` (:mod:`rspnet.data.manifest`).

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
    invalid = known_invalid(found, [request.root])
    return VideoSet(
        config.name, config.split, config.fold, classes, videos, tuple(missing), invalid
    )


def _check(config: DatasetConfig, entry: DatasetEntry) -> Request:
    if config.fold not in (1, 2, 3):
        raise ValueError(f"fold is 1, 2 or 3, got {config.fold!r}")
    if config.split in ("", ".", "..") or "/" in config.split:
        raise ValueError(f"split is a plain name such as train, test or val, got {config.split!r}")
    annotations = None if config.annotations is None else Path(config.annotations)
    if annotations is not None and not annotations.exists():
        raise ValueError(f"no {annotations}: `annotations` is a file or folder that is there")
    root = config.root
    if root is None and entry.root_optional and annotations is not None:
        root = str(annotations.parent)
    if root is None and not entry.root_optional:
        raise ValueError(f"{config.name} needs `root`: {entry.root}")
    if root is not None and not Path(root).is_dir():
        raise ValueError(f"no folder {root}: `root` is {entry.root}")
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
                f"{did_you_mean(line, by_plain)}"
            )
        kept.add(name)
    if not kept:
        raise ValueError(f"{path} names no class: expected one in each line")
    return kept
