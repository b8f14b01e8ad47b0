"""Figures as data: rows of dots and curves, each with its interval, before anything is drawn.

A study says here what its figure shows. :mod:`analysis.figures.print` draws it for print, the
dashboard for its page, both from the same numbers.
"""

from dataclasses import dataclass

from analysis.core.statistics import Estimate


@dataclass(frozen=True)
class Dot:
    """A number of a head in a row.

    Attributes:
        row: From 0.
        head: ``rsp`` or ``avid``.
        value: With its interval.
        control: Whether it is of random weights.
    """

    row: int
    head: str
    value: Estimate
    control: bool = False


@dataclass(frozen=True)
class DotPanel:
    """One column of rows of dots.

    Attributes:
        title: Above it.
        dots: What it shows.
        lines: Values of thin reference lines, and whether each is dotted.
    """

    title: str
    dots: tuple[Dot, ...]
    lines: tuple[tuple[float, bool], ...] = ()


@dataclass(frozen=True)
class DotFigure:
    """Rows of dots with intervals in one or more columns.

    Attributes:
        title: Above the figure.
        rows: Names of the rows.
        panels: Columns.
        axis: What the values are, and how to read the reference lines.
        logarithmic: Whether the values are on a logarithmic scale.
    """

    title: str
    rows: tuple[str, ...]
    panels: tuple[DotPanel, ...]
    axis: str
    logarithmic: bool = False

    @property
    def has_control(self) -> bool:
        """Whether it shows random weights."""
        return any(dot.control for panel in self.panels for dot in panel.dots)


@dataclass(frozen=True)
class Line:
    """A curve of a head.

    Attributes:
        head: ``rsp`` or ``avid``.
        values: With intervals, one at each place of the panel.
        control: Whether it is of random weights.
    """

    head: str
    values: tuple[Estimate, ...]
    control: bool = False


@dataclass(frozen=True)
class LinePanel:
    """Curves over the same places.

    Attributes:
        title: What the places are.
        places: Where the values lie.
        words: What the axis says at each.
        lines: Curves.
        logarithmic: Whether the places are on a logarithmic scale.
        backwards: Whether they run from right to left.
        apart: Whether the last place does not belong to the curve.
    """

    title: str
    places: tuple[float, ...]
    words: tuple[str, ...]
    lines: tuple[Line, ...]
    logarithmic: bool = False
    backwards: bool = False
    apart: bool = False


@dataclass(frozen=True)
class LineFigure:
    """Panels of curves with one axis of values.

    Attributes:
        title: Above the figure.
        panels: In their order.
        columns: Panels side by side.
        axis: What the values are.
        band: Shaded values, or nothing.
    """

    title: str
    panels: tuple[LinePanel, ...]
    columns: int
    axis: str
    band: tuple[float, float] | None = None

    @property
    def has_control(self) -> bool:
        """Whether it shows random weights."""
        return any(line.control for panel in self.panels for line in panel.lines)


FigureSpec = DotFigure | LineFigure
