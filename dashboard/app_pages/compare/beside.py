"""A second model on the same pair: its maps below those of the first, its numbers beside them."""

import html
from collections.abc import Iterator
from dataclasses import dataclass

import streamlit as st

from analysis.core.statistics import Compared
from dashboard.base.style import signed
from dashboard.overlays.options import C_I, C_J, symbols
from dashboard.overlays.selection import Selection
from dashboard.overlays.view_model import PairView
from dashboard.widgets import shell


@dataclass(frozen=True)
class Beside:
    """What the page shows of a second model.

    Attributes:
        selection: The same pair with that model.
        view: Its maps.
    """

    selection: Selection
    view: PairView


def draw(selection: Selection, view: PairView, beside: Beside) -> None:
    """The numbers of both models with their differences, and the way to those of many videos.

    Args:
        selection: What is shown of the first model.
        view: Its maps.
        beside: What is shown of the second.
    """
    st.html(table(selection, view, beside))
    with st.container(key="over_many"):
        shell.link_to(
            "retrieval",
            "Both models over the whole gallery, with intervals",
            ":material/arrow_forward:",
            model=selection.model.name,
            second=beside.selection.model.name,
            gallery=selection.source.title,
        )


def table(selection: Selection, view: PairView, beside: Beside) -> str:
    """The numbers of both models, head by head, and the first's minus the second's, as HTML."""
    names = [html.escape(s.model.name) for s in (selection, beside.selection)]
    lines = []
    for row, own in view.panels.items():
        other = beside.view.panels.get(row)
        if other is None:
            continue
        titles = dict.fromkeys(html.escape(v.title(row)) for v in (view, beside.view))
        totals = Compared(own[0].total, other[0].total)
        lines.append((" / ".join(titles), selection.display.map.total_title, totals, False))
        similar = (view.found.similarity, beside.view.found.similarity)
        if all(row in s for s in similar) and selection.display.map.symbol != "s":
            both = Compared(similar[0][row], similar[1][row])
            lines.append(("", f"Similarity {symbols('`s`')}", both, False))
        for n, clip in enumerate((C_I, C_J)):
            shares = Compared(own[n].on_moving, other[n].on_moving)
            lines.append(("", f"On moving pixels, {clip}", shares, True))
    body = "".join(
        f'<tr data-testid="beside"><th>{title}</th><td>{what}</td>'
        + "".join(f'<td class="number">{text}</td>' for text in _texts(values, is_share))
        + "</tr>"
        for title, what, values, is_share in lines
    )
    return (
        '<div class="facts" data-testid="two-models"><table><thead><tr><td></td><td></td>'
        f"<th>{names[0]}</th><th>{names[1]}</th><th>difference</th></tr></thead>"
        f"<tbody>{body}</tbody></table><p>{names[0]} minus {names[1]}, of this one pair: a "
        "difference of one pair has no interval. Each row of panels has a colour scale of its own "
        f"model. The sentences above, the strip over time, the places and the exports below are "
        f"of {names[0]}.</p></div>"
    )


def _texts(found: Compared, is_share: bool) -> Iterator[str]:
    if is_share:
        points = signed(100 * found.difference, 1)
        yield from (f"{found.first:.1%}", f"{found.second:.1%}", f"{points} points")
    else:
        yield from (signed(value, 4) for value in (*found, found.difference))
