"""Figures of studies on the page: specifications (`analysis.core.figure_spec`) by plotly."""

import math
from typing import TYPE_CHECKING, Any

from dashboard.base.charts import GRID, INK, MARKS
from dashboard.base.style import COLOURS, DASHES
from rspnet.names import HEAD_TITLES

if TYPE_CHECKING:
    from analysis.core.figure_spec import (
        Dot,
        DotFigure,
        FigureSpec,
        Line,
        LineFigure,
        LinePanel,
    )
    from analysis.core.statistics import Estimate

ROW_PIXELS, LINE_PIXELS = 30, 235
_OFFSETS = {"rsp": -0.16, "avid": 0.16}
_COLOURS = COLOURS | {"backbone": INK}
_LEAST = 0.08  # a logarithmic axis has no 0
BAND = "rgba(128, 128, 128, 0.14)"


def draw(figure: "FigureSpec") -> Any:
    """A plotly figure of either kind."""
    from analysis.core.figure_spec import DotFigure

    return _dots(figure) if isinstance(figure, DotFigure) else _lines(figure)


def describe(figure: "FigureSpec") -> str:
    """The figure in words, for screen readers."""
    from analysis.core.figure_spec import DotFigure

    what = "rows of dots, a dot a head" if isinstance(figure, DotFigure) else "curves, one a head"
    return (
        f"{figure.title}: {what}, with 95% intervals over videos; random weights are hollow or "
        "thin. The numbers stand in the tables below."
    )


def _said(value: "Estimate", head: str, control: bool) -> str:
    who = HEAD_TITLES.get(head, "Backbone") + (", random weights" if control else "")
    return (
        f"{who}: {value.value:.2f} [{value.low:.2f}, {value.high:.2f}], {value.num} videos"
    ).replace("-", "\N{MINUS SIGN}")


def _bars(values: "list[Estimate]", least: float = -math.inf) -> dict[str, Any]:
    """Plotly's error bars: distances from the values to the ends of their intervals."""
    return {
        "type": "data",
        "symmetric": False,
        "array": [max(v.high, least) - max(v.value, least) for v in values],
        "arrayminus": [max(v.value, least) - max(v.low, least) for v in values],
        "thickness": 1.4,
        "width": 0,
    }


def _dots(figure: "DotFigure") -> Any:
    from plotly.subplots import make_subplots

    num, num_rows = len(figure.panels), len(figure.rows)
    drawn = make_subplots(
        1,
        num,
        shared_yaxes=True,
        horizontal_spacing=0.03,
        subplot_titles=[panel.title for panel in figure.panels],
    )
    least = _LEAST if figure.logarithmic else -math.inf
    for column, panel in enumerate(figure.panels, start=1):
        for control in (True, False):
            for head, colour in _COLOURS.items():
                own = [d for d in panel.dots if (d.head, d.control) == (head, control)]
                if own:
                    drawn.add_trace(_dot_trace(own, head, colour, control, least), 1, column)
        # Plotly skips what is drawn in a column before its dots.
        for row in range(0, num_rows, 2):
            drawn.add_hrect(
                y0=row - 0.5, y1=row + 0.5, fillcolor=BAND, line_width=0, layer="below",
                row=1, col=column, opacity=0.6,
            )  # fmt: skip
        for place, dotted in panel.lines:
            line = {"color": INK, "width": 1.2, "dash": "dot" if dotted else "solid"}
            drawn.add_vline(x=place, line=line, layer="below", row=1, col=column)
    drawn.update_yaxes(
        range=[num_rows - 0.5, -0.5],
        tickvals=list(range(num_rows)),
        ticktext=list(figure.rows),
        showgrid=False,
        zeroline=False,
        fixedrange=True,
    )
    drawn.update_xaxes(
        type="log" if figure.logarithmic else "linear",
        gridcolor=GRID,
        zeroline=False,
        fixedrange=True,
        nticks=5,
        matches="x",
    )
    if figure.logarithmic:
        ticks = [0.1, 0.3, 1, 3, 10, 30, 100]
        drawn.update_xaxes(tickvals=ticks, ticktext=[f"{tick:g}" for tick in ticks])
    top = 28 if any(panel.title for panel in figure.panels) else 8
    _lay_out(drawn, top + 30 + ROW_PIXELS * num_rows, top=top, bottom=30)
    return drawn


def _dot_trace(own: "list[Dot]", head: str, colour: str, control: bool, least: float) -> Any:
    import plotly.graph_objects as go

    return go.Scatter(
        x=[max(d.value.value, least) for d in own],
        y=[d.row + _OFFSETS.get(head, 0) for d in own],
        mode="markers",
        error_x=None if control else _bars([d.value for d in own], least),
        marker={
            "size": 8,
            "symbol": MARKS.get(head, "diamond") + ("-open" if control else ""),
            "color": colour,
            "opacity": 0.7 if control else 1,
        },
        hovertext=[_said(d.value, head, control) for d in own],
        hoverinfo="text",
    )


def _lines(figure: "LineFigure") -> Any:
    from plotly.subplots import make_subplots

    num_rows = -(-len(figure.panels) // figure.columns)
    drawn = make_subplots(
        num_rows,
        figure.columns,
        shared_yaxes=True,
        horizontal_spacing=0.03,
        vertical_spacing=0.24 if num_rows > 1 else 0,
    )
    for place, panel in enumerate(figure.panels):
        at = {"row": place // figure.columns + 1, "col": place % figure.columns + 1}
        for line in panel.lines:
            for trace in _line_traces(panel, line):
                drawn.add_trace(trace, **at)
        if figure.band:
            low, high = figure.band
            drawn.add_hrect(y0=low, y1=high, fillcolor=BAND, line_width=0, layer="below", **at)
        _prepare_axis(drawn, panel, at)
    drawn.update_yaxes(gridcolor=GRID, zeroline=False, fixedrange=True, nticks=6, matches="y")
    named = any(len(word) > 5 for panel in figure.panels for word in panel.words)
    _lay_out(drawn, LINE_PIXELS * num_rows + (60 if named else 10), top=8, bottom=44)
    return drawn


def _prepare_axis(drawn: Any, panel: "LinePanel", at: dict[str, int]) -> None:
    drawn.update_xaxes(
        title={"text": panel.title, "standoff": 4},
        type="log" if panel.logarithmic else "linear",
        tickvals=list(panel.places),
        tickangle=0 if all(len(word) < 6 for word in panel.words) else None,
        ticktext=list(panel.words),
        showgrid=False,
        zeroline=False,
        fixedrange=True,
        autorange="reversed" if panel.backwards else True,
        **at,
    )


def _line_traces(panel: "LinePanel", line: "Line") -> list[Any]:
    import plotly.graph_objects as go

    def trace(first: int, last: int | None, mode: str) -> Any:
        values = list(line.values[first:last])
        return go.Scatter(
            x=list(panel.places[first:last]),
            y=[v.value for v in values],
            mode=mode,
            error_y=None if line.control else _bars(values),
            line={
                "color": INK if line.control else COLOURS[line.head],
                "width": 1 if line.control else 2,
                "dash": "5px 3px" if DASHES[line.head] == "dashed" else "solid",
            },
            marker={"size": 6, "symbol": MARKS[line.head]},
            opacity=0.7 if line.control else 1,
            hovertext=[_said(v, line.head, line.control) for v in values],
            hoverinfo="text",
        )

    mode = "lines" if line.control else "lines+markers"
    if panel.apart:
        return [trace(0, -1, mode), trace(len(panel.places) - 1, None, "markers")]
    return [trace(0, None, mode)]


def _lay_out(drawn: Any, height: int, top: int, bottom: int) -> None:
    drawn.update_layout(
        height=height,
        margin={"l": 4, "r": 8, "t": top, "b": bottom},
        showlegend=False,
        hovermode="closest",
        paper_bgcolor="rgba(0,0,0,0)",
        plot_bgcolor="rgba(0,0,0,0)",
    )
    drawn.update_annotations(font={"size": 13})
