"""Responses as a figure for print: both heads' curves, exchanges as bars, selectivities.

Heads differ in how far they spread videos at all, so the height of a curve is the similarity on
a scale of its own head: 1 is that of the unchanged clip, 0 the mean to clips of other videos.
Bars show the drop from 1. Bands and whiskers are 95% bootstrap intervals over videos.
"""

from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import FixedFormatter, FixedLocator, NullLocator
from numpy.typing import NDArray

from analysis.core.statistics import Estimate
from analysis.figures.style import (
    COLOURS,
    GREY,
    INK,
    LINES,
    PAGE_INCHES,
    TITLES,
    new_figure,
    save,
    style,
)
from analysis.stimuli.perturbations import find_change
from analysis.studies.response_result import Responses
from analysis.studies.selectivity import measures_of, selectivities
from rspnet.names import HEADS

CURVES = ("speed", "shuffle", "offset", "hue", "crop", "blur")
SWITCHES = {
    "reverse": "reversed", "freeze": "frozen", "grey": "grey", "flip": "flipped",
}  # fmt: skip
EXCHANGES = {
    "action": "action", "looks": "looks", "actor": "actor", "set": "set",
    "prop": "prop",
}  # fmt: skip
_MEASURES = {"changes": "changes", "all": "changes\nand looks", "exchange": "action\nv. looks"}
_LOG = frozenset(("speed", "shuffle"))
_CONTROL = "#9a9aa2"
_SHORT_NAMES = {
    "speed": "playback speed",
    "shuffle": "pieces in shuffled order",
    "offset": "start moved by (frames)",
    "hue": "hue rotated by (degrees)",
    "crop": "centre crop (share of the side)",
    "blur": "blur, sigma (pixels)",
}
_FRACTIONS = {0.25: "¼", 0.5: "½"}


def height_of(drop: Estimate) -> Estimate:
    """A drop as a height on the scale of its head: 1 less it."""
    return Estimate(1 - drop.value, 1 - drop.high, 1 - drop.low, drop.num)


def draw_curve(axis: Axes, responses: Responses, change: str) -> None:
    """Both heads over the levels of a change, with bands; controls as thin grey lines.

    Raises:
        ValueError: The change was not measured.
    """
    levels = np.array(responses.curve(change).levels, float)
    for head in HEADS:
        for control in responses.controls:
            axis.plot(levels, _heights(control, head, change)[0], color=_CONTROL,
                      linestyle=LINES[head], linewidth=0.8, zorder=1)  # fmt: skip
        value, low, high = _heights(responses, head, change)
        axis.fill_between(levels, low, high, color=COLOURS[head], alpha=0.2, linewidth=0)
        axis.plot(levels, value, color=COLOURS[head], linestyle=LINES[head], marker="o",
                  markersize=2.5, zorder=3)  # fmt: skip
    if change in _LOG:
        axis.set_xscale("log", base=2)
        axis.xaxis.set_minor_locator(NullLocator())
        axis.xaxis.set_major_locator(FixedLocator(list(levels)))
        axis.xaxis.set_major_formatter(
            FixedFormatter([_FRACTIONS.get(level, f"{level:g}") for level in levels])
        )
    else:
        ticks = levels.tolist() if change in ("hue", "crop") else _sparse(levels)
        axis.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
    if change == "crop":
        axis.invert_xaxis()
    axis.axhline(0, color=GREY, linewidth=0.6, linestyle=":", zorder=0)
    axis.axvline(find_change(change).neutral, color=GREY, linewidth=0.6, linestyle=":", zorder=0)
    axis.set_xlabel(_SHORT_NAMES[change])


def _heights(responses: Responses, head: str, change: str) -> tuple[list[float], ...]:
    found = [
        height_of(responses.scaled_drop(head, change, level))
        for level in responses.curve(change).levels
    ]
    return [e.value for e in found], [e.low for e in found], [e.high for e in found]


def _sparse(levels: NDArray[np.float64]) -> list[float]:
    # 0 1 2 4 8 16 32: the small ones would lie on one another.
    return [level for level in levels.tolist() if level == 0 or level >= levels.max() / 8]


def draw_bars(axis: Axes, responses: Responses, names: dict[str, str]) -> None:
    """Drops of both heads under changes that are on or off; controls as grey marks.

    Args:
        axis: Where.
        responses: What was measured.
        names: By change, what is written under its bars.

    Raises:
        ValueError: A change was not measured.
    """
    for place, change in enumerate(names):
        for side, head in zip((-0.2, 0.2), HEADS, strict=True):
            drop = responses.scaled_drop(head, change, 1)
            _bar(axis, place + side, drop, head)
            for control in responses.controls:
                value = control.scaled_drop(head, change, 1).value
                _mark(axis, place + side, value)
    axis.set_xticks(range(len(names)), list(names.values()))
    axis.tick_params(axis="x", length=0)
    axis.set_ylim(bottom=min(0, axis.get_ylim()[0]))


def draw_selectivity(axis: Axes, responses: Responses) -> None:
    """Motion selectivity of both heads by every measure; controls as grey marks."""
    found = selectivities(responses)
    names = [name for name in measures_of(responses) if any(s.measure.name == name for s in found)]
    for one in found:
        place = names.index(one.measure.name)
        for side, own in zip((-0.2, 0.2), one.heads, strict=True):
            if one.weights == responses.weights:
                _bar(axis, place + side, own.motion, own.head)
            else:
                _mark(axis, place + side, own.motion.value)
    axis.set_xticks(range(len(names)), [_MEASURES[name] for name in names])
    axis.tick_params(axis="x", length=0)
    middle, half = (len(names) - 1) / 2, max(1.3, len(names) / 2)  # one pair is no wall
    axis.set_xlim(middle - half, middle + half)
    axis.set_ylim(0, 1)
    axis.set_ylabel("motion selectivity")


def _bar(axis: Axes, x: float, found: Estimate, head: str) -> None:
    axis.bar(x, found.value, 0.36, facecolor=COLOURS[head], alpha=0.45, hatch=_hatch(head),
             edgecolor=COLOURS[head], linewidth=0.8)  # fmt: skip
    whiskers = [[found.value - found.low], [found.high - found.value]]
    axis.errorbar(x, found.value, whiskers, color=INK, linewidth=0.8, capsize=1.5)


def _mark(axis: Axes, x: float, value: float) -> None:
    axis.plot([x - 0.17, x + 0.17], [value, value], color=_CONTROL, linewidth=1.6, zorder=4)


def draw_responses(responses: Responses) -> Figure:
    """All of it: six curves, changes that are on or off, exchanges, selectivities.

    Without exchanges (videos that were not generated) their panel is left out.
    """
    known = {curve.change for curve in responses.curves}
    exchanges = {name: title for name, title in EXCHANGES.items() if name in known}
    with style():
        figure = new_figure(PAGE_INCHES, 5.4)
        middle = "exchanges" if exchanges else "switches"
        axes: dict[str, Axes] = figure.subplot_mosaic(
            [[*CURVES[:3]], [*CURVES[3:]], ["switches", middle, "selectivity"]]
        )
        for change in CURVES:
            draw_curve(axes[change], responses, change)
        low = min(axes[change].get_ylim()[0] for change in CURVES)
        for place, change in enumerate(CURVES):
            axes[change].set_ylim(low, 1.04)
            if place % 3 == 0:
                axes[change].set_ylabel("similarity, scaled")
            else:
                axes[change].tick_params(labelleft=False)
        _explain_scale(axes["offset"])
        draw_bars(axes["switches"], responses, SWITCHES)
        axes["switches"].set_ylabel("drop of similarity, scaled")
        if exchanges:
            draw_bars(axes["exchanges"], responses, exchanges)
            axes["exchanges"].set_xlabel("exchanged, the rest kept\n(looks: actor, set and prop)")
            top = max(axes[name].get_ylim()[1] for name in ("switches", "exchanges"))
            for name in ("switches", "exchanges"):
                axes[name].set_ylim(top=top)
        draw_selectivity(axes["selectivity"], responses)
        for letter, axis in zip("abcdefghi", axes.values(), strict=False):
            axis.set_title(letter, loc="left", fontweight="bold")
        _legend(figure, responses)
    return figure


def _explain_scale(axis: Axes) -> None:
    # Where most curves are flat there is room for words.
    right = axis.get_xlim()[1]
    words = {1: ("1: the unchanged clip", -13, "top"), 0: ("0: clips of other videos", 2, "bottom")}
    for height, (text, shift, side) in words.items():
        axis.annotate(text, (right, height), (0, shift), textcoords="offset points", ha="right",
                      va=side, fontsize=7, color=GREY)  # fmt: skip


def _legend(figure: Figure, responses: Responses) -> None:
    handles: list[Any] = []  # matplotlib draws the parts of a tuple over one another
    for head in HEADS:
        colour = COLOURS[head]
        line: dict[str, Any] = {"color": colour, "linestyle": LINES[head]}
        box = Patch(facecolor=colour, edgecolor=colour, alpha=0.3, hatch=_hatch(head))
        handles.append((box, Line2D([], [], **line)))
    labels = [TITLES[head] for head in HEADS]
    for control in responses.controls:
        handles.append(Line2D([], [], color=_CONTROL, linewidth=1.6))
        labels.append(f"{control.weights} (RSP solid, A-VID dashed)")
    figure.legend(handles, labels, loc="outside upper center", ncols=4, handlelength=3)


def _hatch(head: str) -> str | None:
    return "////" if LINES[head] == "--" else None


def save_responses(responses: Responses, out: str | Path) -> Path:
    """Draw and write ``*.png``, ``*.svg`` or ``*.pdf``.

    Raises:
        ValueError: Another ending, or a curve that is drawn was not measured.
    """
    return save(draw_responses(responses), out)
