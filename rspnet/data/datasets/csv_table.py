"""Any CSV of paths, labels and splits."""

import csv
import io
from collections.abc import Iterator
from pathlib import Path

from rspnet.data.datasets.common import (
    SPLIT_NAMES,
    Disk,
    Listing,
    Request,
    bad_line,
    check_relative,
    shown,
    split_names,
    unique,
)
from rspnet.data.datasets.registry import register_dataset
from rspnet.text import read_text

# HMDB51's codes beside words. Nothing: the video belongs to neither split.
_CODES = {"0": "", "1": "train", "2": "test", "": ""}


def read_table(path: Path, columns: tuple[str, ...] = ()) -> Iterator[tuple[int, dict[str, str]]]:
    """Rows of a CSV with a header, with their line numbers; names of columns in lower case.

    Raises:
        ValueError: It is no file, lacks one of ``columns``, or a row is shorter than the header.
    """
    if path.is_dir():
        files = [p.name for p in sorted(path.glob("*.csv"))]
        raise ValueError(f"{path} is a folder, expected a CSV; it holds {shown(files)}")
    reader = csv.reader(io.StringIO(read_text(path), newline=""))
    try:
        header = [name.strip().lower() for name in next(reader, [])]
        lacking = [name for name in columns if name not in header]
        if lacking:
            raise ValueError(
                f"{path} has no column {' and '.join(map(repr, lacking))}: "
                f"its header is {shown(header)}"
            )
        for row in reader:
            if not row:
                continue
            if len(row) != len(header):
                raise bad_line(path, reader.line_num, ",".join(row), f"{len(header)} columns")
            yield reader.line_num, dict(zip(header, map(str.strip, row), strict=True))
    except csv.Error as error:
        raise ValueError(f"{path}, line {reader.line_num}: not CSV: {error}") from error


def _column(path: Path, header: dict[str, str], *names: str) -> str:
    for name in names:
        if name in header:
            return name
    raise ValueError(
        f"{path} has no column {' or '.join(map(repr, names))}: its header is {shown(list(header))}"
    )


def _split_column(path: Path, header: dict[str, str], fold: int) -> str:
    if "split" in header:
        if fold != 1:
            raise ValueError(f"{path} has one column 'split', so a single fold: got fold={fold}")
        return "split"
    found = [name for name in header if name.endswith(f"split{fold}")]
    if len(found) != 1:
        raise ValueError(
            f"{path} has {shown(found)} for fold {fold}, expected a column 'split' or one that "
            f"ends with 'split{fold}': its header is {shown(list(header))}"
        )
    return found[0]


@register_dataset(
    "csv",
    root="the folder that the paths are relative to (default: the CSV's own)",
    annotations="a CSV with the columns `path` or `clip`, `label` or `class`, and `split` "
    "(train, val, test) or `*split<fold>` (1, 2, 0)",
    root_optional=True,
)
def list_csv(request: Request) -> Listing:
    """Any CSV of paths, labels and splits."""
    path = request.annotations
    if path is None:
        raise ValueError("csv needs `annotations`: a CSV file with columns path, label and split")
    rows = list(read_table(path))
    if not rows:
        raise ValueError(f"{path} lists nothing: expected a header and a line for each video")
    header = rows[0][1]
    file, label = _column(path, header, "path", "clip"), _column(path, header, "label", "class")
    column = _split_column(path, header, request.fold)
    wanted, splits, entries = split_names(request.split), set(), []
    for number, row in rows:
        relative = check_relative(path, number, row[file])
        if not row[label]:
            raise bad_line(path, number, "", f"a class name in column {label!r}")
        # Tables written with holes in them turn codes into 1.0 and 2.0.
        code = row[column].lower().removesuffix(".0")
        split = _CODES.get(code, code)
        if split and not any(split in names for names in SPLIT_NAMES.values()):
            raise bad_line(path, number, row[column], "train, val or test, or a code 0, 1 or 2")
        splits.add(split)
        if split in wanted:
            entries.append((relative, row[label]))
    if not entries:
        raise ValueError(
            f"{path} lists no video of the split {request.split!r}, "
            f"only of {shown(sorted(splits - {''}))}"
        )
    classes = tuple(sorted({row[label] for _, row in rows}))
    return Listing(classes, unique(entries), Disk(request.root).find, path)
