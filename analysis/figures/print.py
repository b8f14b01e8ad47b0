"""Figures of studies for print: specifications (:mod:`analysis.core.figure_spec`) by matplotlib."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

from analysis.core.figure_spec import DotFigure, DotPanel, FigureSpec, Line, LineFigure, LinePanel
from analysis.core.statistics import Estimate
from analysis.figures.style import (
    COLOURS,
    GREY,
    INK,
    LINES,
    PAGE_INCHES,
    TITLES,
    new_figure,
    style,
)
from rspnet.names import HEADS

SHAPES = {"rsp": "o", "avid": "s"}
LEAST, MOST = 0.08, 70.0  # of a logarithmic axis, on which 0 has no place
_OFFSETS = {"rsp": -0.17, "avid": 0.17}
_ROW_INCHES, _LINE_INCHES = 0.2, 1.75


def draw_figures(specs: Sequence[FigureSpec]) -> Figure:
    """Draw the figures of a study one below the other, with one legend.

    Args:
        specs: At least one.

    Returns:
        A figure for :func:`analysis.figures.style.save`.

    Raises:
        ValueError: There is none.

    Example:
        >>> from analysis.core.figure_spec import Dot, DotFigure, DotPanel
        >>> from analysis.core.statistics import Estimate
        >>> dot = Dot(0, "rsp", Estimate(0.6, 0.5, 0.7, 40))
        >>> spec = DotFigure("Selectivity", ("all",), (DotPanel("", (dot,)),), "share")
        >>> len(draw_figures([spec]).subfigs)
        1
    """
    if not specs:
        raise ValueError("there is no figure to draw: this study has tables alone")
    heights = [_height(spec) for spec in specs]
    with style():
        figure = new_figure(PAGE_INCHES, sum(heights) + 0.3)
        parts = figure.subfigures(len(specs), 1, squeeze=False, height_ratios=heights)[:, 0]
        for part, spec in zip(parts, specs, strict=True):
            if len(specs) > 1:
                part.suptitle(spec.title, fontsize=8, fontweight="bold", x=0.01, ha="left")
            if isinstance(spec, DotFigure):
                _draw_dots(part, spec)
            else:
                _draw_lines(part, spec)
        _legend(figure, _heads(specs), any(spec.has_control for spec in specs))
    return figure


def _height(spec: FigureSpec) -> float:
    if isinstance(spec, DotFigure):
        return 0.85 + _ROW_INCHES * len(spec.rows)
    return 0.6 + _LINE_INCHES * -(-len(spec.panels) // spec.columns)


def _draw_dots(figure: Any, spec: DotFigure) -> None:
    axes = figure.subplots(1, len(spec.panels), sharex=True, sharey=True, squeeze=False)[0]
    for axis, panel in zip(axes, spec.panels, strict=True):
        _dot_axis(axis, spec.rows)
        for value, dotted in panel.lines:
            line = (0, (1, 2)) if dotted else "-"
            axis.axvline(value, color=GREY, linewidth=0.8, linestyle=line, zorder=0)
        for dot in panel.dots:
            _dot(axis, dot.row, dot.value, dot.head, dot.control, logarithmic=spec.logarithmic)
        axis.set_title(panel.title.replace(", ", "\n", 1))
        if spec.logarithmic:
            axis.set_xscale("log")
            axis.set_xlim(LEAST, MOST)
            axis.xaxis.set_major_locator(FixedLocator([0.1, 0.3, 1, 3, 10, 30]))
            axis.xaxis.set_minor_locator(NullLocator())
            axis.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    figure.supxlabel(spec.axis, fontsize=7, color=INK)


def _dot_axis(axis: Axes, names: Sequence[str]) -> None:
    axis.set_yticks(range(len(names)), names)
    axis.set_ylim(len(names) - 0.5, -0.5)
    axis.tick_params(axis="y", length=0)
    axis.spines["left"].set_visible(False)
    for place in range(0, len(names), 2):
        axis.axhspan(place - 0.5, place + 0.5, color="#f4f4f6", linewidth=0, zorder=-1)


def _dot(
    axis: Axes, row: int, value: Estimate, head: str, control: bool, *, logarithmic: bool
) -> None:
    y, colour = row + _OFFSETS.get(head, 0), COLOURS[head]
    least = LEAST if logarithmic else -np.inf
    x, low, high = (max(number, least) for number in (value.value, value.low, value.high))
    if not control:
        axis.plot([low, high], [y, y], color=colour, linestyle=LINES[head], linewidth=1.3)
    axis.plot(
        [x], [y], marker=SHAPES.get(head, "D"), markersize=3.6, linestyle="", markeredgewidth=0.7,
        markeredgecolor=colour, markerfacecolor="white" if control else colour,
        alpha=0.6 if control else 1, clip_on=False, zorder=2 if control else 3,
    )  # fmt: skip


def _draw_lines(figure: Any, spec: LineFigure) -> None:
    rows = -(-len(spec.panels) // spec.columns)
    axes = figure.subplots(rows, spec.columns, sharey=True, squeeze=False).ravel()
    for axis, panel in zip(axes, spec.panels, strict=False):
        if spec.band:
            axis.axhspan(*spec.band, color=GREY, alpha=0.1, linewidth=0)
        axis.axhline(0, color=GREY, linewidth=0.6, linestyle=":", zorder=0)
        for line in panel.lines:
            _draw_line(axis, panel, line)
        if panel.logarithmic:
            axis.set_xscale("log", base=2)
            axis.xaxis.set_minor_locator(NullLocator())
        named = any(len(word) > 5 for word in panel.words)
        turned: dict[str, Any] = {"rotation": 30, "ha": "right"} if named else {}
        axis.set_xticks(panel.places, panel.words, **turned)
        if panel.backwards:
            axis.invert_xaxis()
        (axis.set_title if named else axis.set_xlabel)(panel.title)
    for axis in axes[len(spec.panels) :]:
        axis.set_visible(False)
    figure.supylabel("\n".join(spec.axis.split("; ")[0].split(": ")), fontsize=7, color=INK)


def _draw_line(axis: Axes, panel: LinePanel, line: Line) -> None:
    cut = len(panel.places) - 1 if panel.apart else len(panel.places)
    places, colour = np.array(panel.places), COLOURS[line.head]
    value, low, high = (
        np.array([getattr(e, name) for e in line.values]) for name in ("value", "low", "high")
    )
    if line.control:
        axis.plot(
            places[:cut], value[:cut], color="#9a9aa2", linestyle=LINES[line.head], linewidth=0.8,
            zorder=1,
        )  # fmt: skip
        return
    axis.fill_between(places[:cut], low[:cut], high[:cut], color=colour, alpha=0.2, linewidth=0)
    options: dict[str, Any] = {"color": colour, "marker": SHAPES.get(line.head, "D")}
    axis.plot(
        places[:cut], value[:cut], linestyle=LINES[line.head], markersize=2.5, zorder=3, **options
    )
    if panel.apart:
        axis.plot([places[-1]] * 2, [low[-1], high[-1]], color=colour, linewidth=1)
        axis.plot(places[-1:], value[-1:], linestyle="", markersize=2.5, **options)


def _heads(specs: Sequence[FigureSpec]) -> Sequence[str]:
    """Both heads, or the one of another encoder."""
    marks = [
        mark
        for spec in specs
        for panel in spec.panels
        for mark in (panel.dots if isinstance(panel, DotPanel) else panel.lines)
    ]
    own = dict.fromkeys(mark.head for mark in marks)
    return HEADS if not own or set(own) & set(HEADS) else list(own)


def _legend(figure: Figure, heads: Sequence[str], has_control: bool) -> None:
    keys = []
    for words, hollow in (("95% interval over videos", False), ("random weights", True)):
        for head in heads if has_control or not hollow else ():
            options: dict[str, Any] = {"color": COLOURS[head], "marker": SHAPES.get(head, "D")}
            if hollow:
                options |= {"linestyle": "", "markerfacecolor": "white", "alpha": 0.6}
            else:
                options |= {"linestyle": LINES[head], "linewidth": 1.3}
            label = f"{TITLES[head]}, {words}"
            keys.append(Line2D([], [], markersize=3.6, label=label, **options))
    figure.legend(handles=keys, loc="outside upper center", ncols=4, columnspacing=1.1)
