"""Videos that visitors have marked in a list, with notes: one table in the folder of runs.

``marks.csv`` outlives the page and the app, and all who use this folder share it.
"""

import csv
import io
import math
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace

from dashboard.base.shared_file import SharedFile
from rspnet.files import printable
from rspnet.text import FORMULA, spreadsheet_cell

NAME = "marks.csv"
MOST_MARKS = 10_000
MOST_LETTERS = 500
FEATURES = ("rsp", "avid", "backbone")


@dataclass(frozen=True)
class Mark:
    """A video that was marked in a list.

    Attributes:
        query: Name of the query.
        feature: What ranked the list.
        video: Name of the marked video.
        note: What was written to it, one line.
        rank: Its rank when it was marked; 0 where that is not known.
        similarity: Its cosine then; NaN where that is not known.
        model: Name of the model.
        gallery: What was searched.
    """

    query: str
    feature: str
    video: str
    note: str = ""
    rank: int = 0
    similarity: float = math.nan
    model: str = ""
    gallery: str = ""

    @property
    def key(self) -> tuple[str, ...]:
        """What two marks differ in."""
        return self.gallery, self.model, self.feature, self.query, self.video


COLUMNS = tuple(field.name for field in fields(Mark))
Marks = dict[tuple[str, ...], Mark]


def table(marks: Sequence[Mark]) -> bytes:
    """Marks as a CSV that :func:`parse` reads and spreadsheets open."""
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(COLUMNS)
    for mark in marks:
        cells = {name: getattr(mark, name) for name in COLUMNS}
        similarity = "" if math.isnan(mark.similarity) else repr(mark.similarity)
        cells |= {"similarity": similarity, "rank": mark.rank or ""}
        texts = {name: _quoted(str(cells[name])) for name in COLUMNS if name != "similarity"}
        writer.writerow([(cells | texts)[name] for name in COLUMNS])
    return text.getvalue().encode()


def _quoted(text: str) -> str:
    return f"'{text}" if text.startswith("'") else spreadsheet_cell(text)


def _unquoted(text: str) -> str:
    return text[1:] if text[:1] == "'" and text[1:].startswith((*FORMULA, "'")) else text


def parse(text: str) -> list[Mark]:
    """Marks from a CSV; columns that it lacks, but for query, feature and video, are empty.

    Raises:
        ValueError: It is no such table, and which of its rows is wrong.

    Example:
        >>> parse("query,feature,video,note\\na.mp4,rsp,b.mp4,same kick\\n")[0].note
        'same kick'
    """
    try:
        reader = csv.DictReader(io.StringIO(text), restval="")
        rows = list(reader)
    except csv.Error as error:
        raise ValueError(f"it is no CSV: {error}") from error
    names = [str(name).strip() for name in reader.fieldnames or []]
    missing = [name for name in ("query", "feature", "video") if name not in names]
    if missing:
        had = ", ".join(map(printable, names[:10])) or "none"
        raise ValueError(
            f"it is no table of marks: expected the columns query, feature and video, got {had}"
        )
    if len(rows) > MOST_MARKS:
        raise ValueError(f"it has {len(rows):,} rows, more than {MOST_MARKS:,}, the most")
    return [_mark(number, row) for number, row in enumerate(rows, start=2)]


def _mark(line: int, row: dict[str, str]) -> Mark:
    cells = {
        str(name).strip(): _unquoted(" ".join(value.split()))
        for name, value in row.items()
        if isinstance(value, str)
    }
    try:
        rank = int(cells.get("rank") or 0)
        similarity = float(cells.get("similarity") or math.nan)
    except ValueError:
        rank, similarity = -1, math.nan
    note = cells.get("note", "")
    wrong = {
        "query and video are names, one is empty": not (cells["query"] and cells["video"]),
        f"feature is one of {', '.join(FEATURES)}": cells["feature"] not in FEATURES,
        "rank is a whole number from 1 and similarity a number": rank < 0,
        f"a note has {len(note):,} letters, the most are {MOST_LETTERS}": len(note) > MOST_LETTERS,
    }
    for what, is_wrong in wrong.items():
        if is_wrong:
            raise ValueError(f"line {line}: {what}")
    known = {name: cells.get(name, "") for name in COLUMNS}
    return Mark(**(known | {"rank": rank, "similarity": similarity}))  # type: ignore[arg-type]


def merge(held: Marks, added: Sequence[Mark]) -> None:
    """Add marks to others; where one is there already, both notes are kept."""
    for mark in added:
        before = held.get(mark.key)
        if before is not None and before.note and mark.note not in (before.note, ""):
            mark = replace(mark, note=f"{before.note}; {mark.note}"[:MOST_LETTERS])
        elif before is not None:
            mark = replace(mark, note=mark.note or before.note)
        held[mark.key] = mark


def _held(text: str) -> Marks:
    return {mark.key: mark for mark in parse(text)}


def _dump(held: Marks) -> bytes:
    if len(held) > MOST_MARKS:
        raise ValueError(f"there are {MOST_MARKS:,} marks, the most that are kept: remove some")
    return table(list(held.values()))


FILE: SharedFile[Marks] = SharedFile(NAME, "mark", _held, _dump, dict)
read, change = FILE.read, FILE.change
