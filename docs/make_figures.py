"""Draw the pictures of the documentation: ``python docs/make_figures.py [NAME ...]``.

All videos are synthetic and of seed 9, which the shipped model was not trained on.
"""

import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.patheffects import Stroke, withStroke
from numpy.typing import NDArray

from analysis import ClipMap, View, explain_margin, explain_pair, load_view
from analysis.core.clip import StoredFrames, view_masks
from analysis.core.statistics import Estimate
from analysis.core.table import RSP_MINUS_AVID
from analysis.figures.overlay import common_limit
from analysis.figures.print import draw_figures
from analysis.figures.style import (
    COLOURS,
    GREY,
    INK,
    colour_bar,
    save,
    show_map,
    style,
    values_at,
)
from analysis.report.results import ReportResults
from analysis.studies.registry import get_study
from rspnet import load_model
from rspnet.data.synthetic.videos import render_video
from rspnet.data.transforms import eval_frames
from rspnet.models import Branch
from rspnet.names import HEAD_TITLES, HEADS

IMAGES = Path(__file__).parent / "images"
REPORT = Path(__file__).parents[1] / "checkpoints" / "rspnet_small.report.json"
SEED, OTHERS = 9, (1, 5, 6, 9, 12)
PICTURE = 192  # pixels of a frame as it is drawn: the generated videos are 192 high
DPI = 200  # 1600 pixels for figures of 8 inches: sharp where pages show 800


@dataclass(frozen=True)
class Shown:
    """A clip at 2x with the frames that are drawn, its limbs, and both heads' maps.

    Attributes:
        view: The clip as the model sees it, (16, 112, 112, 3).
        frames: The same frames for drawing, (16, 192, 192, 3).
        limbs: Moving limbs on these, (16, 192, 192).
        margins: Margin maps of ``rsp`` and ``avid``.
        similarities: Contribution maps of the similarity s.
    """

    view: View
    frames: NDArray[np.uint8]
    limbs: NDArray[np.bool_]
    margins: dict[str, ClipMap]
    similarities: dict[str, ClipMap]


def branches() -> tuple[Branch, Branch]:
    """The shipped model's query and momentum branch."""
    return load_model("default", "query"), load_model("default", "key")


def show(query: Branch, key: Branch, index: int, *, start: int = 4, later: int = 26) -> Shown:
    """Explain c_i at 2x against c_j, later at 2x, and c_k at 1x (RSP) or other videos (A-VID)."""
    video = render_video(SEED, index)

    def clip(frames: NDArray[np.uint8], first: int, speed: float) -> View:
        reader = StoredFrames(frames)
        return load_view(reader, query.num_frames, query.size, start=first, speed=speed)

    c_i, c_j = clip(video.frames, start, 2), clip(video.frames, later, 2)
    c_k = clip(video.frames, later, 1)
    others = [clip(render_video(SEED, n).frames, 0, 2) for n in OTHERS]
    margins = {
        "rsp": explain_margin(query, key, "rsp", c_i, c_j, [c_k]).map_i,
        "avid": explain_margin(query, key, "avid", c_i, c_j, others).map_i,
    }
    pair = explain_pair(query, key, c_i.clip, c_j.clip, info_i=c_i.info, info_j=c_j.info)
    s = {
        head: ClipMap(
            values=np.asarray(maps.contribution_i, float),
            score=maps.similarity,
            head=head,
            kind="contribution",
            grid=margins[head].grid,
        )
        for head, maps in pair.heads.items()
    }
    indices = c_i.info.frame_indices
    frames = eval_frames(video.frames[list(indices)], PICTURE)
    return Shown(c_i, frames, view_masks(video.masks["limbs"], indices, PICTURE), margins, s)


def faded(frame: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """A frame in light greys, so that the colours of a map over it are the map's alone."""
    gray = frame @ np.array([0.299, 0.587, 0.114])
    return np.repeat((90 + 0.62 * gray).round().astype(np.uint8)[..., None], 3, axis=-1)


def outline(axis: Axes, mask: NDArray[np.bool_], width: float = 1.1) -> None:
    """Outline a mask in white between dark rims."""
    edge: Any = axis.contour(
        np.arange(mask.shape[1]) + 0.5,
        np.arange(mask.shape[0]) + 0.5,
        mask.astype(float),
        levels=[0.5],
        colors="white",
        linewidths=width,
    )
    edge.set_path_effects([Stroke(linewidth=width + 1.2, foreground="#141418"), withStroke()])


def draw_tile(axis: Axes, shown: Shown, found: ClipMap | None, frame: int, limit: float) -> None:
    """One frame, with a map over it if one is given, and its limbs outlined."""
    grid = shown.margins["rsp"].grid
    values = None if found is None else values_at(found.values, grid, frame)
    picture = shown.frames[frame] if found is None else faded(shown.frames[frame])
    show_map(axis, picture, values, grid, limit)
    outline(axis, shown.limbs[frame])


def limb_ratios(*heads: str) -> list[tuple[str, str, Estimate]]:
    """Weights, head and ratio of ``margin_faster`` in moving limbs, from the model's report."""
    report = ReportResults.from_json(json.loads(REPORT.read_text()))
    table = report.tables["localisation"]["synthetic"]
    rows = table.select(kind="margin_faster", region="limbs", speed="both")
    chosen = (row for row in rows if row.keys["head"] in heads)
    return [(str(r.keys["weights"]), str(r.keys["head"]), r["ratio"]) for r in chosen]


def interval(found: Estimate, sign: str = "") -> str:
    """An estimate with its interval, its minus as long as its plus."""
    words = f"{found.value:{sign}.2f} [{found.low:.2f}, {found.high:.2f}]"
    return words.replace("-", "\N{MINUS SIGN}")


def draw_study(name: str) -> Figure:
    """The figures of a study, from the model's report."""
    report = ReportResults.from_json(json.loads(REPORT.read_text()))
    return draw_figures(get_study(name).figures(report.tables[name]["synthetic"]))


def draw_answer() -> Figure:
    """The answer in ten seconds: both heads' margin maps on two videos, beside the numbers."""
    query, key = branches()
    rows = [(show(query, key, 4), 9), (show(query, key, 13), 7)]
    width, height = 8.0, 4.4
    side, gap, left, top = 1.7, 0.06, 0.06, 0.44
    figure = Figure((width, height))
    titles = ("clip at 2x, limbs outlined", "RSP: motion head", "A-VID: appearance head")
    for column, title in enumerate(titles):
        x = left + column * (side + gap)
        for row, (shown, frame) in enumerate(rows):
            y = top + row * (side + gap)
            axis = figure.add_axes(
                (x / width, 1 - (y + side) / height, side / width, side / height)
            )
            head = (None, *HEADS)[column]
            found = shown.margins[head] if head else None
            draw_tile(axis, shown, found, frame, common_limit([found.values]) if found else 1.0)
        colour = (INK, *(COLOURS[head] for head in HEADS))[column]
        words: dict[str, Any] = {"ha": "center", "va": "bottom", "fontweight": "bold"}
        middle = (x + side / 2) / width
        figure.text(middle, 1 - 0.36 / height, title, fontsize=8.5, color=colour, **words)
    place = figure.add_axes((2.35 / width, 0.2 / height, 1.5 / width, 0.09 / height))
    bar = colour_bar(figure, [], 1.0, "", place=place, orientation="horizontal")
    bar.set_ticks([])
    for x, words, side_of in (
        (2.28, "lowers the margin", "right"),
        (3.92, "raises the margin", "left"),
    ):
        y = 0.245 / height
        figure.text(x / width, y, words, ha=side_of, va="center", fontsize=7.5, color=INK)
    _draw_ratios(figure.add_axes((5.62 / width, 0.62 / height, 2.24 / width, 2.9 / height)))
    return figure


def _draw_ratios(axis: Axes) -> None:
    """Dots with intervals: trained and random weights, both heads."""
    axis.axvline(1, color=GREY, lw=0.8, ls=":", zorder=0)
    found = [row for row in limb_ratios(*HEADS) if not row[0].startswith("swapped")]
    for place, (weights, head, ratio) in enumerate(found):
        trained = weights == "trained"
        y = -place - (0 if trained else 0.55)
        colour = COLOURS[head]
        axis.plot([ratio.low, ratio.high], [y, y], color=colour, lw=2.4)
        fill = colour if trained else "white"
        axis.plot(ratio.value, y, "o", color=colour, ms=7 if trained else 5.5, mfc=fill)
        axis.text(
            0,
            y + 0.3,
            f"{HEAD_TITLES[head]}  {interval(ratio)}",
            fontsize=9 if trained else 7.5,
            color=colour,
            fontweight="bold" if trained else "normal",
            bbox={"facecolor": "white", "edgecolor": "none", "pad": 0.6},
        )
    axis.text(0, -1.73, "the same network with random weights", fontsize=7.5, color=INK)
    axis.set(xlim=(0, 4.2), ylim=(-3.95, 0.62), yticks=[])
    axis.spines["left"].set_visible(False)
    axis.set_xlabel("1: a map that ignores the limbs", fontsize=7.5)
    title = "Share of the map in moving limbs,\nover their share of the pixels"
    axis.set_title(title, loc="left", fontsize=8.5, fontweight="bold", pad=18)
    words = {"va": "bottom", "fontsize": 7.5, "color": GREY, "transform": axis.transAxes}
    axis.text(0, 1.02, "40 held-out synthetic videos, 95% intervals", **words)


def draw_similarity() -> Figure:
    """Why a map of a similarity says little: beside it the margin map of the same clip."""
    shown, frame = show(*branches(), 4), 9
    width, height, side, gap, left, top = 8.0, 2.36, 1.52, 0.08, 0.05, 0.5
    figure = Figure((width, height))
    tiles = [(None, None)] + [
        (maps, head) for maps in (shown.similarities, shown.margins) for head in HEADS
    ]
    for column, (maps, head) in enumerate(tiles):
        x = left + column * (side + gap)
        axis = figure.add_axes((x / width, 1 - (top + side) / height, side / width, side / height))
        found = maps[head] if maps and head else None
        draw_tile(axis, shown, found, frame, common_limit([found.values]) if found else 1.0)
        words = f"{HEAD_TITLES[head]}: {found.score:+.2f}" if found and head else "clip at 2x"
        colour = COLOURS[head] if head else INK
        figure.text((x + side / 2) / width, 1 - 0.45 / height, words, fontsize=8, color=colour,
                    ha="center", fontweight="bold")  # fmt: skip
    for column, words in ((1, "similarity of two clips of the video"), (3, "margin")):
        x = left + (column + 1) * (side + gap) - gap / 2
        figure.text(x / width, 1 - 0.22 / height, words, fontsize=9, ha="center")
    place = figure.add_axes((3.2 / width, 0.14 / height, 1.5 / width, 0.08 / height))
    bar = colour_bar(figure, [], 1.0, "", place=place, orientation="horizontal")
    bar.set_ticks([])
    for x, words, side_of in ((3.12, "lowers it", "right"), (4.78, "raises it", "left")):
        figure.text(x / width, 0.18 / height, words, ha=side_of, va="center", fontsize=7.5)
    return figure


def draw_cells() -> Figure:
    """The same map as its own cells and interpolated for display, with the cells' centres."""
    shown, frame = show(*branches(), 13), 7
    found = shown.margins["rsp"]
    grid, limit = found.grid, common_limit([found.values])
    figure = Figure((8, 2.5))
    zoom = PICTURE / grid.clip[1]
    titles = (
        "frame: lines bound the 7 x 7 cells,\ndots are their centres",
        "map, each cell\nin one colour",
        "map, interpolated\nbetween the centres",
        "contribution of one place\nat the 4 time steps",
    )
    for column, title in enumerate(titles):
        if column < 3:
            axis = figure.add_axes((0.005 + column * 0.252, 0.06, 0.235, 0.752))
            values = values_at(found.values, grid, frame) if column else None
            picture = faded(shown.frames[frame]) if column else shown.frames[frame]
            show_map(axis, picture, values, grid, limit, smooth=column != 1)
            if column == 0:
                x, y = (zoom * (grid.centres(axis_of) + 0.5) for axis_of in (2, 1))
                for edge in zoom * grid.edges(2)[1:-1]:
                    axis.axvline(edge, color="white", lw=0.8, alpha=0.9)
                for edge in zoom * grid.edges(1)[1:-1]:
                    axis.axhline(edge, color="white", lw=0.8, alpha=0.9)
                places = np.meshgrid(x, y)
                axis.plot(
                    *(p.ravel() for p in places), "o", ms=2.6, color="white", mec=INK, mew=0.5
                )
                axis.set(xlim=(0, PICTURE), ylim=(PICTURE, 0))
            else:
                outline(axis, shown.limbs[frame])
        else:
            axis = figure.add_axes((0.815, 0.2, 0.18, 0.612))
            row, right = np.unravel_index(found.values.sum(axis=0).argmax(), grid.cells[1:])
            series = found.values[:, row, right]
            axis.bar(grid.centres(0), series, width=0.8 * grid.stride[0], color=COLOURS["rsp"])
            axis.set(xticks=grid.centres(0), xlabel="centre, frame of the clip")
            axis.set_yticks([0, 0.002, 0.004, 0.006], ["0", ".002", ".004", ".006"])
            axis.tick_params(labelsize=6.5)
        axis.set_title(title, fontsize=8)
    return figure


def draw_controls() -> Figure:
    """What three controls do to the difference of the heads in moving limbs."""
    names = {
        "trained": "the trained model",
        "swapped heads": "heads swapped: the sign must change exactly",
        "swapped objectives": "objectives swapped: RSP on videos, A-VID on speed",
        "random weights": "random weights: the architecture alone",
    }
    figure = Figure((8, 2.0))
    axis = figure.add_axes((0.47, 0.24, 0.5, 0.72))
    for place, (weights, _, ratio) in enumerate(limb_ratios(RSP_MINUS_AVID)):
        y = -place
        colour = COLOURS["rsp"] if place == 0 else "#56606b"
        axis.plot([ratio.low, ratio.high], [y, y], color=colour, lw=2.4)
        axis.plot(ratio.value, y, "o", color=colour, ms=7)
        words = interval(ratio, "+")
        axis.text(ratio.value, y + 0.27, words, ha="center", fontsize=7.5, color=colour)
        axis.text(-0.02, y, names[weights], ha="right", va="center", fontsize=8,
                  transform=axis.get_yaxis_transform())  # fmt: skip
    axis.axvline(0, color=GREY, lw=0.8, ls=":", zorder=0)
    axis.set(ylim=(-3.5, 0.75), yticks=[], xlabel="ratio in moving limbs, RSP minus A-VID")
    axis.spines["left"].set_visible(False)
    return figure


def draw_method() -> Figure:
    """The training triplet, the two heads and what each loss compares."""
    video = render_video(SEED, 13)
    figure = Figure((8, 3.1))
    canvas = figure.add_axes((0, 0, 1, 1))
    canvas.set(xlim=(0, 8), ylim=(3.1, 0))
    canvas.axis("off")
    clips = (("$c_i$", "query, 1x", 0, 1), ("$c_j$", "same speed, 1x", 30, 1),
             ("$c_k$", "other speed, 2x", 20, 2))  # fmt: skip
    side = 0.72
    for row, (name, about, start, speed) in enumerate(clips):
        top = 0.22 + row * 0.98
        canvas.text(0.1, top + 0.33, name, fontsize=12, va="center")
        canvas.text(0.45, top - 0.04, about, fontsize=7.5, va="bottom", color=GREY)
        frames = eval_frames(video.frames[[start + 4 * speed * n for n in range(3)]], PICTURE)
        for column, frame in enumerate(frames):
            left = 0.45 + column * (side + 0.03)
            canvas.imshow(frame, extent=(left, left + side, top + side, top), aspect="auto")
    canvas.set(xlim=(0, 8), ylim=(3.1, 0))

    def box(left: float, top: float, right: float, bottom: float, words: str, colour: str) -> None:
        canvas.add_patch(
            Rectangle((left, top), right - left, bottom - top, fill=False, ec=colour, lw=1.4)
        )
        middle = ((left + right) / 2, (top + bottom) / 2)
        canvas.text(*middle, words, ha="center", va="center", fontsize=8, color=colour)

    def arrow(start: tuple[float, float], end: tuple[float, float], colour: str = GREY) -> None:
        style = {"arrowstyle": "-|>", "color": colour, "lw": 1.1, "shrinkA": 0, "shrinkB": 0}
        canvas.annotate("", end, start, arrowprops=style)

    box(3.05, 0.3, 4.2, 0.86, "encoder\n(query)", INK)
    box(3.05, 1.45, 4.2, 2.65, "encoder\n(momentum copy:\nmoving average)", INK)
    arrow((3.62, 0.88), (3.62, 1.43))
    for row, y in enumerate((0.58, 1.56, 2.54)):
        arrow((2.72, y), (3.03, y if row == 0 else 1.8 + 0.5 * (row - 1)))
    box(4.6, 0.45, 5.3, 1.0, "RSP\nhead", COLOURS["rsp"])
    box(4.6, 1.95, 5.3, 2.5, "A-VID\nhead", COLOURS["avid"])
    for start in ((4.22, 0.58), (4.22, 2.05)):
        arrow(start, (4.58, 0.72), COLOURS["rsp"])
        arrow(start, (4.58, 2.22), COLOURS["avid"])
    texts = (
        (
            0.42,
            "rsp",
            "Relative speed perception",
            "$d(c_i, c_j) > d(c_i, c_k)$:\nthe pair of equal speed is nearer",
        ),
        (
            1.92,
            "avid",
            "Appearance-focused\ninstance discrimination",
            "$c_i$ is nearer to $c_j$ and $c_k$ than to\nclips of other videos (a queue of keys)",
        ),
    )
    for top, head, title, words in texts:
        arrow((5.32, top + 0.3), (5.6, top + 0.3), COLOURS[head])
        lines = title.count("\n")
        canvas.text(
            5.66, top, title, fontsize=8.5, color=COLOURS[head], fontweight="bold", va="top"
        )
        canvas.text(
            5.66, top + 0.24 + 0.17 * lines, words, fontsize=8, color=INK, va="top", linespacing=1.4
        )
    return figure


FIGURES: dict[str, Callable[[], Figure]] = {
    "answer": draw_answer,
    "similarity": draw_similarity,
    "cells": draw_cells,
    "controls": draw_controls,
    "method": draw_method,
    "localisation": partial(draw_study, "localisation"),
    "responses": partial(draw_study, "responses"),
    "units": partial(draw_study, "units"),
}


def main(names: Sequence[str]) -> None:
    """Draw all figures, or those that are named."""
    for name in names or FIGURES:
        with style():
            figure = FIGURES[name]()
        print(save(figure, IMAGES / f"{name}.png", dpi=DPI))


if __name__ == "__main__":
    main(sys.argv[1:])
