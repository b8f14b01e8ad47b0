"""The speed lab's plotly figures: curves over levels, and one dot a head for each change."""

from collections.abc import Mapping, Sequence
from typing import Any

from dashboard.base.charts import GRID, INK, MARKS
from dashboard.base.style import COLOURS, DASHES
from rspnet.names import HEAD_TITLES


def level_curves(
    values: Mapping[str, Sequence[float]],
    levels: Sequence[float],
    words: Sequence[str],
    chosen: float,
    neutral: float,
    *,
    title: str,
    logarithmic: bool,
    height: int,
) -> Any:
    """Similarity over the levels of a change, one line a head, with the chosen level marked.

    Args:
        values: Of each head the similarity at every level.
        levels: Of the change.
        words: Of each level what the axis says; empty where there is no room.
        chosen: The level that is marked.
        neutral: The level of no change.
        title: Of the axis of levels.
        logarithmic: Scale of the levels.
        height: Of the figure, pixels.

    Returns:
        A plotly figure.
    """
    import plotly.graph_objects as go

    figure = go.Figure()
    at = list(levels).index(chosen)
    # Where nothing is changed, and what is chosen.
    figure.add_vline(x=neutral, line={"color": INK, "width": 1, "dash": "dot"})
    figure.add_vline(x=chosen, line={"color": INK, "width": 1.5})
    for head, own in values.items():
        line = {
            "color": COLOURS[head],
            "width": 2.2,
            "dash": "5px 3px" if DASHES[head] == "dashed" else "solid",
        }
        figure.add_trace(
            go.Scatter(
                x=list(levels), y=list(own), name=HEAD_TITLES[head], mode="lines+markers",
                line=line,
                marker={"size": 6, "symbol": MARKS[head]}, hovertemplate="%{y:+.4f}",
            )
        )  # fmt: skip
        figure.add_trace(
            go.Scatter(
                x=[chosen], y=[own[at]], mode="markers", name=f"{HEAD_TITLES[head]}, marked",
                hoverinfo="skip",
                marker={
                    "size": 13, "symbol": MARKS[head], "color": COLOURS[head],
                    "line": {"color": INK, "width": 2},
                },
            )
        )  # fmt: skip
    figure.update_xaxes(
        title={"text": title, "standoff": 6},
        type="log" if logarithmic else "linear",
        tickvals=list(levels),
        ticktext=list(words),
        showgrid=False,
        zeroline=False,
        fixedrange=True,
    )
    figure.update_yaxes(
        gridcolor=GRID, zeroline=False, fixedrange=True, tickformat="+.2f", nticks=7,
        range=_range(values),
    )  # fmt: skip
    _lay_out(figure, height, hovermode="x unified")
    return figure


def dots(
    values: Mapping[str, Sequence[float]],
    names: Sequence[str],
    height: int,
) -> Any:
    """Similarity under several changes, a row each.

    Args:
        values: Of each head the similarity under every change.
        names: Of the changes.
        height: Of the figure, pixels.

    Returns:
        A plotly figure.
    """
    import plotly.graph_objects as go

    figure = go.Figure()
    for head, own in values.items():
        figure.add_trace(
            go.Scatter(
                x=list(own), y=list(names), mode="markers", name=HEAD_TITLES[head],
                marker={"size": 10, "symbol": MARKS[head], "color": COLOURS[head]},
                hovertemplate="%{x:+.4f}",
            )
        )  # fmt: skip
    figure.update_xaxes(
        gridcolor=GRID, zeroline=False, fixedrange=True, tickformat="+.2f", nticks=6,
        range=_range(values), title={"text": "similarity <i>s</i>", "standoff": 4},
    )  # fmt: skip
    figure.update_yaxes(gridcolor=GRID, autorange="reversed", fixedrange=True, type="category")
    _lay_out(figure, height, hovermode="y unified")
    return figure


def _range(values: Mapping[str, Sequence[float]]) -> list[float]:
    """Ends of an axis: a tenth at least, so that a change that does nothing looks like it."""
    every = [value for own in values.values() for value in own]
    most = max(every)
    least = min(*every, most - 0.1)
    room = 0.06 * (most - least)
    return [least - room, most + room]


def _lay_out(figure: Any, height: int, hovermode: str) -> None:
    figure.update_layout(
        height=height,
        margin={"l": 4, "r": 8, "t": 8, "b": 4},
        showlegend=False,
        hovermode=hovermode,
        paper_bgcolor="rgba(0,0,0,0)",
        plot_bgcolor="rgba(0,0,0,0)",
    )
