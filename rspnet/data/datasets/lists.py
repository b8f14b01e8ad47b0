"""UCF101 and HMDB51: text files that list the videos of each fold."""

import re
from pathlib import Path

from rspnet.data.datasets.common import (
    Disk,
    Listing,
    Request,
    bad_line,
    check_relative,
    nearest,
    read_lines,
    require_split,
    unique,
)

UCF101_HINT = (
    "the folder ucfTrainTestlist with classInd.txt, trainlist01.txt and testlist01.txt "
    "(UCF101TrainTestSplits-RecognitionTask.zip, crcv.ucf.edu/data/UCF101.php)"
)
HMDB51_HINT = (
    "the folder testTrainMulti_7030_splits with brush_hair_test_split1.txt and so on "
    "(test_train_splits.rar, on the page of HMDB51 by the Serre Lab)"
)


def _check(name: str, split: str, fold: int) -> None:
    if split not in ("train", "test") or fold not in (1, 2, 3):
        raise ValueError(
            f"{name} has the splits 'train' and 'test' in folds 1, 2 and 3, "
            f"got {split!r} and {fold!r}"
        )


def ucf101_classes(annotations: Path) -> tuple[str, ...]:
    """Classes in the order of their numbers in ``classInd.txt``, which begin with 1."""
    path = annotations / "classInd.txt"
    if not path.is_file():
        raise ValueError(f"no {path}: annotations of ucf101 are {UCF101_HINT}")
    classes: dict[int, str] = {}
    for number, line in read_lines(path):
        index, _, name = line.partition(" ")
        if not index.isdecimal() or not name.strip():
            raise bad_line(path, number, line, "a number and a class name: '1 ApplyEyeMakeup'")
        classes[int(index)] = name.strip()
    if sorted(classes) != list(range(1, len(classes) + 1)):
        raise ValueError(f"{path} numbers its classes {sorted(classes)}, expected 1, 2, 3, ...")
    return tuple(classes[index] for index in sorted(classes))


def parse_ucf101(annotations: str | Path, split: str, fold: int) -> list[tuple[str, str]]:
    """Videos that the official lists of UCF101 name; the disk is not asked for them.

    Args:
        annotations: The folder ``ucfTrainTestlist``.
        split: ``train`` or ``test``.
        fold: 1, 2 or 3.

    Returns:
        (path relative to the videos' root, class), each path once.

    Raises:
        ValueError: A list is missing, or a line of it can't be understood.
    """
    _check("ucf101", split, fold)
    annotations = Path(annotations)
    classes = ucf101_classes(annotations)
    path = annotations / f"{split}list{fold:02d}.txt"
    if not path.is_file():
        raise ValueError(f"no {path}: annotations of ucf101 are {UCF101_HINT}")
    known, entries = set(classes), []
    for number, line in read_lines(path):
        name, _, index = line.rpartition(" ")
        if not (name and index.isdecimal()):
            name, index = line, ""  # test lists give no class number
        relative = check_relative(path, number, name.strip())
        label, _, file = relative.partition("/")
        if not file or "/" in file:
            raise bad_line(path, number, line, "Class/video.avi, in train lists with a number")
        if label not in known:
            raise ValueError(
                f"{path}, line {number}: class {label!r} is not in classInd.txt."
                f"{nearest(label, known)}"
            )
        if index and classes[int(index) - 1 : int(index)] != (label,):
            raise ValueError(
                f"{path}, line {number}: class {label!r} has the number {index} here, "
                f"and {classes.index(label) + 1} in classInd.txt"
            )
        entries.append((relative, label))
    return unique(entries)


def list_ucf101(request: Request) -> Listing:
    """UCF101: ``root/Class/video.avi``."""
    split = require_split(request, "train", "test")
    if request.annotations is None:
        raise ValueError(f"ucf101 needs `annotations`: {UCF101_HINT}")
    entries = parse_ucf101(request.annotations, split, request.fold)
    classes = ucf101_classes(request.annotations)
    return Listing(classes, entries, Disk(request.root).find, request.annotations)


def _hmdb51_files(annotations: Path, fold: int) -> dict[str, Path]:
    pattern = re.compile(rf"([^.].*)_test_split{fold}\.txt")
    files = {}
    if annotations.is_dir():
        for path in annotations.iterdir():
            if found := pattern.fullmatch(path.name):
                files[found[1]] = path
    if not files:
        raise ValueError(
            f"no {annotations / f'*_test_split{fold}.txt'}: annotations of hmdb51 are {HMDB51_HINT}"
        )
    return dict(sorted(files.items()))


def parse_hmdb51(annotations: str | Path, split: str, fold: int) -> list[tuple[str, str]]:
    """Videos that the official lists of HMDB51 name; the disk is not asked for them.

    Args:
        annotations: The folder ``testTrainMulti_7030_splits``.
        split: ``train`` or ``test``; the lists leave some videos to neither.
        fold: 1, 2 or 3.

    Returns:
        (path relative to the videos' root, class), each path once.

    Raises:
        ValueError: There are no lists, or a line can't be understood.
    """
    _check("hmdb51", split, fold)
    asked = "1" if split == "train" else "2"
    entries = []
    for label, path in _hmdb51_files(Path(annotations), fold).items():
        for number, line in read_lines(path):
            name, _, code = line.rpartition(" ")
            if code not in ("0", "1", "2") or not name.strip() or "/" in name:
                raise bad_line(path, number, line, "'video.avi 1', the code being 0, 1 or 2")
            relative = check_relative(path, number, f"{label}/{name.strip()}")
            if code == asked:
                entries.append((relative, label))
    return unique(entries)


def list_hmdb51(request: Request) -> Listing:
    """HMDB51: ``root/class/video.avi``."""
    split = require_split(request, "train", "test")
    if request.annotations is None:
        raise ValueError(f"hmdb51 needs `annotations`: {HMDB51_HINT}")
    entries = parse_hmdb51(request.annotations, split, request.fold)
    classes = tuple(_hmdb51_files(request.annotations, request.fold))
    return Listing(classes, entries, Disk(request.root).find, request.annotations)
