"""The page's plotly figures."""

from collections.abc import Mapping
from typing import Any

GRID = "rgba(128, 128, 128, 0.22)"
INK = "rgba(128, 128, 128, 0.9)"


def profiles(
    heads: Mapping[str, tuple[list[float], list[float]]],
    frame: int,
    titles: Mapping[str, str],
    colours: Mapping[str, str],
    dashes: Mapping[str, str],
) -> Any:
    """Contribution over time in c_i (left) and c_j (right), one line a head.

    Args:
        heads: Of each head the contribution of each frame's time cell, in c_i and in c_j.
        frame: Where the cursor stands, from 0.
        titles: Of each head its name.
        colours: Its colour.
        dashes: Its kind of line.

    Returns:
        A plotly figure.
    """
    import plotly.graph_objects as go
    from plotly.subplots import make_subplots

    figure = make_subplots(
        rows=1,
        cols=2,
        shared_yaxes=True,
        horizontal_spacing=0.04,
        subplot_titles=("<i>c<sub>i</sub></i>", "<i>c<sub>j</sub></i>"),
    )
    num_frames = len(next(iter(heads.values()))[0])
    edges = [0.5 + x for x in range(num_frames + 1)]
    for name, both in heads.items():
        for column, values in enumerate(both, start=1):
            # A step a time cell: the map knows no finer time.
            figure.add_trace(
                go.Scatter(
                    x=edges,
                    y=[*values, values[-1]],
                    line={
                        "color": colours[name],
                        "width": 2.2,
                        "shape": "hv",
                        "dash": dashes[name],
                    },
                    name=titles[name],
                    legendgroup=name,
                    showlegend=column == 1,
                    hovertemplate="%{y:+.4f}",
                ),
                row=1,
                col=column,
            )
    figure.add_hline(y=0, line={"color": INK, "width": 1})
    figure.add_vline(x=frame + 1, line={"color": INK, "width": 1.5})
    figure.update_xaxes(
        range=[0.5, num_frames + 0.5],
        tickvals=[1, *range(4, num_frames + 1, 4)],
        title={"text": "frame", "standoff": 4},
        showgrid=False,
        zeroline=False,
        fixedrange=True,
    )
    figure.update_yaxes(
        gridcolor=GRID, zeroline=False, fixedrange=True, tickformat="+.2f", nticks=6
    )
    figure.update_yaxes(title={"text": "contribution to <i>s</i>", "standoff": 6}, col=1)
    figure.update_layout(
        height=250,
        margin={"l": 8, "r": 8, "t": 34, "b": 8},
        legend={"orientation": "h", "x": 0, "y": 1.24, "yanchor": "top", "xanchor": "left"},
        hovermode="x unified",
        paper_bgcolor="rgba(0,0,0,0)",
        plot_bgcolor="rgba(0,0,0,0)",
        uirevision="profiles",
    )
    return figure
