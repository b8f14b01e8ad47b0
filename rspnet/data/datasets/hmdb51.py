"""HMDB51: a text file for each class and fold."""

import re
from pathlib import Path

from rspnet.data.datasets.common import (
    Disk,
    Listing,
    Request,
    bad_line,
    check_fold,
    check_relative,
    read_lines,
    require_split,
    unique,
)
from rspnet.data.datasets.registry import register_dataset

HINT = (
    "the folder testTrainMulti_7030_splits with brush_hair_test_split1.txt and so on "
    "(test_train_splits.rar, on the page of HMDB51 by the Serre Lab)"
)


def _hmdb51_files(annotations: Path, fold: int) -> dict[str, Path]:
    pattern = re.compile(rf"([^.].*)_test_split{fold}\.txt")
    files = {}
    if annotations.is_dir():
        for path in annotations.iterdir():
            if found := pattern.fullmatch(path.name):
                files[found[1]] = path
    if not files:
        raise ValueError(
            f"no {annotations / f'*_test_split{fold}.txt'}: annotations of hmdb51 are {HINT}"
        )
    return dict(sorted(files.items()))


def parse_hmdb51(annotations: str | Path, split: str, fold: int) -> list[tuple[str, str]]:
    """Videos that the official lists of HMDB51 name, whether or not they are on the disk.

    Args:
        annotations: The folder ``testTrainMulti_7030_splits``.
        split: ``train`` or ``test``; the lists leave some videos to neither.
        fold: 1, 2 or 3.

    Returns:
        (path relative to the videos' root, class), each path once.

    Raises:
        ValueError: There are no lists, or a line can't be understood.
    """
    check_fold("hmdb51", split, fold)
    wanted = "1" if split == "train" else "2"
    entries = []
    for label, path in _hmdb51_files(Path(annotations), fold).items():
        lines = list(read_lines(path))
        if not lines:
            raise ValueError(f"{path} is empty: expected a video in each line, 'video.avi 1'")
        for number, line in lines:
            name, _, code = line.rpartition(" ")
            if code not in ("0", "1", "2") or not name.strip() or "/" in name:
                raise bad_line(path, number, line, "'video.avi 1', the code being 0, 1 or 2")
            relative = check_relative(path, number, f"{label}/{name.strip()}")
            if code == wanted:
                entries.append((relative, label))
    return unique(entries)


@register_dataset(
    "hmdb51", root="the folder of HMDB51's class folders, `root/class/video.avi`", annotations=HINT
)
def list_hmdb51(request: Request) -> Listing:
    """HMDB51 with its three official folds."""
    split = require_split(request, "train", "test")
    if request.annotations is None:
        raise ValueError(f"hmdb51 needs `annotations`: {HINT}")
    entries = parse_hmdb51(request.annotations, split, request.fold)
    classes = tuple(_hmdb51_files(request.annotations, request.fold))
    return Listing(classes, entries, Disk(request.root).find, request.annotations)
