"""The result of a study: rows that are named by keys and hold numbers with their intervals.

Every study gives a :class:`StudyTable`. Selecting rows and reading or writing files is written here
once. What people read is a :class:`Table` of chosen rows, as text, HTML or CSV.
"""

import csv
import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from html import escape
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from analysis.core.figure_spec import Dot
from analysis.core.grid import Grid
from analysis.core.serialisation import load_json, save_json
from analysis.core.shown import Shown
from analysis.core.statistics import Estimate
from rspnet.names import HEADS
from rspnet.text import spreadsheet_cell

Floats = NDArray[np.float64]
Key = str | float
Value = Estimate | float
FORMAT, VERSION = "rspnet-study", 2
# Rows that compare the heads video by video have one of these in the place of a head.
RSP_MINUS_AVID, AVID_MINUS_RSP = "rsp_minus_avid", "avid_minus_rsp"
# And so does the row that compares an encoder's only head with that of random weights.
MINUS_RANDOM = "minus_random"


@dataclass(frozen=True, kw_only=True, eq=False)
class Row:
    """Numbers under one combination of keys.

    Attributes:
        keys: Name of each key column and this row's value there, such as ``{"head": "rsp"}``.
        values: By measure, an estimate or a plain number such as a count.
        samples: Arrays that later computations need: the values of the videos, (V,), of which
            paired differences are computed, or the points of a curve.
    """

    keys: Mapping[str, Key]
    values: Mapping[str, Value] = field(default_factory=dict)
    samples: Mapping[str, Floats] = field(default_factory=dict)

    def __getitem__(self, measure: str) -> Estimate:
        """An estimate of this row.

        Raises:
            ValueError: There is no such estimate.
        """
        found = self.values.get(measure)
        if not isinstance(found, Estimate):
            have = [name for name, v in self.values.items() if isinstance(v, Estimate)]
            raise ValueError(f"row {dict(self.keys)} has the estimates {have}, got {measure!r}")
        return found

    def to_json(self) -> dict[str, Any]:
        """Plain values; the parts that are empty are not written."""
        values = {
            name: v.to_json() if isinstance(v, Estimate) else v for name, v in self.values.items()
        }
        samples = {name: np.asarray(v).tolist() for name, v in self.samples.items()}
        parts = {"keys": dict(self.keys), "values": values, "samples": samples}
        return {name: part for name, part in parts.items() if part}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> "Row":
        """The inverse of :meth:`to_json`."""
        values = {
            name: Estimate(**v) if isinstance(v, dict) else v
            for name, v in value.get("values", {}).items()
        }
        samples = {n: np.array(v, np.float64) for n, v in value.get("samples", {}).items()}
        return cls(keys=value["keys"], values=values, samples=samples)


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class StudyTable(Shown):
    """All that a study measured.

    Attributes:
        study: Its name in the registry.
        rows: The numbers.
        num_videos: Videos that were measured.
        videos: Which videos these are, in words.
        model_hash: SHA-256 of the model's file.
        seed: Of videos, clips and whatever was drawn.
        grid: Of the maps, where there are any.
        settings: Further plain values that the numbers depend on or that describe them.
        skipped: Videos that could not be measured, and why.

    Example:
        >>> from analysis.core.statistics import Estimate
        >>> rows = [
        ...     Row(keys={"head": head, "region": "limbs"}, values={"ratio": Estimate(n, n, n, 4)})
        ...     for n, head in ((2.5, "rsp"), (0.5, "avid"))
        ... ]
        >>> table = StudyTable(study="toy", rows=tuple(rows), num_videos=4, videos="toys")
        >>> table.one(head="avid")["ratio"].value
        0.5
        >>> table.keys("head")
        ('rsp', 'avid')
        >>> table.select(head="rsp")[0]["ratio"].value
        2.5
        >>> StudyTable.from_json(table.to_json()).keys("region")
        ('limbs',)
        >>> import tempfile
        >>> StudyTable.load(table.save(f"{tempfile.mkdtemp()}/toy.json")).num_videos
        4
    """

    study: str
    rows: tuple[Row, ...]
    num_videos: int
    videos: str
    model_hash: str = ""
    seed: int = 0
    grid: Grid | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)
    skipped: Mapping[str, str] = field(default_factory=dict)

    def keys(self, name: str) -> tuple[Any, ...]:
        """The values of a key column, in the order of the rows."""
        return tuple(dict.fromkeys(row.keys[name] for row in self.rows if name in row.keys))

    def select(self, **keys: Key) -> tuple[Row, ...]:
        """The rows that have all of these keys; none if there is no such row."""
        wanted = keys.items()
        return tuple(r for r in self.rows if all(r.keys.get(name) == v for name, v in wanted))

    def one(self, **keys: Key) -> Row:
        """The only row that has all of these keys.

        Raises:
            ValueError: There is none, or there are several.
        """
        found = self.select(**keys)
        if len(found) == 1:
            return found[0]
        names = dict.fromkeys(name for row in self.rows for name in row.keys)
        have = "; ".join(f"{name}: {', '.join(map(str, self.keys(name)))}" for name in names)
        raise ValueError(
            f"{len(found) or 'no'} rows of {self.study} have {keys}, expected one. There are {have}"
        )

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return {
            "format": FORMAT,
            "version": VERSION,
            "study": self.study,
            "num_videos": self.num_videos,
            "videos": self.videos,
            "model_hash": self.model_hash,
            "seed": self.seed,
            "grid": self.grid.to_json() if self.grid else None,
            "settings": dict(self.settings),
            "skipped": dict(self.skipped),
            "rows": [row.to_json() for row in self.rows],
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> "StudyTable":
        """The inverse of :meth:`to_json`.

        Raises:
            ValueError: The value is something else, or of another version.
        """
        if value.get("format") != FORMAT or value.get("version") != VERSION:
            raise ValueError(
                f"expected {FORMAT!r} of version {VERSION}, written by `python -m analysis STUDY`, "
                f"got format {value.get('format')!r}, version {value.get('version')!r}: run the "
                "study again"
            )
        plain = ("study", "num_videos", "videos", "model_hash", "seed", "settings", "skipped")
        return cls(
            **{name: value[name] for name in plain},
            grid=Grid.from_json(value["grid"]) if value["grid"] else None,
            rows=tuple(Row.from_json(row) for row in value["rows"]),
        )

    def save(self, path: str | Path) -> Path:
        """Write the table as JSON, atomically."""
        return save_json(path, self.to_json())

    @classmethod
    def load(cls, path: str | Path) -> "StudyTable":
        """Read what :meth:`save` wrote.

        Raises:
            ValueError: The file is not there, damaged, or something else.
        """
        return load_json(path, cls.from_json, "result of a study")


@dataclass(frozen=True, kw_only=True)
class Table:
    """A table for readers.

    Attributes:
        header: Of the columns; the first names the rows.
        rows: A cell a column. Estimates are written with their interval.
        caption: What it shows, with the number of videos.
        strong: Places of rows that stand out.
        folded: Whether a page shows it only when its caption is opened, such as a control.

    Raises:
        ValueError: A row is not as long as the header.
    """

    header: Sequence[str]
    rows: Sequence[Sequence[str | Value]]
    caption: str
    strong: frozenset[int] = frozenset()
    folded: bool = False

    def __post_init__(self) -> None:
        wrong = [len(row) for row in self.rows if len(row) != len(self.header)]
        if wrong:
            raise ValueError(
                f"rows have a cell for each of the {len(self.header)} columns, got rows of {wrong}"
            )

    def text(self) -> str:
        """Aligned columns for a terminal, below the caption."""
        cells = [list(self.header), *([_plain(cell) for cell in row] for row in self.rows)]
        widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
        lines = [
            "  ".join(
                cell.ljust(width) if place == 0 else cell.rjust(width)
                for place, (cell, width) in enumerate(zip(row, widths, strict=True))
            ).rstrip()
            for row in cells
        ]
        return "\n".join([self.caption, *lines])

    def html(self, *, caption: bool = True) -> str:
        """An HTML table; every number has its interval, and the videos that it is over.

        Args:
            caption: Whether the caption is shown; it names the table for screen readers anyway.
        """
        head = "".join(f'<th scope="col">{escape(name)}</th>' for name in self.header)
        body = []
        for place, (first, *rest) in enumerate(self.rows):
            mark = ' class="strong"' if place in self.strong else ""
            cells = "".join(_html(value) for value in rest)
            body.append(f'<tr{mark}><th scope="row">{escape(str(first))}</th>{cells}</tr>')
        name = escape(self.caption)
        shown = f"<caption>{name}</caption>" if caption else ""
        return (
            f'<div class="study-table" role="region" tabindex="0" aria-label="{name}"><table>'
            f"{shown}<thead><tr>{head}</tr></thead><tbody>{''.join(body)}</tbody></table></div>"
        )


def number(value: float, digits: int = 2) -> str:
    """A number with a real minus sign; a count has no decimals."""
    text = f"{value:.{0 if isinstance(value, int) else digits}f}"
    if not text.strip("-0."):
        text = text.lstrip("-")  # a small negative number is no minus nothing
    return text.replace("-", "\N{MINUS SIGN}")


def interval(found: Estimate) -> str:
    """An estimate in a sentence: ``0.52, 0.41 to 0.63``."""
    return f"{number(found.value)}, {number(found.low)} to {number(found.high)}"


def _plain(value: str | Value) -> str:
    if isinstance(value, Estimate):
        return f"{number(value.value)} [{number(value.low)}, {number(value.high)}]"
    return value if isinstance(value, str) else number(value)


def _html(value: str | Value) -> str:
    if isinstance(value, Estimate):
        return (
            f'<td class="number" title="{value.num} videos">{number(value.value)}'
            f" <small>{number(value.low)} to {number(value.high)}</small></td>"
        )
    if isinstance(value, str):
        return f"<td>{escape(value)}</td>"
    return f'<td class="number">{number(value)}</td>'


def csv_of(tables: Sequence[Table]) -> bytes:
    """Tables as CSV: a line a number, with its interval and the videos that it is over.

    Words that a spreadsheet would take for a formula get a leading apostrophe.
    """
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(("table", "row", "column", "value", "low", "high", "videos"))
    for table in tables:
        for first, *rest in table.rows:
            for column, value in zip(table.header[1:], rest, strict=True):
                names = [spreadsheet_cell(word) for word in (table.caption, str(first), column)]
                if isinstance(value, Estimate):
                    ends = (value.value, value.low, value.high)
                    cells = [*(repr(float(end)) for end in ends), str(value.num)]
                else:
                    plain = spreadsheet_cell(value) if isinstance(value, str) else repr(value)
                    cells = [plain, "", "", ""]
                writer.writerow((*names, *cells))
    return text.getvalue().encode()


def pivot(
    rows: Mapping[str, Mapping[str, Key]],
    columns: Mapping[str, tuple[str, Mapping[str, Key]]],
    table: StudyTable,
    *,
    first: str,
    caption: str,
    strong: Callable[[str], bool] = lambda _name: False,
    folded: bool = False,
) -> Table:
    """A table of estimates: a line a combination of keys, a column a measure and further keys.

    Args:
        rows: By title, the keys of the line.
        columns: By title, the measure and the keys that the column adds.
        table: The numbers. Where it has no such row the cell is empty.
        first: Title of the first column.
        caption: Of the table.
        strong: Says by its title whether a line stands out.
        folded: See :class:`Table`.
    """
    lines: list[list[str | Value]] = []
    for title, keys in rows.items():
        line: list[str | Value] = [title]
        for measure, more in columns.values():
            found = table.select(**{**keys, **more})
            line.append(found[0].values.get(measure, "") if found else "")
        lines.append(line)
    return Table(
        header=(first, *columns),
        rows=lines,
        caption=caption,
        strong=frozenset(place for place, title in enumerate(rows) if strong(title)),
        folded=folded,
    )


def head_dots(
    table: StudyTable, rows: Sequence[Mapping[str, Key]], measure: str
) -> tuple[Dot, ...]:
    """Dots of both heads for a figure: of random weights, where there are any, and of the model.

    Args:
        table: The numbers. Where it has no such row there is no dot.
        rows: Keys of each row of the figure.
        measure: What is drawn.
    """
    return tuple(
        Dot(place, head, row[measure], weights != "trained")
        for weights in ("random weights", "trained")
        for place, keys in enumerate(rows)
        for head in heads_of(table)
        for row in table.select(**{**keys, "weights": weights, "head": head})
    )


def heads_of(table: StudyTable) -> tuple[str, ...]:
    """The heads that were measured: RSP and A-VID, or the only one of another encoder."""
    found = set(table.keys("head"))
    return (*(h for h in HEADS if h in found), *sorted(found & {"features", "projection"}))


def head_columns(
    measure: str, start: str = "", heads: Sequence[str] = HEADS
) -> dict[str, tuple[str, dict[str, Key]]]:
    """Columns of :func:`pivot`: a measure of all heads and its difference.

    The difference is that of RSP and A-VID, or of the only head and that of random weights.
    """
    titles = {"RSP": "rsp", "A-VID": "avid", "RSP minus A-VID": RSP_MINUS_AVID}
    if len(heads) == 1:
        titles = {heads[0]: heads[0], "minus random weights": MINUS_RANDOM}
    return {f"{start}{title}": (measure, {"head": head}) for title, head in titles.items()}
