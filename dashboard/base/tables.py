"""Tables of a report in the page's own look, and as CSV."""

import csv
import io
from collections.abc import Sequence
from html import escape
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from analysis.core.statistics import Estimate
    from analysis.report.page import Table


def html_of(table: "Table") -> str:
    """A table as HTML: every estimate with its interval."""
    head = "".join(f'<th scope="col">{escape(name)}</th>' for name in table.header)
    rows = []
    for place, (first, *rest) in enumerate(table.rows):
        mark = ' class="strong"' if place in table.strong else ""
        cells = "".join(_cell(value) for value in rest)
        rows.append(f'<tr{mark}><th scope="row">{escape(str(first))}</th>{cells}</tr>')
    return (
        f'<div class="evidence-table" role="region" tabindex="0" '
        f'aria-label="{escape(table.caption)}"><table><caption>{escape(table.caption)}</caption>'
        f"<thead><tr>{head}</tr></thead><tbody>{''.join(rows)}</tbody></table></div>"
    )


def _cell(value: "str | float | Estimate") -> str:
    from analysis.report.page import number

    if isinstance(value, str):
        return f"<td>{escape(value)}</td>"
    if isinstance(value, int | float):
        return f'<td class="number">{number(value)}</td>'
    return (
        f'<td class="number" title="{value.num} videos">{number(value.value)}'
        f" <small>{number(value.low)} to {number(value.high)}</small></td>"
    )


def csv_of(tables: "Sequence[Table]") -> bytes:
    """Tables as CSV: a line a number, with its interval and the videos that it is over."""
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(("table", "row", "column", "value", "low", "high", "videos"))
    for table in tables:
        for first, *rest in table.rows:
            for column, value in zip(table.header[1:], rest, strict=True):
                if isinstance(value, str | int | float):
                    numbers = [str(value), "", "", ""]
                else:
                    ends = (value.value, value.low, value.high)
                    numbers = [*(repr(float(end)) for end in ends), str(value.num)]
                writer.writerow((table.caption, first, column, *numbers))
    return text.getvalue().encode()
