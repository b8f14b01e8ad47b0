"""Draw the pictures of the documentation: ``python docs/make_figures.py [NAME ...]``.

All videos are synthetic and of seed 9, which the shipped model was not trained on.
"""

import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patheffects import Stroke, withStroke
from numpy.typing import NDArray

from analysis import ClipMap, View, explain_margin, explain_pair, load_view
from analysis.core.clip import StoredFrames, view_masks
from analysis.figures.overlay import common_limit
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


def limb_ratios() -> list[tuple[str, str, dict[str, float]]]:
    """Weights, head and ratio (value, low, high) of the margin map in limbs, from the report."""
    report = json.loads(REPORT.read_text())
    rows = []
    for result in report["found"]["planted"]["results"]:
        for row in result["rows"]:
            key = (row["kind"], row["region"], row["speed"])
            if key == ("margin_faster", "limbs", "both"):
                rows.append((result["weights"], row["head"], row["ratio"]))
    return [row for row in rows if row[0] in ("trained", "random weights")]


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
    for place, (weights, head, ratio) in enumerate(limb_ratios()):
        trained = weights == "trained"
        y = -place - (0 if trained else 0.55)
        colour = COLOURS[head]
        axis.plot([ratio["low"], ratio["high"]], [y, y], color=colour, lw=2.4)
        fill = colour if trained else "white"
        axis.plot(ratio["value"], y, "o", color=colour, ms=7 if trained else 5.5, mfc=fill)
        axis.text(
            0,
            y + 0.3,
            f"{HEAD_TITLES[head]}  {ratio['value']:.2f} [{ratio['low']:.2f}, {ratio['high']:.2f}]",
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


FIGURES: dict[str, Callable[[], Figure]] = {"answer": draw_answer}


def main(names: Sequence[str]) -> None:
    """Draw all figures, or those that are named."""
    for name in names or FIGURES:
        with style():
            figure = FIGURES[name]()
        print(save(figure, IMAGES / f"{name}.png", dpi=DPI))


if __name__ == "__main__":
    main(sys.argv[1:])
