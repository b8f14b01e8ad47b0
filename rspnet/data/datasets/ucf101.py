"""UCF101: text files that list the videos of each fold."""

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
from rspnet.registry import did_you_mean

HINT = (
    "the folder ucfTrainTestlist with classInd.txt, trainlist01.txt and testlist01.txt "
    "(UCF101TrainTestSplits-RecognitionTask.zip, crcv.ucf.edu/data/UCF101.php)"
)


def ucf101_classes(annotations: Path) -> tuple[str, ...]:
    """Classes in the order of their numbers in ``classInd.txt``, which begin with 1."""
    path = annotations / "classInd.txt"
    if not path.is_file():
        raise ValueError(f"no {path}: annotations of ucf101 are {HINT}")
    classes: dict[int, str] = {}
    for number, line in read_lines(path):
        index, _, name = line.partition(" ")
        if not index.isdecimal() or not name.strip():
            raise bad_line(path, number, line, "a number and a class name: '1 ApplyEyeMakeup'")
        classes[int(index)] = name.strip()
    if not classes:
        raise ValueError(f"{path} is empty: expected a class in each line, '1 ApplyEyeMakeup'")
    if sorted(classes) != list(range(1, len(classes) + 1)):
        raise ValueError(f"{path} numbers its classes {sorted(classes)}, expected 1, 2, 3, ...")
    return tuple(classes[index] for index in sorted(classes))


def parse_ucf101(annotations: str | Path, split: str, fold: int) -> list[tuple[str, str]]:
    """Videos that the official lists of UCF101 name, whether or not they are on the disk.

    Args:
        annotations: The folder ``ucfTrainTestlist``.
        split: ``train`` or ``test``.
        fold: 1, 2 or 3.

    Returns:
        (path relative to the videos' root, class), each path once.

    Raises:
        ValueError: A list is missing, or a line of it can't be understood.
    """
    check_fold("ucf101", split, fold)
    annotations = Path(annotations)
    classes = ucf101_classes(annotations)
    path = annotations / f"{split}list{fold:02d}.txt"
    if not path.is_file():
        raise ValueError(f"no {path}: annotations of ucf101 are {HINT}")
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
                f"{did_you_mean(label, known)}"
            )
        if index and classes[int(index) - 1 : int(index)] != (label,):
            raise ValueError(
                f"{path}, line {number}: class {label!r} has the number {index} here, "
                f"and {classes.index(label) + 1} in classInd.txt"
            )
        entries.append((relative, label))
    if not entries:
        raise ValueError(f"{path} is empty: expected a video in each line, 'Class/video.avi 1'")
    return unique(entries)


@register_dataset(
    "ucf101", root="the folder UCF-101 of class folders, `root/Class/video.avi`", annotations=HINT
)
def list_ucf101(request: Request) -> Listing:
    """UCF101 with its three official folds."""
    split = require_split(request, "train", "test")
    if request.annotations is None:
        raise ValueError(f"ucf101 needs `annotations`: {HINT}")
    entries = parse_ucf101(request.annotations, split, request.fold)
    classes = ucf101_classes(request.annotations)
    return Listing(classes, entries, Disk(request.root).find, request.annotations)
