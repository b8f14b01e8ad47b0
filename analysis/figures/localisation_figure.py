"""The picture of :mod:`analysis.studies.localisation`: ratios by region and map, examples.

Above are examples: a frame with the outlines of its regions, then both heads' margin maps of a slow
and of a fast c_i of that video. Below is a dot a head and kind of map with its 95% interval, a
column a region, on a logarithmic axis.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patheffects import Stroke, withStroke
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

from analysis.core.clip import Frames, Masks
from analysis.core.clip_map import Map
from analysis.core.grid import Grid
from analysis.core.statistics import Estimate
from analysis.figures.overlay import common_limit
from analysis.figures.style import (
    CATEGORIES,
    COLOURS,
    GREY,
    INK,
    LINES,
    PAGE_INCHES,
    TITLES,
    colour_bar,
    new_figure,
    show_map,
    style,
    values_at,
)
from analysis.stimuli.kinds import OBJECTIVES, EvaluatedModel, with_controls
from analysis.studies.localisation import SPEEDS, Scene, make_scene
from analysis.studies.localisation_result import KIND_NAMES, REGION_NAMES, LocalisationStudy
from rspnet.models import Branch
from rspnet.names import HEADS

COLUMNS = ("limbs", "body", "prop", "set_cues")
OUTLINES = {"limbs": CATEGORIES[5], "prop": CATEGORIES[4], "set_cues": "#ffffff"}
# By kind and speed of c_i: margins of slow and fast queries are different things.
ROWS = (
    ("eq2", "both"), ("contribution", "both"), ("margin", "1x"), ("margin", "2x"),
    ("margin_faster", "both"), ("margin_deviation", "both"),
    ("margin_static", "1x"), ("margin_static", "2x"),
)  # fmt: skip
SHAPES = {"rsp": "o", "avid": "s"}
LEAST, MOST = 0.08, 70.0  # of the axis of ratios
_OFFSET = 0.17  # of a head's dot from the middle of its row


@dataclass(frozen=True, kw_only=True)
class Example:
    """A video's slow and fast c_i with the margin maps of both heads.

    Attributes:
        frames: The middle frame of each c_i, by speed.
        regions: Its masks, by region, of the first speed.
        maps: (H', W') at that frame, by head and speed.
        grid: Of the maps.
    """

    frames: Mapping[int, Frames]
    regions: Mapping[str, Masks]
    maps: Mapping[tuple[str, int], Map]
    grid: Grid


def make_examples(
    query: Branch, key: Branch, study: LocalisationStudy, *, num: int = 2, num_videos: int = 8
) -> list[Example]:
    """Of the first videos of a study those whose moving limbs are largest, asked again.

    Args:
        query: Query branch.
        key: Momentum branch.
        study: Whose videos they are.
        num: Examples.
        num_videos: Of at most so many; the others are there for A-VID's margin.
    """
    size, seed = study.grid.clip[1], study.of().seed
    scenes = [
        make_scene(seed, index, num_frames=query.num_frames, size=size, num_triplets=1)
        for index in range(min(num_videos, study.of().num_videos))
    ]
    asking = next(with_controls(query, key, [scene.triplets for scene in scenes]))
    assert asking.objective == OBJECTIVES
    areas = [scene.regions[0]["limbs"].mean() for scene in scenes]
    chosen = sorted(np.argsort(areas)[::-1][:num].tolist())
    return [_example(scenes[n], asking, n) for n in chosen]


def _example(scene: Scene, asking: EvaluatedModel, video: int) -> Example:
    grid = asking.questions[video][0].c_i.grid
    middle = grid.clip[0] // 2
    frames, maps = {}, {}
    for number, speed in enumerate(SPEEDS):
        frames[speed] = scene.triplets[number][0].frames[middle]
        for head in HEADS:
            values = asking.maps(video, number, head)["margin"]
            maps[head, speed] = values_at(values, grid, middle)
    regions = {name: scene.regions[0][name][middle] for name in OUTLINES}
    return Example(frames=frames, regions=regions, maps=maps, grid=grid)


def draw_localisation(study: LocalisationStudy, examples: Sequence[Example]) -> Figure:
    """Draw a study.

    Args:
        study: The numbers.
        examples: Shown above them; may be none.

    Returns:
        A figure for :func:`analysis.figures.style.save`.
    """
    tall = 1.32 * len(examples) + (0.45 if examples else 0)
    with style():
        figure = new_figure(PAGE_INCHES, tall + 3.1)
        heights = [tall, 3.1] if examples else [3.1]
        parts = figure.subfigures(len(heights), 1, squeeze=False, height_ratios=heights)[:, 0]
        if examples:
            _draw_examples(parts[0], examples)
        _draw_ratios(parts[-1], study)
    return figure


def _draw_examples(figure: Figure, examples: Sequence[Example]) -> None:
    axes = figure.subplots(len(examples), 5, squeeze=False)
    limits = {
        head: common_limit([e.maps[head, speed] for e in examples for speed in SPEEDS])
        for head in HEADS
    }
    panels = [(head, speed) for head in HEADS for speed in SPEEDS]
    for row, example in zip(axes, examples, strict=True):
        show_map(row[0], example.frames[SPEEDS[0]], None, example.grid, 1.0)
        for name, colour in OUTLINES.items():
            _outline(row[0], example.regions[name], colour)
        for axis, (head, speed) in zip(row[1:], panels, strict=True):
            values = example.maps[head, speed]
            show_map(axis, example.frames[speed], values, example.grid, limits[head])
    for axis, (head, speed) in zip(axes[0, 1:], panels, strict=True):
        axis.set_title(f"{TITLES[head]}, query at {speed}x", color=COLOURS[head])
    axes[0, 0].set_title("frame and regions")
    keys = [Line2D([], [], color=c, label=REGION_NAMES[n]) for n, c in OUTLINES.items()]
    for line in keys:
        line.set_path_effects([Stroke(linewidth=2.4, foreground="#141418"), withStroke()])
    legend = axes[-1, 0].legend(
        handles=keys, loc="upper center", bbox_to_anchor=(0.5, -0.03), handlelength=1.2, ncols=1,
        borderaxespad=0, labelspacing=0.25,
    )  # fmt: skip
    legend.set_in_layout(False)  # it stands beside the colour bars
    for first, head in zip((1, 3), HEADS, strict=True):
        colour_bar(
            figure, list(axes[:, first : first + 2].ravel()), limits[head],
            f"contribution to the margin of {TITLES[head]}, per cell",
            location="bottom", aspect=30, pad=0.03, shrink=0.8,
        )  # fmt: skip


def _outline(axis: Axes, mask: Masks, colour: str) -> None:
    if not mask.any():
        return
    drawn = axis.contour(
        np.pad(mask.astype(float), 1), levels=[0.5], colors=[colour], linewidths=0.9,
        extent=(-1, mask.shape[1] + 1, -1, mask.shape[0] + 1),
    )  # fmt: skip
    drawn.set_path_effects([Stroke(linewidth=1.8, foreground="#141418"), withStroke()])


def _draw_ratios(figure: Figure, study: LocalisationStudy) -> None:
    trained, random = study.of(), study.of("random weights")
    rows = [row for row in ROWS if row[0] in trained.kinds]
    axes = figure.subplots(1, len(COLUMNS), sharey=True)
    names = [KIND_NAMES[kind] + ("" if speed == "both" else f", {speed}") for kind, speed in rows]
    for axis, region in zip(axes, COLUMNS, strict=True):
        dot_axis(axis, names)
        axis.axvline(1, color=GREY, linewidth=0.8, zorder=0)
        one = trained.row(rows[0][0], "rsp", region)
        axis.axvline(one.ceiling.value, color=GREY, linewidth=0.8, linestyle=(0, (1, 2)), zorder=0)
        for place, (kind, speed) in enumerate(rows):
            for head in HEADS:
                untrained = random.row(kind, head, region, speed).ratio
                dot(axis, place, untrained, head, least=LEAST, hollow=True)
                dot(axis, place, trained.row(kind, head, region, speed).ratio, head, least=LEAST)
        axis.set_xscale("log")
        axis.set_xlim(LEAST, MOST)
        axis.xaxis.set_major_locator(FixedLocator([0.1, 0.3, 1, 3, 10, 30]))
        axis.xaxis.set_minor_locator(NullLocator())
        axis.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        share = f"{100 * one.area.value:.1f}% of the pixels"
        axis.set_title(f"{REGION_NAMES[region]}\n{share}")
    figure.supxlabel(
        "share of positive energy / share of pixels (line: 1; dotted: the most on this grid)",
        fontsize=7, color=INK,
    )  # fmt: skip
    dot_legend(figure, f"{trained.num_videos} videos")


def dot_axis(axis: Axes, names: Sequence[str]) -> None:
    """Prepare an axis for a row of dots a name, the first on top."""
    axis.set_yticks(range(len(names)), names)
    axis.set_ylim(len(names) - 0.5, -0.5)
    axis.tick_params(axis="y", length=0)
    axis.spines["left"].set_visible(False)
    for place in range(0, len(names), 2):
        axis.axhspan(place - 0.5, place + 0.5, color="#f4f4f6", linewidth=0, zorder=-1)


def dot(
    axis: Axes,
    place: int,
    value: Estimate,
    head: str,
    *,
    least: float | None = None,
    hollow: bool = False,
) -> None:
    """A number of a head with its 95% interval, in a row of :func:`dot_axis`.

    Args:
        axis: Where.
        place: Number of the row.
        value: The number.
        head: ``rsp`` or ``avid``.
        least: Smaller values are drawn there, as on a logarithmic axis 0 has no place.
        hollow: A control: a hollow dot without interval.
    """
    y = place + (_OFFSET if head == "avid" else -_OFFSET)
    x, low, high = value.value, value.low, value.high
    if least is not None:
        x, low, high = max(x, least), max(low, least), max(high, least)
    if not hollow:
        axis.plot([low, high], [y, y], color=COLOURS[head], linestyle=LINES[head], linewidth=1.3)
    axis.plot(
        [x], [y], marker=SHAPES[head], markersize=3.6, linestyle="", markeredgewidth=0.7,
        markeredgecolor=COLOURS[head], markerfacecolor="white" if hollow else COLOURS[head],
        alpha=0.6 if hollow else 1, clip_on=False, zorder=2 if hollow else 3,
    )  # fmt: skip


def dot_legend(figure: Figure, num: str) -> None:
    """Which dot is which, above the axes of a figure."""
    keys = []
    for words, hollow in ((f"95% interval over {num}", False), ("random weights", True)):
        for head in HEADS:
            options: dict[str, Any] = {"marker": SHAPES[head], "markersize": 3.6}
            if hollow:
                options |= {"linestyle": "", "markerfacecolor": "white", "alpha": 0.6}
            else:
                options |= {"linestyle": LINES[head], "linewidth": 1.3}
            label = f"{TITLES[head]}, {words}"
            keys.append(Line2D([], [], color=COLOURS[head], label=label, **options))
    figure.legend(handles=keys, loc="outside upper center", ncols=4, columnspacing=1.1)
