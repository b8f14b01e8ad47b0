"""Figures for print hold the numbers of their specifications."""

from pathlib import Path

import numpy as np
import pytest

from analysis.core.figure_spec import (
    Dot,
    DotFigure,
    DotPanel,
    Line,
    LineFigure,
    LinePanel,
)
from analysis.core.statistics import Estimate
from analysis.figures.print import draw_figures
from analysis.figures.style import COLOURS, save
from rspnet.names import HEADS


def number(value: float) -> Estimate:
    return Estimate(value, value - 0.005, value + 0.5, 4)


DOTS = DotFigure(
    "Ratios",
    ("a", "b"),
    (
        DotPanel("limbs, 5% of the pixels", (Dot(1, "avid", number(0.01)),), ((1.0, False),)),
        DotPanel("prop", (Dot(0, "rsp", number(2.0)), Dot(0, "rsp", number(3.0), control=True))),
    ),
    "share over share",
    logarithmic=True,
)
CURVES = LineFigure(
    "Curves",
    (
        LinePanel("speed", (0.5, 1.0, 2.0), ("0.5", "1", "2"),
                  (Line("rsp", (number(0.5), number(1.0), number(0.7))),), logarithmic=True),
        LinePanel("steps", (0.0, 1.0, 2.0), ("trained", "heads", "other video"),
                  (Line("avid", (number(1.0), number(0.5), number(0.2))),), apart=True),
    ),
    2,
    "similarity; shaded: passes",
    (-0.3, 0.3),
)  # fmt: skip


def points(axis) -> list[tuple[float, float]]:
    """Where markers without a line stand."""
    found = [x for x in axis.lines if x.get_marker() in "os" and len(x.get_xdata()) == 1]
    return [(float(x.get_xdata()[0]), float(x.get_ydata()[0])) for x in found]


def test_every_dot_is_a_number_of_the_specification() -> None:
    (part,) = draw_figures([DOTS]).subfigs
    limbs, prop = part.axes
    assert limbs.get_xscale() == "log"
    assert limbs.get_ylim() == (1.5, -0.5)
    assert [label.get_text() for label in limbs.get_yticklabels()] == ["a", "b"]
    # A number below the logarithmic axis stands at its end, its interval too.
    assert points(limbs) == [(0.08, 1.17)]
    reference, own, _ = limbs.lines
    assert list(reference.get_xdata()) == [1.0, 1.0]
    assert list(own.get_xdata()) == pytest.approx([0.08, 0.51])
    assert sorted(points(prop)) == [(2.0, -0.17), (3.0, -0.17)]
    hollow = [line.get_markerfacecolor() for line in prop.lines if line.get_marker() == "o"]
    assert sorted(hollow) == sorted([COLOURS["rsp"], "white"])


def test_every_curve_is_a_line_of_the_specification() -> None:
    (part,) = draw_figures([CURVES]).subfigs
    speed, steps = part.axes
    (curve,) = [line for line in speed.lines if len(line.get_xdata()) == 3]
    np.testing.assert_array_equal(curve.get_ydata(), [0.5, 1.0, 0.7])
    assert [label.get_text() for label in steps.get_xticklabels()] == [
        "trained", "heads", "other video",
    ]  # fmt: skip
    (curve,) = [line for line in steps.lines if list(line.get_xdata()) == [0.0, 1.0]
                and line.get_color() == COLOURS["avid"]]  # fmt: skip
    np.testing.assert_array_equal(curve.get_ydata(), [1.0, 0.5])  # the last place stands apart
    assert points(steps) == [(2.0, 0.2)]


def test_several_figures_have_one_legend_and_are_the_same_each_time(tmp_path: Path) -> None:
    figure = draw_figures([DOTS, CURVES])
    assert len(figure.subfigs) == 2
    words = [text.get_text() for text in figure.legends[0].get_texts()]
    assert len(words) == 2 * len(HEADS)
    assert "RSP, random weights" in words
    assert len(draw_figures([CURVES]).legends[0].get_texts()) == len(HEADS)
    specs, names = [DOTS, CURVES], ("a.png", "b.png")
    first, again = (save(draw_figures(specs), tmp_path / name, dpi=60) for name in names)
    assert first.read_bytes() == again.read_bytes()
    with pytest.raises(ValueError, match="tables alone"):
        draw_figures([])
