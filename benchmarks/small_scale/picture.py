"""The benchmark as one picture: dots with intervals, a panel a question, a line a model."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes

from analysis.core.statistics import Estimate
from analysis.figures.style import COLOURS, GREY, PAGE_INCHES, new_figure, save, style
from benchmarks.small_scale.measures import Row
from rspnet.names import HEADS

# Table, metric and title; what is not in the table has no panel.
PANELS = (
    ("JHMDB", "top-1", "JHMDB, top-1 (%)"),
    ("JHMDB", "k-NN", "JHMDB, k-NN (%)"),
    ("JHMDB", "linear", "JHMDB, linear probe (%)"),
    ("UCF101", "top-1", "UCF101, top-1 (%)"),
    ("UCF101", "linear", "UCF101, linear probe (%)"),
    ("generated, by action", "top-1", "generated, by action (%)"),
    ("generated, by set", "top-1", "generated, by set (%)"),
)
SELECTIVITY = "motion selectivity"
# Of a model these three, from the top down.
FEATURES = {"backbone, max": GREY, "RSP": COLOURS["rsp"], "A-VID": COLOURS["avid"]}
WITHOUT = {"colour histogram": "Hellinger", "flow histogram": "cosine"}
STEP = 0.24  # between the dots of a line


def localisation_estimate(runs: Sequence[Mapping[str, Any]], head: str) -> Estimate:
    """A head's motion selectivity: of several seeds the mean, from the lowest to the highest."""
    found = [Estimate(**run["selectivity"][head]) for run in runs]
    if len(found) == 1:
        return found[0]
    values = [one.value for one in found]
    return Estimate(sum(values) / len(values), min(values), max(values), found[0].num)


def dots_of(
    rows: Mapping[str, Sequence[Row]], localisation: Mapping[str, Sequence[Mapping[str, Any]]]
) -> dict[str, dict[str, dict[str, Estimate]]]:
    """What is drawn: by panel, line and feature.

    Args:
        rows: Of each table.
        localisation: As :func:`~benchmarks.small_scale.localisation.localisation_table` takes it;
            may be empty.
    """
    found: dict[str, dict[str, dict[str, Estimate]]] = {}
    for table, metric, title in PANELS:
        for row in rows.get(table, ()):
            if row.feature in FEATURES or WITHOUT.get(row.name) == row.feature:
                line = found.setdefault(title, {}).setdefault(row.name, {})
                line[row.feature] = row.estimate(metric)
    for name, runs in localisation.items():
        line = found.setdefault(SELECTIVITY, {}).setdefault(name, {})
        for head, feature in zip(HEADS, ("RSP", "A-VID"), strict=True):
            line[feature] = localisation_estimate(runs, head)
    return found


def picture(
    rows: Mapping[str, Sequence[Row]],
    localisation: Mapping[str, Sequence[Mapping[str, Any]]],
    chance: Mapping[str, Mapping[str, float]],
    out: str | Path,
) -> Path:
    """Draw and save.

    Raises:
        ValueError: There is nothing to draw, or ``out`` has an ending that can't be written.
    """
    dots = dots_of(rows, localisation)
    if not dots:
        raise ValueError("there is nothing to draw: all videos were skipped")
    names = list(dict.fromkeys(name for lines in dots.values() for name in lines))
    metrics = {title: (table, metric) for table, metric, title in PANELS}
    num_rows = -(-len(dots) // 3)
    height = num_rows * (0.75 + 0.32 * len(names)) + 0.4
    with style():
        figure = new_figure(PAGE_INCHES, height)
        axes = figure.subplots(num_rows, min(3, len(dots)), sharey=True, squeeze=False).flat
        for axis, (title, lines) in zip(axes, dots.items(), strict=False):
            _panel(axis, title, lines, names)
            table, metric = metrics.get(title, ("", ""))
            if metric in chance.get(table, {}):
                axis.axvline(chance[table][metric], color=GREY, linewidth=0.8, linestyle=":")
        for axis in list(axes)[len(dots) :]:
            axis.set_visible(False)
        shown = {f for lines in dots.values() for line in lines.values() for f in line}
        handles = [
            figure.axes[0].plot([], [], "o", markersize=4, color=colour, label=feature)[0]
            for feature, colour in FEATURES.items()
            if feature in shown
        ]
        figure.legend(handles=handles, loc="outside upper center", ncols=len(handles))
        return save(figure, out, dpi=200)


def _panel(
    axis: Axes, title: str, lines: Mapping[str, Mapping[str, Estimate]], names: Sequence[str]
) -> None:
    for place, name in enumerate(names):
        line = lines.get(name, {})
        if place % 2 == 0:
            axis.axhspan(place - 0.5, place + 0.5, color="0.95", zorder=0, linewidth=0)
        for feature, found in line.items():
            at = list(FEATURES).index(feature) - 1 if feature in FEATURES else 0
            axis.errorbar(
                found.value,
                place + STEP * at,
                xerr=[[found.value - found.low], [found.high - found.value]],
                fmt="o" if feature in FEATURES else "D",
                color=FEATURES.get(feature, "0.2"),
                markersize=3.5,
                linewidth=1,
            )
    axis.set_title(title)
    axis.set_yticks(range(len(names)), names)
    axis.set_ylim(len(names) - 0.5, -0.5)
    axis.set_xlim(left=0)
