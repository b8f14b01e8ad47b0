"""Figures of pages as plotly draws them."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dashboard.base.style import COLOURS, DASHES
from rspnet.names import HEAD_TITLES, HEADS

GRID = "rgba(128, 128, 128, 0.22)"
INK = "rgba(128, 128, 128, 0.9)"
MOST_POINTS = 2000


def curves(
    lines: Sequence[tuple[str, str, str, NDArray[np.floating]]],
    faint: Sequence[NDArray[np.floating]],
    steps: NDArray[np.floating],
    height: int,
    *,
    logarithmic: bool = False,
    reference: float | None = None,
    bars: Sequence[NDArray[np.floating]] = (),
) -> Any:
    """Curves over the steps of a run.

    Args:
        lines: Name, colour, kind of line (``solid`` or ``dash``) and values of each.
        faint: The single rows that each line is the mean of; drawn faintly behind. Empty for none.
        steps: Of the rows.
        height: Of the figure, pixels.
        logarithmic: Scale of the values.
        reference: A value to draw a thin line at, such as chance.
        bars: Of each line both ends of each value's interval, (N, 2). Empty for none.

    Returns:
        A plotly figure.
    """
    import plotly.graph_objects as go

    figure = go.Figure()
    every = max(1, math.ceil(len(steps) / MOST_POINTS))
    for (_, colour, _, _), values in zip(lines, faint or (), strict=bool(faint)):
        line = {"color": colour, "width": 1}
        figure.add_trace(
            go.Scatter(
                x=steps[::every], y=values[::every], mode="lines", line=line,
                opacity=0.25, hoverinfo="skip",
            )
        )  # fmt: skip
    for name, colour, dash, values in lines:
        line = {"color": colour, "width": 2.2, "dash": dash}
        figure.add_trace(
            go.Scatter(
                x=steps[::every], y=values[::every], name=name, line=line,
                mode="lines+markers" if len(steps) < 3 or len(bars) else "lines",
                hovertemplate="%{y:.4g}",
            )
        )  # fmt: skip
    for (_, colour, _, values), ends in zip(lines, bars, strict=False):
        error = {
            "array": ends[:, 1] - values,
            "arrayminus": values - ends[:, 0],
            "symmetric": False,
        }
        figure.add_trace(
            go.Scatter(
                x=steps, y=values, mode="markers", marker={"color": colour, "size": 5},
                error_y={**error, "color": colour, "thickness": 1.2, "width": 0}, hoverinfo="skip",
            )
        )  # fmt: skip
    if reference is not None:
        figure.add_hline(y=reference, line={"color": INK, "width": 1, "dash": "dot"})
    figure.update_xaxes(showgrid=False, zeroline=False, title={"text": "step", "standoff": 4})
    figure.update_yaxes(gridcolor=GRID, zeroline=False, nticks=6, exponentformat="e")
    if logarithmic:
        ticks = _log_ticks([values for *_, values in lines])
        figure.update_yaxes(type="log", tickvals=ticks, ticktext=[f"{tick:g}" for tick in ticks])
    figure.update_layout(
        height=height,
        margin={"l": 4, "r": 8, "t": 8, "b": 4},
        showlegend=False,
        hovermode="x unified",
        paper_bgcolor="rgba(0,0,0,0)",
        plot_bgcolor="rgba(0,0,0,0)",
        uirevision="curves",  # a zoom stays while rows are added
    )
    return figure


def _log_ticks(values: Sequence[NDArray[np.floating]]) -> list[float]:
    """1, 2 and 5 times the powers of ten around positive values; fewer where these are many.

    Example:
        >>> _log_ticks([np.array([0.0, 3.0, 40.0])])
        [1.0, 2.0, 5.0, 10.0, 20.0, 50.0]
    """
    positive = np.concatenate([np.ravel(own) for own in values])
    positive = positive[np.isfinite(positive) & (positive > 0)]
    if positive.size == 0:
        return []
    low, high = (math.floor(math.log10(end)) for end in (positive.min(), positive.max()))
    parts: Sequence[float] = (1,) if high - low > 3 else (1, 2, 5)
    if low == high:
        parts = (1, 1.5, 2, 3, 4, 5, 7)
    return [part * 10.0**power for power in range(low, high + 1) for part in parts]


MARKS = {"rsp": "circle", "avid": "square"}


def legend(marks: bool = False) -> str:
    """Which line or mark is which head's, HTML."""

    def sign(head: str) -> str:
        if marks:
            return f'<span class="mark {head}" style="background: {COLOURS[head]}"></span>'
        line = f"border-top: 3px {DASHES[head]} {COLOURS[head]}"
        return f'<span class="swatch" style="{line}"></span>'

    keys = "".join(f'<span class="key">{sign(head)}{HEAD_TITLES[head]}</span>' for head in HEADS)
    return f'<span class="legend">{keys}</span>'
